/* Rounds of CoMiGS: who learns when and from what, what is averaged and what stays, and that a training is
 * the same however it is cut into rounds. */
#include "stages/io/safetensors.h"
#include "tests/unit/stage_world.h"
#include <math.h>

extern const struct stage stage_pretrain, stage_comigs, stage_average;

#define CLASSES 3
#define EACH    8
#define BASE    "\"rank\": 2, \"alpha\": 4, \"batch\": 6, \"holdout\": 0.3"

static struct stage_run seed; /* its folder stays */
static const char *private;
enum { MODEL, GENERALIST };

/* A metric's last value. */
static double told[3];
static void metric(struct stage_context *ctx, const char *name, double value, int64_t at)
{
    static const char *const names[] = {"loss", "router_loss", "router_balance_loss"};
    (void)ctx;
    (void)at;
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0)
            told[i] = value;
}
static void begin(struct stage_run *r, const char *params, const char *state, const char *mean)
{
    stage_run_begin(r, &stage_comigs);
    stage_run_connect(r, "model", seed.outputs[0]);
    stage_run_connect(r, "private", private);
    if (state)
        stage_run_connect(r, "state", state);
    if (mean)
        stage_run_connect(r, "generalist", mean);
    world_set(r, "{" BASE "}");
    world_set(r, params);
    r->ctx.metric = metric;
}
static void round_(struct stage_run *r, const char *params, const char *state, const char *mean)
{
    begin(r, params, state, mean);
    world_go(r);
}
static void refuses(const char *params, const char *state, const char *mean, const char *want)
{
    struct stage_run r;
    begin(&r, params, state, mean);
    assert_false(stage_run_go(&r));
    if (!strstr(r.err.text, want))
        fail_msg("wanted '%s', got '%s'", want, r.err.text);
    stage_run_end(&r);
}
/* Bytes of a file of the model. */
static void bytes_of(struct stage_run *r, const char *file, struct buf *out)
{
    AUTO(mem) char *path = xprintf("%s/%s", r->outputs[MODEL], file);
    char *text;
    size_t n;
    assert_true(fs_read_file(path, &text, &n, NULL));
    buf_clear(out);
    buf_add(out, text, n);
    free(text);
}
static bool same_file(struct stage_run *a, struct stage_run *b, const char *file)
{
    AUTO(buf) struct buf x = {0};
    AUTO(buf) struct buf y = {0};
    bytes_of(a, file, &x);
    bytes_of(b, file, &y);
    return x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
}
#define ROUTER     "router.safetensors"
#define SHARED     "expert_0/adapter_model.safetensors"
#define SPECIALIST "expert_1/adapter_model.safetensors"

/* ---- who learns ---- */
static void by_turns(void **state)
{
    struct stage_run none, two, three, alone;
    round_(&none, "{\"steps\": 0}", NULL, NULL);
    round_(&two, "{\"steps\": 2, \"router_every\": 3, \"router_steps\": 2}", NULL, NULL);
    round_(&three, "{\"steps\": 3, \"router_every\": 3, \"router_steps\": 2}", NULL, NULL);
    round_(&alone, "{\"steps\": 3, \"router_every\": 3, \"router_steps\": 0}", NULL, NULL);
    assert_true(same_file(&none, &two, ROUTER)); /* not yet */
    assert_false(same_file(&none, &two, SHARED));
    assert_false(same_file(&none, &two, SPECIALIST));
    assert_false(same_file(&two, &three, ROUTER));
    assert_true(same_file(&none, &alone, ROUTER));
    assert_true(same_file(&alone, &three, SHARED)); /* the routers' steps move nothing else */
    assert_true(same_file(&alone, &three, SPECIALIST));
    stage_run_end(&none);
    stage_run_end(&two);
    stage_run_end(&three);
    stage_run_end(&alone);
}
/* Each image changed once: the experts see it, or else the routers do, and both have some. */
static void parts(void **state)
{
    static const char few[] = "{\"steps\": 4, \"router_every\": 4, \"router_steps\": 4, \"augment\": false}";
    struct stage_run plain;
    int held = 0;
    round_(&plain, few, NULL, NULL);
    for (int i = 0; i < CLASSES * EACH; i++) {
        struct stage_run other;
        AUTO(mem) char *class = xprintf("c%d", i / EACH + 4);
        world_image(private, class, i % EACH, 1, 0); /* another picture */
        round_(&other, few, NULL, NULL);
        bool seen = !same_file(&plain, &other, SHARED), routed = !same_file(&plain, &other, ROUTER);
        assert_true(routed); /* of itself, or because the experts differ */
        held += !seen;
        stage_run_end(&other);
        world_image(private, class, i % EACH, i / EACH + 4, i % EACH);
    }
    assert_true(held >= 2 && held <= CLASSES * EACH / 2);
    stage_run_end(&plain);
}

