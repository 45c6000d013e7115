/* What earlier runs tell of a task's cost: the task's own, then its stage's, then an estimate; scaled by the
 * work; from this host before others. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/exec/fit.h"
#include "engine/exec/history.h"
#include "tests/test.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct store *store;
static char dir[] = "/tmp/weft-history-XXXXXX", here[256];

/* FLOPs by samples, bytes as they are, memory by both. */
static void cost(const void *params, const struct cost_input *in, struct cost *ret)
{
    ret->flops = (double)*(const int64_t *)params * 1e9 * (double)in->samples / 1000;
    ret->bytes = 0;
    ret->peak = 77 * in->samples / 1000;
}
static void no_cost(const void *params, const struct cost_input *in, struct cost *ret)
{
}
static void bytes_cost(const void *params, const struct cost_input *in, struct cost *ret)
{
    ret->bytes = in->bytes;
}

struct plant { /* one record; seconds 1 and here unless said otherwise */
    const char *stage, *task;
    int day; /* 1: the oldest */
    double seconds;
    int threads;
    int64_t memory, samples, read, out; /* out: samples and bytes of its output */
    double flops;
    int64_t bytes, peak;
    int rule;                /* 0: that of today */
    const char *node, *text; /* text: of an old record, with these parameters */
};

static void put(const struct plant *p)
{
    AUTO(mem)
    char *text = xprintf("weft-key 1\nstage %s 1\n%sinput p[0] = %s %d %g\n", p->stage,
                         p->text ? p->text : "", p->task, p->day, p->seconds);
    AUTO(mem) char *when = xprintf("2026-01-%02dT00:00:00Z", p->day);
    struct record_file f = {.name = (char *)(uintptr_t) "f", .size = p->out};
    struct record_output o = {.port = (char *)(uintptr_t) "out", .file = &f, .n = 1, .samples = p->out};
    struct record r = {.text = text,
                       .stage = (char *)(uintptr_t)p->stage,
                       .task = (char *)(uintptr_t)p->task,
                       .when = when,
                       .node = (char *)(uintptr_t)(p->text   ? NULL
                                                   : p->node ? p->node
                                                             : here),
                       .host = here,
                       .seconds = p->seconds,
                       .threads = p->threads ? p->threads : 1,
                       .peak_rss = p->memory,
                       .samples = p->samples,
                       .read = p->read,
                       .cost = {.flops = p->flops,
                                .bytes = p->bytes,
                                .peak = p->peak,
                                .rule = p->rule ? p->rule : COST_RULE},
                       .output = &o,
                       .n = 1};
    hash_bytes(text, strlen(text), &r.key);
    hash_bytes(text, strlen(text), &f.digest);
    struct error err = {0};
    if (!store_put_record(store, &r, &err))
        fail_msg("%s", err.text);
}

static const struct port out_port[] = {{.name = "out", .type = ARTIFACT_IMAGES}, {0}};
static const struct port in_port[] = {{.name = "in", .type = ARTIFACT_IMAGES}, {0}};
static const struct stage fake = {.name = "fake", .cost = cost, .inputs = in_port, .outputs = out_port};

static struct task task_of(const struct stage *s, const char *name, void *params)
{
    return (struct task){.name = name, .stage = s, .params = params};
}

static void near(double got, double want, const char *what)
{
    if (fabs(got - want) > 1e-9 * fabs(want))
        fail_msg("%s: %.17g, wanted %.17g", what, got, want);
}

static struct history_cost ask(const struct task *t)
{
    struct history *h;
    history_open(store, &h);
    struct history_cost c = history_predict(h, t);
    history_close(h);
    near(c.work.serial + c.work.parallel, c.core_seconds, "the work is that of one core");
    return c;
}

static void is(const struct task *t, enum history_source source, double core_seconds, int64_t memory)
{
    struct history_cost c = ask(t);
    assert_string_equal(history_source_name(c.source), history_source_name(source));
    near(c.core_seconds, core_seconds, t->name);
    assert_int_equal(c.memory, memory);
}

