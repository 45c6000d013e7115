/* What stages say of their work before any ran: it grows with what it should and with nothing else, has an
 * end, and foretells a small experiment on an empty store. */
#include "base/buf.h"
#include "base/json.h"
#include "engine/exec/history.h"
#include "engine/exec/sizes.h"
#include "stages/stage.h"
#include "tests/unit/spec_folder.h"
#include <math.h>
#include <string.h>

/* Default parameters; those that a stage wants, small. */
static void *params_of(const struct stage *s, struct arena *a)
{
    void *p = arena_alloc(a, s->params_size + 1);
    AUTO_JSON domain = json_string("rings");
    const struct param *row = param_find(s->params, "domain");
    param_defaults(s->params, p, a);
    if (strcmp(s->name, "synthetic") == 0)
        assert_true(param_set(row, p, domain, a, NULL));
    return p;
}

static struct cost ask(const struct stage *s, const void *params, const struct cost_input *in)
{
    struct cost c = {0};
    s->cost(params, in, &c);
    if (!(c.flops >= 0) || !isfinite(c.flops) || c.bytes < 0 || c.peak < 0 || c.makes.bytes < 0 ||
        c.makes.samples < 0 || !(c.makes.forward >= 0) || !isfinite(c.makes.forward))
        fail_msg("%s: %g FLOPs, %lld bytes, %lld at the peak", s->name, c.flops, (long long)c.bytes,
                 (long long)c.peak);
    return c;
}

/* Which quantities of the inputs the FLOPs follow, by more than nine tenths of tenfold; the peak and what is
 * made, at all. */
static const struct follow {
    const char *stage, *flops, *peak, *makes;
} follow[] = {
    {"embedding", "samples forward", "samples forward model", "samples"},
    {"classifier", "own forward", "samples own forward model", "samples"},
    {"evaluate", "own forward", "forward model", ""},
    {"ensemble", "own forward", "forward model", ""},
    {"pseudolabel", "chosen forward", "forward model", "chosen"},
    {"expert", "own+chosen forward", "model", "model"},
    {"comigs", "forward", "model", "forward model"},
    {"average", "", "bytes", "bytes"},
    {"router", "own+chosen forward", "model", "forward model"},
    {"merge", "", "bytes", "forward bytes"},
    {"pretrain", "samples", "", ""},
    {"dpp", "", "bytes", ""},
    {"compare", "bytes", "bytes", ""},
    {"images", "bytes", "samples", "samples bytes"},
    {"model", "", "bytes", "bytes"},
    {"synthetic", "", "", ""},
};

static bool names(const char *list, const char *word)
{
    return strstr(list, word) != NULL;
}

static void grows(void **state)
{
    static const char *const quantity[] = {"samples", "bytes", "own", "chosen", "model", "forward"};
    const struct cost_input some = {20000, 100 << 20, 1000, 1000, 100 << 20, 1e9};
    for (size_t i = 0; i < sizeof follow / sizeof *follow; i++) {
        const struct follow *f = &follow[i];
        const struct stage *s = stage_find(f->stage);
        AUTO(arena) struct arena a;
        arena_init(&a);
        const void *p = params_of(s, &a);
        struct cost before = ask(s, p, &some);
        assert_true(before.peak >= (int64_t)COST_WORKER && before.peak < (int64_t)4 << 30);
        for (size_t q = 0; q < sizeof quantity / sizeof *quantity; q++) {
            struct cost_input more = some;
            more.samples *= q == 0 ? 10 : 1, more.bytes *= q == 1 ? 10 : 1, more.own *= q == 2 ? 10 : 1;
            more.chosen *= q == 3 ? 10 : 1, more.model *= q == 4 ? 10 : 1, more.forward *= q == 5 ? 10 : 1;
            struct cost c = ask(s, p, &more);
            double times = before.flops > 0 ? c.flops / before.flops : 1;
            double want = !names(f->flops, quantity[q]) ? 1 : strchr(f->flops, '+') && q != 5 ? 5.5 : 10;
            if (fabs(times - want) > 0.1 * want)
                fail_msg("%s: 10 times the %s, %g times the FLOPs", s->name, quantity[q], times);
            if ((c.peak > before.peak) != names(f->peak, quantity[q]) || c.peak < before.peak)
                fail_msg("%s: 10 times the %s, %lld bytes at the peak, which were %lld", s->name, quantity[q],
                         (long long)c.peak, (long long)before.peak);
            if ((memcmp(&c.makes, &before.makes, sizeof c.makes) != 0) != names(f->makes, quantity[q]))
                fail_msg("%s: 10 times the %s, and what it makes", s->name, quantity[q]);
        }
    }
}