/* ---- rounds ---- */
static const char *const optimizers[] = {
    "\"router_every\": 3, \"router_steps\": 2, \"horizon\": 6",
    "\"router_every\": 3, \"router_steps\": 2, \"optimizer\": \"sgd\", \"lr\": 0.1, \"schedule\": "
    "\"constant\"",
    "\"router_every\": 2, \"router_steps\": 1, \"optimizer\": \"sgd\", \"momentum\": 0"};
/* Seven steps at once, and as rounds of 2, 4 and 1 on other threads. */
static void cut_anywhere(void **state)
{
    static const int steps[] = {2, 4, 1};
    for (size_t i = 0; i < sizeof optimizers / sizeof *optimizers; i++) {
        struct stage_run whole, part[3];
        AUTO(mem) char *all = xprintf("{\"steps\": 7, %s}", optimizers[i]);
        round_(&whole, all, NULL, NULL);
        for (int k = 0; k < 3; k++) {
            AUTO(mem) char *some = xprintf("{\"steps\": %d, %s}", steps[k], optimizers[i]);
            begin(&part[k], some, k ? part[k - 1].outputs[MODEL] : NULL, NULL);
            part[k].ctx.threads = k + 1;
            world_go(&part[k]);
        }
        for (int port = 0; port < 2; port++) {
            AUTO(buf) struct buf want = {0};
            AUTO(buf) struct buf got = {0};
            world_bytes(&whole, port, &want);
            world_bytes(&part[2], port, &got);
            assert_int_equal(got.len, want.len);
            assert_memory_equal(got.data, want.data, want.len);
        }
        for (int k = 0; k < 3; k++)
            stage_run_end(&part[k]);
        stage_run_end(&whole);
    }
}
/* The mean takes the place of the client's generalist, and of nothing else. */
static void mean_comes_back(void **state)
{
    static const char few[] = "{\"steps\": 3, \"router_every\": 3, \"router_steps\": 1}",
                      none[] = "{\"steps\": 0}";
    struct stage_run own, other, back, kept;
    round_(&own, few, NULL, NULL);
    round_(&other, "{\"steps\": 5}", NULL, NULL);
    round_(&back, none, own.outputs[MODEL], other.outputs[GENERALIST]);
    round_(&kept, none, own.outputs[MODEL], NULL);
    assert_true(same_file(&back, &other, SHARED));
    assert_false(same_file(&own, &other, SHARED));
    assert_true(same_file(&back, &own, SPECIALIST));
    assert_true(same_file(&back, &own, ROUTER));
    assert_true(same_file(&kept, &own, SHARED));
    assert_true(same_file(&kept, &own, "state.safetensors"));
    AUTO(safetensors) struct safetensors *a = NULL;
    AUTO(safetensors) struct safetensors *b = NULL;
    AUTO(mem) char *pa = xprintf("%s/state.safetensors", own.outputs[MODEL]);
    AUTO(mem) char *pb = xprintf("%s/state.safetensors", back.outputs[MODEL]);
    assert_true(safetensors_open(pa, &a, NULL) && safetensors_open(pb, &b, NULL));
    assert_string_equal(safetensors_metadata(b, "steps.0"), "3");
    assert_string_equal(safetensors_metadata(b, "steps.1"), "1");
    int differ = 0;
    for (int i = 0; i < safetensors_count(a); i++) {
        const struct tensor *x = safetensors_at(a, i), *y = safetensors_find(b, x->name);
        bool same = memcmp(x->data, y->data, (size_t)x->n * sizeof(float)) == 0;
        assert_true(same || strstr(x->name, ".weight")); /* the optimisers remember */
        differ += !same;
    }
    assert_int_equal(differ, 2 * 4); /* A and B of two matrices in two layers */
    stage_run_end(&own);
    stage_run_end(&other);
    stage_run_end(&back);
    stage_run_end(&kept);
}