/* Records without costs, of stages that the registry does not have: seconds stand as they are. */
static void sources(void **state)
{
    static const struct stage other = {.name = "other", .cost = cost};
    int64_t work = 100;
    const struct task a = task_of(&fake, "a", &work), b = task_of(&fake, "b", &work),
                      c = task_of(&other, "a", &work);
    is(&a, HISTORY_ESTIMATE, 0.01 + 100 / 100., 77);
    put(&(struct plant){"fake", "a", 2, .seconds = 3, .threads = 2, .memory = 1000});
    put(&(struct plant){"fake", "a", 1, .seconds = 100, .memory = 2000});
    put(&(struct plant){"fake", "c", 3, .seconds = 10, .memory = 4000});
    put(&(struct plant){"fake", "a", 4, .seconds = 0, .memory = 9000}); /* took no time: tells nothing */
    /* 100 on one core and 3 on two is more than twice as fast: nothing serial, and 6 on one core */
    is(&a, HISTORY_TASK, 53, 2200);  /* the middle of 6 and 100; the most and a tenth */
    is(&b, HISTORY_STAGE, 10, 4400); /* the median of 6, 10 and 100 */
    struct history_cost e = ask(&c);
    assert_true(e.source == HISTORY_ESTIMATE && e.core_seconds == 1.01); /* no work is known: no correction */
    put(&(struct plant){"fake", "d", 5, .seconds = 20, .memory = 30});
    is(&b, HISTORY_STAGE, 15, 4400);
    assert_int_equal(ask(&b).runs, 4);
    const struct task asks = {.name = "a", .stage = &fake, .params = &work, .memory = 5};
    is(&asks, HISTORY_TASK, 53, 5); /* it says itself what it needs */
}

/* The newest five of a task, and the newest of a stage. */
static void newest(void **state)
{
    int64_t work = 1;
    const struct task a = task_of(&fake, "a", &work), b = task_of(&fake, "b", &work);
    for (int i = 0; i < 9; i++) /* in no order of time */
        put(&(struct plant){"fake", "a", 1 + (i * 4) % 9, .seconds = 1 + (i * 4) % 9, .memory = 10});
    is(&a, HISTORY_TASK, 7, 11); /* of 5, 6, 7, 8, 9 */
    assert_int_equal(ask(&a).runs, 5);
    is(&b, HISTORY_STAGE, 5, 11);
    for (int i = 0; i < 28; i++) { /* newer ones of other tasks */
        AUTO(mem) char *name = xprintf("t%d", i);
        put(&(struct plant){"fake", name, 20, .seconds = 100 + i, .memory = 10});
    }
    is(&b, HISTORY_STAGE, 111.5, 11); /* of 32: 6 to 9 of a, 100 to 127 */
    assert_int_equal(ask(&b).runs, 32);
}

/* A stage of the registry in records of a time when they told no costs: twice the epochs, twice the work. */
static void old_records(void **state)
{
    const struct stage *s = stage_find("pretrain");
    AUTO(arena) struct arena mem;
    arena_init(&mem);
    void *params = arena_alloc(&mem, s->params_size);
    param_defaults(s->params, params, &mem);
    const struct param *epochs = param_find(s->params, "epochs");
    int64_t *n = (int64_t *)((char *)params + epochs->offset);
    put(&(struct plant){"pretrain", "seed", 1, .seconds = 10, .memory = 100, .text = "param epochs = 10\n"});
    put(&(struct plant){"pretrain", "tiny", 2, .seconds = 40, .memory = 100, .text = "param epochs = 20\n"});
    put(&(struct plant){"pretrain", "odd", 3, .seconds = 100, .memory = 200, .text = "param epochs = 40\n"});
    const struct task seed = task_of(s, "seed", params), fresh = task_of(s, "new", params);
    *n = 10;
    is(&seed, HISTORY_TASK, 10, 110);
    is(&fresh, HISTORY_STAGE, 20, 220); /* an epoch took 1, 2 and 2.5 */
    *n = 30;
    is(&seed, HISTORY_TASK, 30, 110);
    is(&fresh, HISTORY_STAGE, 60, 220);
    /* of another version of the stage: its work cannot be known, its seconds stand */
    put(&(struct plant){"pretrain", "strange", 4, .seconds = 70, .text = "param removed = 40\n"});
    is(&fresh, HISTORY_STAGE, 65, 220);
    is(&seed, HISTORY_TASK, 30, 110);
}

