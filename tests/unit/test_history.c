/* What earlier runs tell of a task's cost: the task's own, then its stage's, then an estimate; scaled by the
 * work. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/exec/history.h"
#include "tests/test.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct store *store;
static char dir[] = "/tmp/weft-history-XXXXXX";

static void cost(const void *params, const struct cost_input *in, struct cost *ret)
{
    ret->flops = (double)*(const int64_t *)params * 1e9 * (double)in->samples / 1000;
    ret->peak = 77;
}
static void no_cost(const void *params, const struct cost_input *in, struct cost *ret)
{
}

static void put(const char *stage, const char *task, const char *when, const char *params, double seconds,
                int threads, int64_t memory)
{
    AUTO(mem) char *text = xprintf("weft-key 1\nstage %s 1\n%sinput p[0] = %s\n", stage, params, when);
    struct record r = {.text = text,
                       .stage = (char *)stage,
                       .task = (char *)task,
                       .when = (char *)when,
                       .host = "h",
                       .seconds = seconds,
                       .threads = threads,
                       .peak_rss = memory};
    hash_bytes(text, strlen(text), &r.key);
    struct error err = {0};
    if (!store_put_record(store, &r, &err))
        fail_msg("%s", err.text);
}

static struct task task_of(const struct stage *s, const char *name, void *params)
{
    return (struct task){.name = name, .stage = s, .params = params};
}

static void is(struct history *h, const struct task *t, enum history_source source, double core_seconds,
               int64_t memory)
{
    struct history_cost c = history_predict(h, t);
    assert_string_equal(history_source_name(c.source), history_source_name(source));
    if (fabs(c.core_seconds - core_seconds) > 1e-9 * core_seconds)
        fail_msg("%s: %.17g core-seconds, wanted %.17g", t->name, c.core_seconds, core_seconds);
    assert_int_equal(c.memory, memory);
}

/* Stages that the registry does not have: records of theirs know no work, so that seconds stand as they are.
 */
static void sources(void **state)
{
    static const struct stage s = {.name = "fake", .cost = cost}, other = {.name = "other", .cost = cost};
    int64_t work = 100;
    const struct task a = task_of(&s, "a", &work), b = task_of(&s, "b", &work),
                      c = task_of(&other, "a", &work);
    struct history *h;
    history_open(store, &h);
    is(h, &a, HISTORY_ESTIMATE, 0.05 + 100 / 50., 77);
    history_close(h);
    put("fake", "a", "2026-01-02T00:00:00Z", "", 3, 2, 10);
    put("fake", "a", "2026-01-01T00:00:00Z", "", 100, 1, 20);
    put("fake", "c", "2026-01-03T00:00:00Z", "", 10, 1, 40);
    put("fake", "a", "2026-01-04T00:00:00Z", "", 0, 1, 1); /* took no time: tells nothing */
    history_open(store, &h);
    is(h, &a, HISTORY_TASK, 6, 10);   /* the newest */
    is(h, &b, HISTORY_STAGE, 10, 20); /* the median of 6, 10, 100 and of 10, 20, 40 */
    is(h, &c, HISTORY_ESTIMATE, 0.05 + 100 / 50., 77);
    history_close(h);
    put("fake", "d", "2026-01-05T00:00:00Z", "", 20, 1, 30);
    history_open(store, &h);
    is(h, &b, HISTORY_STAGE, 15, 25); /* the middle of 10 and 20 */
    history_close(h);
}

/* A stage of the registry: twice the epochs are twice the work. */
static void scaled(void **state)
{
    const struct stage *s = stage_find("pretrain");
    AUTO(arena) struct arena mem;
    arena_init(&mem);
    void *params = arena_alloc(&mem, s->params_size);
    param_defaults(s->params, params, &mem);
    const struct param *epochs = param_find(s->params, "epochs");
    int64_t *n = (int64_t *)((char *)params + epochs->offset);
    put("pretrain", "seed", "2026-01-01T00:00:00Z", "param epochs = 10\n", 5, 2, 9);
    put("pretrain", "tiny", "2026-01-02T00:00:00Z", "param epochs = 20\n", 40, 1, 9);
    put("pretrain", "odd", "2026-01-03T00:00:00Z", "param epochs = 40\n", 100, 1, 11);
    struct history *h;
    history_open(store, &h);
    const struct task seed = task_of(s, "seed", params), fresh = task_of(s, "new", params);
    *n = 10;
    is(h, &seed, HISTORY_TASK, 10, 9);
    is(h, &fresh, HISTORY_STAGE, 20, 9); /* an epoch took 1, 2 and 2.5 */
    *n = 30;
    is(h, &seed, HISTORY_TASK, 30, 9);
    is(h, &fresh, HISTORY_STAGE, 60, 9);
    history_close(h);
    put("pretrain", "strange", "2026-01-04T00:00:00Z", "param removed = 40\n", 70, 1, 11);
    history_open(store, &h); /* a record of another version of the stage: its work cannot be known */
    is(h, &fresh, HISTORY_STAGE, 55, 10);
    is(h, &seed, HISTORY_TASK, 30, 9);
    history_close(h);
}

/* Nothing known, nothing divided by. */
static void no_flops(void **state)
{
    static const struct stage with = {.name = "nothing", .cost = no_cost}, without = {.name = "none"};
    const struct task a = task_of(&with, "a", NULL), b = task_of(&without, "b", NULL);
    struct history *h;
    history_open(store, &h);
    is(h, &a, HISTORY_ESTIMATE, 0.05, 0);
    is(h, &b, HISTORY_ESTIMATE, 0.05, 0);
    history_close(h);
    history_close(NULL);
}

static int setup(void **state)
{
    struct error err = {0};
    return !mkdtemp(dir) || !store_open(dir, &store, &err);
}
static int teardown(void **state)
{
    store_close(store);
    return !fs_remove_tree(dir, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sources), cmocka_unit_test(scaled),
                                       cmocka_unit_test(no_flops)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