/* ---- rates and losses ---- */
/* Largest difference of two files' tensors, and largest entry of the first. */
static double distance(struct stage_run *a, struct stage_run *b, const char *file, double *size)
{
    AUTO(safetensors) struct safetensors *x = NULL;
    AUTO(safetensors) struct safetensors *y = NULL;
    AUTO(mem) char *px = xprintf("%s/%s", a->outputs[MODEL], file);
    AUTO(mem) char *py = xprintf("%s/%s", b->outputs[MODEL], file);
    double most = 0;
    assert_true(safetensors_open(px, &x, NULL) && safetensors_open(py, &y, NULL));
    *size = 0;
    for (int i = 0; i < safetensors_count(x); i++) {
        const float *p = safetensors_at(x, i)->data,
                    *q = safetensors_find(y, safetensors_at(x, i)->name)->data;
        for (int64_t k = 0; k < safetensors_at(x, i)->n; k++) {
            most = fmax(most, fabs((double)p[k] - (double)q[k]));
            *size = fmax(*size, fabs((double)p[k]));
        }
    }
    return most;
}
/* A cosine over two steps: the full rate, then (1 + .1) / 2 of it, then a tenth, and that from then on. */
static void schedule(void **state)
{
    static const double rate[] = {1, 0.55, 0.1, 0.1};
    struct stage_run before = {0};
    const char *from = NULL;
    for (int k = 0; k < 4; k++) {
        struct stage_run falls, stays;
        double size;
        AUTO(mem)
        char *same = xprintf("{\"steps\": 1, \"schedule\": \"constant\", \"lr\": %.17g, \"weight_decay\": 0}",
                             0.002 * rate[k]);
        round_(&falls, "{\"steps\": 1, \"horizon\": 2, \"weight_decay\": 0}", from, NULL);
        round_(&stays, same, from, NULL);
        assert_true(distance(&falls, &stays, SHARED, &size) <= 1e-6 * size);
        assert_true(size > 0);
        stage_run_end(&stays);
        if (from)
            stage_run_end(&before);
        before = falls;
        from = before.outputs[MODEL];
    }
    stage_run_end(&before);
}
/* After one step AdamW's means are (1 - beta1) g and (1 - beta2) g^2. */
static void memory(void **state)
{
    struct stage_run r;
    round_(&r, "{\"steps\": 1, \"beta2\": 0.75}", NULL, NULL);
    AUTO(safetensors) struct safetensors *f = NULL;
    AUTO(mem) char *path = xprintf("%s/state.safetensors", r.outputs[MODEL]);
    assert_true(safetensors_open(path, &f, NULL));
    const struct tensor *first = safetensors_find(f, "0.1.first"),
                        *second = safetensors_find(f, "0.1.second");
    int seen = 0;
    for (int64_t i = 0; i < first->n; i++) {
        double m = (double)((const float *)first->data)[i], v = (double)((const float *)second->data)[i];
        if (fabs(m) < 1e-6)
            continue;
        assert_true(fabs(v / (m * m) - 0.25 / 0.01) < 1e-3);
        seen++;
    }
    assert_true(seen > first->n / 2);
    stage_run_end(&r);
}
/* AdamW's first step moves every B by the rate; lr_router is the routers' own. */
static void first_step(void **state)
{
    struct stage_run r, slow, fast;
    double size;
    round_(&r, "{\"steps\": 1, \"router_steps\": 0, \"lr\": 0.01, \"weight_decay\": 0}", NULL, NULL);
    AUTO(safetensors) struct safetensors *f = NULL;
    AUTO(mem) char *path = xprintf("%s/" SPECIALIST, r.outputs[MODEL]);
    assert_true(safetensors_open(path, &f, NULL));
    double most = 0;
    for (int i = 0; i < safetensors_count(f); i++) {
        const struct tensor *t = safetensors_at(f, i);
        for (int64_t k = 0; strstr(t->name, "lora_B") && k < t->n; k++)
            most = fmax(most, fabs((double)((const float *)t->data)[k]));
    }
    assert_true(fabs(most - 0.01) < 1e-4);
    stage_run_end(&r);
    round_(&slow, "{\"steps\": 1, \"router_every\": 1, \"router_steps\": 1, \"lr_router\": 0}", NULL, NULL);
    round_(&fast,
           "{\"steps\": 1, \"router_every\": 1, \"router_steps\": 1, \"lr_router\": 5, \"lr\": 0.02, "
           "\"weight_decay\": 0}",
           NULL, NULL);
    assert_true(fabs(distance(&slow, &fast, ROUTER, &size) - 0.1) < 1e-3);
    stage_run_end(&slow);
    stage_run_end(&fast);
}
/* E sum c_e f_e P_e with f = 1/2: 1 where both count the same; above q = 1/2 it pulls towards the generalist.
 */
