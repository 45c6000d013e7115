/* What the stage router trains on: proxies, clients' images, or both. Equal samples make equal models or
 * equal losses, whichever inputs they came through. */
#include "base/json.h"

#include "tests/unit/moe_stages.h"

static double samples; /* passes over them counted */
static void keep_total(struct stage_context *ctx, double done, double total, const char *unit)
{
    samples = total;
}
static int make(void **state)
{
    struct stage_run r;
    make_world(state);
    for (int k = 1; k <= EXPERTS; k++) {
        begin_expert(&r, k == 1 ? "one" : "two", NULL, 2);
        stage_run_set(&r, "epochs", "1");
        go(&r);
        keep_folder(&r, 0, arena_printf(&arena, "adapter.%d", k));
        keep_folder(&r, 1, arena_printf(&arena, "vectors.%d", k));
        stage_run_end(&r);
    }
    begin_merge(&r);
    go(&r);
    keep_folder(&r, 0, "merged");
    stage_run_end(&r);
    write_set("both", 2, 4, 6); /* the classes of one and two */
    write_set("all", 0, 6, 6);
    return 0;
}
static void begin_with(struct stage_run *r, const char *public, const char *proxies, int threads)
{
    begin(r, &stage_router, threads);
    stage_run_connect(r, "model", path("merged"));
    if (public) {
        stage_run_connect(r, "public", path(public));
        stage_run_connect(r, "proxies", path(proxies));
    }
    r->ctx.progress = keep_total;
    stage_run_set(r, "batch", "5");
    stage_run_set(r, "epochs", "2");
}
/* A selection of the data set's images; of all where `first` is NULL, else of those and of the client
 * `two`'s. */
static void select_images(const char *as, const char *set, const char *first)
{
    AUTO(dataset) struct dataset *d = NULL;
    AUTO(buf) struct buf ids = {0};
    assert_true(dataset_open(path(set), &d, NULL));
    buf_printf(&ids, "{\"ids\": [%s", first ? first : "");
    for (int64_t i = 0; i < dataset_count(d); i++) {
        const char *id = dataset_id(d, i);
        if (!first || !strncmp(id, "cyan", 4) || !strncmp(id, "pink", 4))
            buf_printf(&ids, "%s\"%s\"", ids.data[ids.len - 1] == '[' ? "" : ", ", id);
    }
    buf_puts(&ids, "]}");
    write_selection(as, buf_str(&ids));
}
/* One client's images are the same as a public set of which all are proxies. */
static void one_client(void **state)
{
    static const char *const file[] = {"router.safetensors", "expert_0/adapter_model.safetensors",
                                       "expert_1/adapter_model.safetensors"};
    struct stage_run a, b;
    select_images("proxy.whole", "one", NULL);
    begin_with(&a, NULL, NULL, 3);
    stage_run_connect(&a, "private", path("one"));
    begin_with(&b, "one", "proxy.whole", 1);
    go(&a);
    go(&b);
    for (int i = 0; i < 3; i++)
        same_file(stage_out_file(&a.ctx, "model", file[i]), stage_out_file(&b.ctx, "model", file[i]));
    stage_run_end(&a);
    stage_run_end(&b);
}
/* The loss before anything moves: only what the samples and classes are matters, not their order. */
static double loss_of(struct stage_run *r, int want)
{
    stage_run_set(r, "lr", "0");
    stage_run_set(r, "augment", "false");
    go(r);
    if (samples != 2 * want)
        fail_msg("%g samples in two passes, wanted %d", samples, 2 * want);
    stage_run_end(r);
    return first_loss;
}
static void near(double a, double b)
{
    if (!(a > b - 1e-5 && a < b + 1e-5))
        fail_msg("%.9g and %.9g", a, b);
}
static void pooled(void **state)
{
    struct stage_run r;
    begin_with(&r, NULL, NULL, 2);
    stage_run_connect(&r, "private", path("one"));
    stage_run_connect(&r, "private", path("two"));
    double got = loss_of(&r, 24);
    select_images("proxy.both", "both", NULL);
    begin_with(&r, "both", "proxy.both", 2);
    near(got, loss_of(&r, 24));
    begin_with(&r, NULL, NULL, 2);
    stage_run_connect(&r, "private", path("one"));
    double alone = loss_of(&r, 12);
    assert_true(alone < got - 0.1); /* of two classes, not of four */
}
static void with_public(void **state)
{
    struct stage_run r;
    begin_with(&r, "public", "proxy.one", 2);
    stage_run_connect(&r, "private", path("two"));
    double got = loss_of(&r, 3 + 12);
    select_images("proxy.mixed", "all", "\"red/1.png\", \"blue/0.png\", \"green/2.png\"");
    begin_with(&r, "all", "proxy.mixed", 2);
    near(got, loss_of(&r, 3 + 12));
    begin_with(&r, "public", "proxy.one", 2); /* blue and yellow are classes of both */
    stage_run_connect(&r, "private", path("one"));
    go(&r);
    assert_int_equal(r.warnings, 1);
    stage_run_end(&r);
}
static void rows(void **state)
{
    static const struct {
        const char *rows;
        int want;
    } cases[] = {{"4", 8}, {"12", 24}, {"50", 24}, {"1", 2}};
    double loss[4];
    for (int i = 0; i < 4; i++) {
        struct stage_run r;
        begin_with(&r, NULL, NULL, 2);
        stage_run_connect(&r, "private", path("one"));
        stage_run_connect(&r, "private", path("two"));
        stage_run_set(&r, "private_rows", cases[i].rows);
        loss[i] = loss_of(&r, cases[i].want);
    }
    near(loss[1], loss[2]);
    /* one image a client: which ones, the seed draws */
    double other = loss[3];
    for (int seed = 1; seed < 6 && other == loss[3]; seed++) {
        struct stage_run r;
        begin_with(&r, NULL, NULL, 2);
        stage_run_connect(&r, "private", path("one"));
        stage_run_connect(&r, "private", path("two"));
        stage_run_set(&r, "private_rows", "1");
        stage_run_set(&r, "seed", arena_printf(&arena, "%d", seed));
        other = loss_of(&r, 2);
    }
    assert_true(other != loss[3]);
}
static void refusals(void **state)
{
    struct stage_run r;
    begin_with(&r, NULL, NULL, 1);
    fails(&r, "nothing to train on");
    begin_with(&r, "public", "proxy.one", 1);
    stage_run_set(&r, "private_rows", "3");
    fails(&r, "'private_rows' has no effect");
    begin_with(&r, NULL, NULL, 1);
    stage_run_connect(&r, "private", path("one"));
    stage_run_connect(&r, "public", path("public"));
    fails(&r, "'public' and 'proxies' belong together");
    begin_with(&r, NULL, NULL, 1);
    stage_run_connect(&r, "private", path("seed"));
    assert_false(stage_run_go(&r));
    stage_run_end(&r);
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_client), cmocka_unit_test(pooled),
                                       cmocka_unit_test(with_public), cmocka_unit_test(rows),
                                       cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, make, end_world);
}