/* Nothing known, nothing divided by. */
static void no_flops(void **state)
{
    static const struct stage with = {.name = "nothing", .cost = no_cost}, without = {.name = "none"},
                              moves = {.name = "moves", .cost = bytes_cost};
    const struct task a = task_of(&with, "a", NULL), b = task_of(&without, "b", NULL);
    is(&a, HISTORY_ESTIMATE, 0.01, 0);
    is(&b, HISTORY_ESTIMATE, 0.01, 0);
    put(&(struct plant){"moves", "x", 1, .seconds = 4, .read = 100, .bytes = 100});
    put(&(struct plant){"moves", "y", 1, .seconds = 8, .read = 200, .bytes = 200});
    const struct task x = task_of(&moves, "x", NULL), z = task_of(&moves, "z", NULL);
    is(&x, HISTORY_TASK, 4, 0);
    is(&z, HISTORY_STAGE, 6, 0); /* of inputs like those before */
    /* where most tell their FLOPs these count; what one that does not took stands as it is */
    int64_t work = 3;
    const struct task fresh = task_of(&fake, "new", &work);
    put(&(struct plant){"fake", "x", 1, .seconds = 1, .samples = 1000, .flops = 1e9});
    put(&(struct plant){"fake", "y", 1, .seconds = 2, .samples = 1000, .flops = 1e9});
    put(&(struct plant){"fake", "z", 1, .seconds = 50});
    is(&fresh, HISTORY_STAGE, 6, 0); /* of 3, 6 and 50 */
    history_close(NULL);
}

/* A task that reads what another one made. */
struct pair {
    struct task maker, reader;
    struct task_ref ref;
    struct task_inputs in;
    struct resolved known[2];
    struct resolver r;
};
static void make_pair(struct pair *p, const char *maker, const char *reader, int64_t *work)
{
    static const struct stage source = {.name = "source", .outputs = out_port, .inputs = out_port + 1};
    *p = (struct pair){.maker = task_of(&source, maker, NULL), .reader = task_of(&fake, reader, work)};
    p->ref = (struct task_ref){.task = &p->maker, .output_also = -1};
    p->in = (struct task_inputs){&p->ref, 1};
    p->reader.inputs = &p->in;
    p->reader.index = 1;
    p->r = (struct resolver){.store = store, .task = p->known};
}

static struct history_cost ask_pair(const struct pair *p)
{
    struct history *h;
    history_open(store, &h);
    history_look(h, &p->r);
    struct history_cost c = history_predict(h, &p->reader);
    history_close(h);
    return c;
}

/* Time follows the samples that come in: of what made them, else of what made them before, else as before. */
static void sizes(void **state)
{
    struct pair p;
    int64_t work = 1;
    make_pair(&p, "data", "a", &work);
    struct history_cost c = ask_pair(&p);
    near(c.core_seconds, 0.01 + 1 / 100., "estimate of data of a nominal size");
    /* 300 samples took 6 s and 1000 bytes */
    put(&(struct plant){"fake", "a", 1, .seconds = 6, .memory = 1000, .samples = 300, .flops = .3e9,
                        .peak = 23});
    near(ask_pair(&p).core_seconds, 6, "an input that was never seen");
    put(&(struct plant){"source", "data", 1, .seconds = 1, .out = 400});
    put(&(struct plant){"source", "data", 2, .seconds = 1, .out = 600});
    c = ask_pair(&p);
    near(c.core_seconds, 12, "the input as it was the last time");
    assert_int_equal(c.memory, (int64_t)(1.1 * 1000 * 46 / 23)); /* 77 a thousand, whole ones */
    AUTO(mem) struct record_file *f = xcalloc(1, sizeof *f);
    struct record_output o = {.port = (char *)(uintptr_t) "out", .file = f, .n = 1, .samples = 150};
    struct record made = {.output = &o, .n = 1};
    p.known[0].record = &made;
    near(ask_pair(&p).core_seconds, 3, "the input as it is");
    work = 4;
    near(ask_pair(&p).core_seconds, 12, "with four times the work of a sample");
    p.reader.name = "b";
    c = ask_pair(&p);
    near(c.core_seconds, 12, "another task");
    assert_int_equal(c.source, HISTORY_STAGE);
}

/* Work that was counted by another rule is no measure: the seconds stand. */
static void other_rule(void **state)
{
    int64_t work = 1;
    struct pair p;
    make_pair(&p, "data", "a", &work);
    put(&(struct plant){"source", "data", 1, .seconds = 1, .out = 600});
    put(&(struct plant){"fake", "a", 1, .seconds = 6, .samples = 300, .flops = .3e9, .rule = COST_RULE - 1});
    near(ask_pair(&p).core_seconds, 6, "of another rule");
    put(&(struct plant){"fake", "a", 2, .seconds = 6, .samples = 300, .flops = .3e9});
    put(&(struct plant){"fake", "a", 3, .seconds = 6, .samples = 300, .flops = .3e9});
    near(ask_pair(&p).core_seconds, 12, "of this one");
}

static double noise(int i)
{
    return 0.9 + 0.2 * (double)((unsigned)i * 2654435761u % 1000) / 1000;
}