static void balance(void **state)
{
    struct stage_run r;
    double start;
    round_(&r, "{\"steps\": 1, \"router_every\": 1, \"router_steps\": 2}", NULL, NULL);
    assert_true(fabs(told[2] - 1) < 1e-5);
    stage_run_end(&r);
    round_(&r,
           "{\"steps\": 1, \"router_every\": 1, \"router_steps\": 1, \"importance\": 0.9, \"balance_loss\": "
           "100}",
           NULL, NULL);
    start = told[2];
    assert_true(start > 0.5 / 0.9 && start < 0.5 / 0.1);
    stage_run_end(&r);
    round_(&r,
           "{\"steps\": 1, \"router_every\": 1, \"router_steps\": 40, \"importance\": 0.9, \"balance_loss\": "
           "100, "
           "\"lr_router\": 10}",
           NULL, NULL);
    assert_true(told[2] < start - 0.5);
    stage_run_end(&r);
}
static void learns(void **state)
{
    struct stage_run one, more;
    round_(&one, "{\"steps\": 3, \"lr\": 0.02, \"router_every\": 3, \"router_steps\": 1}", NULL, NULL);
    double loss = told[0], router = told[1];
    round_(&more, "{\"steps\": 30, \"lr\": 0.02, \"router_every\": 50}", one.outputs[MODEL], NULL);
    assert_true(told[0] < loss - 0.05);
    stage_run_end(&one);
    stage_run_end(&more);
    round_(&one, "{\"steps\": 3, \"lr\": 0.02, \"router_every\": 3, \"router_steps\": 40}", NULL, NULL);
    assert_true(told[1] < router - 1e-3); /* the mean over its steps */
    stage_run_end(&one);
}
static void errors(void **state)
{
    struct stage_run r, three;
    round_(&r, "{\"steps\": 1}", NULL, NULL);
    round_(&three, "{\"steps\": 1, \"rank\": 3}", NULL, NULL);
    refuses("{\"holdout\": 0}", NULL, NULL, "of the client's 24 images 0 are held out");
    refuses("{\"holdout\": 1}", NULL, NULL, "24 are held out");
    refuses("{}", seed.outputs[0], NULL, "this one has no file 'state.safetensors'");
    refuses("{}", three.outputs[MODEL], NULL, "input 'state' does not fit");
    refuses("{\"optimizer\": \"sgd\"}", r.outputs[MODEL], NULL, "input 'state' does not fit");
    refuses("{}", r.outputs[MODEL], three.outputs[GENERALIST],
            "input 'generalist' has rank 3 and scale 2.3094, the client's experts have 2 and 2.82843");
    refuses("{\"scaling\": \"rank\"}", r.outputs[MODEL], r.outputs[GENERALIST],
            "has rank 2 and scale 2.82843, the client's experts have 2 and 2");
    stage_run_end(&three);
    stage_run_begin(&three, &stage_comigs);
    stage_run_connect(&three, "model", r.outputs[MODEL]);
    stage_run_connect(&three, "private", private);
    assert_false(stage_run_go(&three));
    assert_non_null(strstr(three.err.text, "is the dense seed of all rounds"));
    stage_run_end(&three);
    stage_run_end(&r);
}