/* Nothing known, a large language model on more than there is, and no number that fits any more. */
static void bounds(void **state)
{
    static const struct cost_input in[] = {{0},
                                           {.samples = 2000000000000,
                                            .bytes = (int64_t)1 << 50,
                                            .own = 2000000000000,
                                            .model = 140000000000,
                                            .forward = 1.4e11},
                                           {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, 1e30}};
    for (const struct stage *const *s = stage_registry; *s; s++)
        for (size_t i = 0; (*s)->cost && i < sizeof in / sizeof *in; i++) {
            AUTO(arena) struct arena a;
            arena_init(&a);
            struct cost c = ask(*s, params_of(*s, &a), &in[i]);
            if (i == 1 && strcmp((*s)->name, "embedding") == 0)
                assert_true(c.peak > in[i].model && c.flops > 1e23);
        }
    assert_int_equal(cost_count(1e300), (int64_t)1 << 62);
    assert_int_equal(cost_count(-1), 0);
    assert_int_equal(cost_count(12.5), 12);
}

/* The quickstart with 2 epochs. */
static const char text[] =
    "experiment: e\n"
    "vars: { c: [stripes, rings] }\n"
    "stages:\n"
    "  public: { uses: synthetic, with: { domain: public, per_class: 120 } }\n"
    "  client: { foreach: \"${c}\", uses: synthetic, with: { domain: \"${item}\", per_class: 120 } }\n"
    "  test: { uses: synthetic, with: { domain: rings, split: test, per_class: 40 } }\n"
    "  seed: { uses: pretrain, in: { public: public }, with: { epochs: 2 } }\n"
    "  features: { uses: embedding, in: { model: seed, data: public } }\n"
    "  relevance: { foreach: \"${c}\", uses: classifier, with: { epochs: 20 },\n"
    "    in: { model: seed, public: features, private: \"client[${item}]\" } }\n"
    "  proxy: { foreach: \"${c}\", uses: dpp, with: { pool: 800, size: 200 },\n"
    "    in: { features: features, relevance: \"relevance[${item}]\" } }\n"
    "  expert: { foreach: \"${c}\", uses: expert, with: { epochs: 2, optimizer: adamw, batch: 64 },\n"
    "    in: { model: seed, private: \"client[${item}]\", public: public, proxy: \"proxy[${item}]\" } }\n"
    "  unified: { uses: merge, in: { model: seed, experts: \"expert[*]\" } }\n"
    "  router: { uses: router, in: { model: unified, public: public, proxies: \"proxy[*]\" } }\n"
    "  score: { uses: evaluate, in: { model: router, data: test } }\n";
/* As the records of such runs have it, on one core of two that others used as well; the memory in MiB. */
static const struct took {
    const char *task;
    double seconds;
    int memory;
} took[] = {{"public", 1.7, 23},         {"client[rings]", .28, 23}, {"test", .095, 23},
            {"seed", 4.0, 75},           {"features", .59, 42},      {"relevance[rings]", .115, 31},
            {"proxy[stripes]", .01, 23}, {"expert[rings]", .8, 54},  {"unified", .003, 23},
            {"router", .75, 89},         {"score", .07, 34}};

static void foretold(void **state)
{
    AUTO(store) struct store *store = NULL;
    struct spec *s = NULL;
    struct error *list = NULL, err = {0};
    struct resolver r;
    struct history *h;
    int n;
    folder_write("main.yaml", text);
    if (!spec_read("main.yaml", &(struct spec_options){0}, &s, &list, &n))
        fail_msg("%s", list->text);
    free(list);
    assert_true(store_open("store", &store, &err));
    resolver_init(&r, s, store);
    history_open(store, &h);
    history_look(h, &r);
    for (size_t i = 0; i < sizeof took / sizeof *took; i++) {
        const struct took *t = &took[i];
        struct history_cost c = history_predict(h, spec_find(s, t->task));
        double times = c.core_seconds / t->seconds;
        double memory = (double)c.memory / (t->memory << 20);
        if (times < 0.1 || times > 10 || memory < 1 / 3. || memory > 3)
            fail_msg("%s: %g s and %g MiB are foretold, it took %g s and %d MiB", t->task, c.core_seconds,
                     (double)c.memory / (1 << 20), t->seconds, t->memory);
    }
    struct sizes z;
    sizes_of_inputs(&r, spec_find(s, "expert[rings]"), NULL, &z);
    assert_true(z.known && z.in.samples == 3000 && z.in.own == 960 && z.in.chosen == 200);
    assert_true(z.in.model > 2000000 && z.in.model < 3000000); /* its file has 2.4 MB */
    assert_true(z.in.forward > 1e7 && z.in.forward < 2e7);     /* 0.44 M weights, 17 tokens */
    double forward = z.in.forward;
    sizes_of_inputs(&r, spec_find(s, "score"), NULL, &z); /* through merge and router */
    assert_true(z.known && z.in.forward == forward && z.in.samples == 320 && !z.in.chosen);
    sizes_of_inputs(&r, spec_find(s, "router"), NULL, &z);
    assert_int_equal(z.in.chosen, 400);
    history_close(h);
    resolver_done(&r, s);
    spec_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(grows), cmocka_unit_test(bounds),
                                       cmocka_unit_test_setup_teardown(foretold, folder_enter, folder_leave)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