/* 2 s and 10 s a GFLOP on one core, 0.4 of it serial; some runs disturbed. */
static void plant_law(int from, int step, int n)
{
    static const int width[] = {1, 2, 4};
    for (int k = 0, i = from; k < n; k++, i = (i + step) % n) {
        AUTO(mem) char *name = xprintf("t%d", i / 3);
        int samples = 500 + 300 * (i / 3), cores = width[i % 3];
        double t = (2 + 10 * samples / 1000.) * (0.4 + 0.6 / cores) * noise(i);
        put(&(struct plant){"fake", name, 1 + i % 28, .seconds = i % 7 == 0 ? 6 * t : t, .threads = cores,
                            .samples = samples, .flops = samples * 1e6});
    }
}

static void laws(void **state)
{
    struct pair p;
    int64_t work = 1;
    plant_law(0, 1, 30);
    make_pair(&p, "data", "new", &work);
    for (int samples = 600; samples < 20000; samples *= 3) {
        put(&(struct plant){"source", "data", 1, .seconds = samples, .out = samples});
        struct record_file f = {0};
        struct record_output o = {.port = (char *)(uintptr_t) "out", .file = &f, .n = 1, .samples = samples};
        struct record made = {.output = &o, .n = 1};
        p.known[0].record = &made;
        struct history_cost c = ask_pair(&p);
        double want = 2 + 10 * samples / 1000., serial = c.work.serial / c.core_seconds;
        if (fabs(serial - 0.4) > 0.1 || fabs(log(c.core_seconds / want)) > 0.15)
            fail_msg("%d samples: %g s, wanted %g; %g serial", samples, c.core_seconds, want, serial);
        if (!(c.error > 0.01 && c.error < 0.2))
            fail_msg("an error of %g", c.error);
    }
}

/* The order in which records come makes no difference, not to the last bit. */
static void same_again(void **state)
{
    int64_t work = 3;
    const struct task a = task_of(&fake, "t4", &work), b = task_of(&fake, "new", &work);
    plant_law(0, 1, 30);
    struct history_cost one = ask(&a), two = ask(&b);
    fs_remove_tree(dir, NULL);
    store_close(store);
    assert_true(store_open(dir, &store, NULL));
    plant_law(11, 7, 30);
    struct history_cost first = ask(&a), second = ask(&b);
    assert_memory_equal(&one, &first, sizeof one);
    assert_memory_equal(&two, &second, sizeof two);
}

/* Left out one at a time. */
static void errors(void **state)
{
    int64_t work = 1;
    const struct task a = task_of(&fake, "a", &work), b = task_of(&fake, "b", &work),
                      c = task_of(&fake, "c", &work);
    put(&(struct plant){"fake", "a", 1, .seconds = 8});
    assert_true(ask(&a).error == 0 && ask(&b).error == 0); /* one says nothing */
    put(&(struct plant){"fake", "a", 2, .seconds = 10});
    near(ask(&a).error, 0.25, "of two, either says 1.25 of the other");
    put(&(struct plant){"fake", "c", 3, .seconds = 40});
    /* of the stage: 8 by 25, 10 by 24, 40 by 9 */
    near(ask(&b).error, 25 / 8. - 1, "of the stage");
    near(ask(&a).error, 0.25, "of the tasks that ran more than once");
    near(ask(&c).error, 0.25, "of such predictions, whichever task it is");
    static const struct stage once = {.name = "once", .cost = cost};
    const struct task o = task_of(&once, "a", &work), p = task_of(&once, "b", &work);
    put(&(struct plant){"once", "a", 3, .seconds = 4});
    near(ask(&o).error, 0.25, "of a stage that ran once, as with other stages: of its task");
    near(ask(&p).error, 25 / 8. - 1, "and of others of the stage");
    /* what is left out teaches nothing of widths either: the other one is taken to be as serial as any */
    const struct stage wide = {.name = "wide", .cost = cost};
    const struct task w = task_of(&wide, "a", &work);
    put(&(struct plant){"wide", "a", 1, .seconds = 10});
    put(&(struct plant){"wide", "a", 2, .seconds = 6, .threads = 2});
    near(ask(&w).work.serial, 2, "serial");
    near(ask(&w).error, 10 / (6 / (FIT_SERIAL + (1 - FIT_SERIAL) / 2)) - 1, "of either width by the other");
}