/* ---- the mean ---- */
#define N 5
static const char *adapter(struct stage_run *r, const char *config, const char *name, const float *x,
                           int64_t n)
{
    const char *dir = stage_run_input(r, "adapters");
    const int64_t shape[] = {n, 1};
    struct safetensors_writer *w = safetensors_writer_new();
    stage_run_file(r, dir, "adapter_config.json", config);
    safetensors_writer_add(w, "first", DTYPE_F32, 2, shape, x);
    safetensors_writer_add(w, name, DTYPE_F32, 2, shape, x);
    assert_true(safetensors_write(w, arena_printf(&r->arena, "%s/adapter_model.safetensors", dir), NULL));
    return dir;
}
static void average(void **state)
{
    static const float a[N] = {1, 0.1f, 3e-30f, -7, 16777216}, b[N] = {2, 0.1f, 1e30f, 7, 1},
                       c[N] = {6, 0.1f, -1e30f, 0, 1};
    static const float *const all[] = {a, b, c};
    struct stage_run r;
    stage_run_begin(&r, &stage_average);
    for (int k = 0; k < 3; k++)
        adapter(&r, "{\"r\": 2, \"lora_alpha\": 4}", "second", all[k], N);
    world_go(&r);
    AUTO(safetensors) struct safetensors *f = NULL;
    assert_true(safetensors_open(stage_out_file(&r.ctx, "adapter", "adapter_model.safetensors"), &f, NULL));
    assert_int_equal(safetensors_count(f), 2);
    for (int t = 0; t < 2; t++) {
        const float *x = safetensors_at(f, t)->data;
        for (int i = 0; i < N; i++) /* rounded once */
            assert_true(x[i] == (float)(((double)a[i] + (double)b[i] + (double)c[i]) / 3));
        assert_true(x[1] == 0.1f); /* equals stay what they are */
    }
    AUTO_JSON config = stage_run_json(&r, "adapter", "adapter_config.json");
    assert_int_equal(json_integer_value(json_object_get(config, "lora_alpha")), 4);
    stage_run_end(&r);
}
static void no_mean(void **state)
{
    static const float x[N] = {1};
    static const struct {
        const char *config, *name, *want;
        int64_t n;
    } row[] = {{"{\"r\": 3}", "second", "adapters 0 and 1 differ in 'r': they have no mean", N},
               {"{\"r\": 2, \"use_rslora\": true}", "second", "differ in 'use_rslora'", N},
               {"{\"r\": 2}", "third", "'second'", N},
               {"{\"r\": 2}", "second", "adapter 1", N - 1}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct stage_run r;
        stage_run_begin(&r, &stage_average);
        adapter(&r, "{\"r\": 2}", "second", x, N);
        adapter(&r, row[i].config, row[i].name, x, row[i].n);
        assert_false(stage_run_go(&r));
        if (!strstr(r.err.text, row[i].want))
            fail_msg("wanted '%s', got '%s'", row[i].want, r.err.text);
        stage_run_end(&r);
    }
}

static int setup(void **state)
{
    stage_run_begin(&seed, &stage_pretrain);
    const char *public = stage_run_input(&seed, "public");
    private = arena_printf(&seed.arena, "%s/private", seed.dir);
    assert_true(fs_mkdirs(private, NULL));
    world_data(public, 4, 0, 3);
    world_data(private, CLASSES, 4, EACH);
    world_set(&seed, "{" WORLD_SEED ", \"epochs\": 1}");
    world_go(&seed);
    return 0;
}
static int teardown(void **state)
{
    stage_run_end(&seed);
    return 0;
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_turns),        cmocka_unit_test(parts),    cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(mean_comes_back), cmocka_unit_test(schedule), cmocka_unit_test(memory),
        cmocka_unit_test(first_step),      cmocka_unit_test(balance),  cmocka_unit_test(learns),
        cmocka_unit_test(errors),          cmocka_unit_test(average),  cmocka_unit_test(no_mean)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