/* Records of other hosts, alone, beside ours, and where a common stage tells how fast that host is. */
static void hosts(void **state)
{
    int64_t work = 1;
    static const struct stage common = {.name = "common", .cost = cost};
    const struct task a = task_of(&fake, "a", &work), b = task_of(&fake, "b", &work),
                      x = task_of(&common, "x", &work);
    put(&(struct plant){"fake", "a", 1, .seconds = 6, .node = "far", .memory = 100});
    put(&(struct plant){"fake", "b", 1, .seconds = 50, .node = "farther", .memory = 100});
    is(&a, HISTORY_TASK, 6, 110);
    /* far is three times as fast in what both did; of the other host nothing is known */
    put(&(struct plant){"common", "x", 1, .seconds = 12});
    put(&(struct plant){"common", "x", 2, .seconds = 4, .node = "far"});
    put(&(struct plant){"common", "y", 2, .seconds = 1, .node = "farther"}); /* a task that never ran here */
    is(&a, HISTORY_TASK, 18, 110);
    is(&b, HISTORY_TASK, 50, 110);
    is(&x, HISTORY_TASK, 12, 0); /* ours alone */
    put(&(struct plant){"fake", "a", 1, .seconds = 7, .memory = 200});
    is(&a, HISTORY_TASK, 7, 220);
    is(&b, HISTORY_TASK, 50, 110); /* this task ran only there, be it of a stage that ran here */
    const struct task fresh = task_of(&fake, "new", &work);
    is(&fresh, HISTORY_STAGE, 7, 220);
}

/* What never ran goes at the speed of what did, long stages first. */
static void estimates(void **state)
{
    int64_t work = 100;
    static const struct stage fresh = {.name = "fresh", .cost = cost};
    const struct task t = task_of(&fresh, "t", &work);
    put(&(struct plant){"long", "a", 1, .seconds = 40, .flops = 1000e9}); /* guessed 20 s */
    near(ask(&t).core_seconds, 0.01 + 2 * 2, "as slow as the one stage");
    assert_true(ask(&t).error == 0);
    put(&(struct plant){"short", "a", 1, .seconds = 0.1, .flops = 1000e9});
    near(ask(&t).error, 400 - 1, "either of two by the other");
    put(&(struct plant){"middle", "a", 1, .seconds = 5, .flops = 50e9});
    struct history_cost c = ask(&t);
    near(c.core_seconds, 0.01 + 2 * 2, "short ones say little");
    assert_true(c.source == HISTORY_ESTIMATE && c.memory == 77);
    /* long by middle: 2 of 5; short by long: 0.005 of 2; middle by long: 5 of 2. The median of the factors */
    near(c.error, 1.5, "error of guesses");
}

static void memory(void **state)
{
    int64_t work = 1;
    const struct task a = task_of(&fake, "new", &work);
    for (int i = 0; i < 20; i++) {
        AUTO(mem) char *name = xprintf("t%d", i);
        put(&(struct plant){"fake", name, 1, .seconds = 1, .memory = 1000 * (i + 1)});
    }
    assert_int_equal(ask(&a).memory, 19800); /* 18,000 and a tenth: two of twenty needed more */
}

static void table(void **state)
{
    struct history *h;
    struct history_stage *row;
    put(&(struct plant){"zebra", "a", 1, .seconds = 5, .memory = 10});
    put(&(struct plant){"fake", "a", 1, .seconds = 10, .flops = 20e9, .memory = 300});
    put(&(struct plant){"fake", "a", 2, .seconds = 6, .threads = 2, .flops = 20e9, .memory = 200});
    history_open(store, &h);
    assert_int_equal(history_stages(h, &row), 2);
    assert_string_equal(row[0].name, "fake");
    assert_string_equal(row[1].name, "zebra");
    assert_true(row[0].runs == 2 && row[0].seconds == 8 && row[0].widths && row[0].memory == 300);
    near(row[0].serial, 0.2, "serial share");
    near(row[0].flops, 2e9, "FLOPs a second on a core");
    assert_true(row[1].runs == 1 && !row[1].widths && row[1].flops == 0 && row[1].serial == FIT_SERIAL);
    assert_true(row[1].error == 0);
    free(row);
    history_close(h);
}

static int setup(void **state)
{
    struct error err = {0};
    gethostname(here, sizeof here - 1);
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
    return !mkdtemp(dir) || !store_open(dir, &store, &err);
}
static int teardown(void **state)
{
    store_close(store);
    return !fs_remove_tree(dir, NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {TEST(sources), TEST(newest),     TEST(old_records), TEST(no_flops),
                                       TEST(sizes),   TEST(other_rule), TEST(laws),        TEST(same_again),
                                       TEST(errors),  TEST(hosts),      TEST(estimates),   TEST(memory),
                                       TEST(table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
