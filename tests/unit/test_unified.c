/* Unified models: building, their folder and back, what is refused; and the stages expert, merge and router
 * on a tiny world: they learn, they agree bit for bit whatever the threads, their mistakes are told. */
#include "stages/io/safetensors.h"
#include "stages/model/moe_vectors.h"
#include "stages/model/unified.h"
#include <math.h>

#include "tests/unit/moe_stages.h"

/* ---- building, saving, loading ---- */
static void randomise(void *arg, const char *name, struct mat *w)
{
    struct rng *r = arg;
    for (int64_t i = 0; i < mat_size(w); i++)
        w->w[i] = 0.1f * rng_normal(r);
}
/* Expert 0 is the seed's own when seed_expert; every part of a router, and a shared expert, when all. */
static void build(struct clip *m, bool bias, bool seed_expert, bool all, bool train)
{
    struct adapter_set *experts[EXPERTS] = {0};
    const float *values[UNIFIED_PARTS][LAYERS];
    struct unified_values v = {0};
    struct rng r = rng_at(rng_stream(1, "test.unified"), 0, 0);
    struct unified_options o = {1, MOE_GATE_STRAIGHT, MOE_CONTEXT_SEED, MOE_SHARED_NONE, 0.5};
    if (all)
        o = (struct unified_options){1, MOE_GATE_RAW, MOE_CONTEXT_PATCHES, MOE_SHARED_REST, 0.5};
    for (int k = seed_expert; k < EXPERTS; k++) {
        assert_true(adapter_new(m, 3, 6, (uint64_t)k, false, &arena, &experts[k], NULL));
        adapter_each(experts[k], randomise, &r);
    }
    for (int part = 0; part < UNIFIED_PARTS; part++)
        for (int l = 0; l < LAYERS; l++) {
            float *w = arena_floats(&arena, EXPERTS * WIDTH);
            for (int i = 0; i < EXPERTS * WIDTH; i++)
                w[i] = part == UNIFIED_LAMBDA ? 0.25f + (float)l : rng_normal(&r);
            values[part][l] = w;
            if (part <= UNIFIED_LAMBDA || (part == UNIFIED_BIAS && bias) || all)
                v.part[part] = values[part];
        }
    assert_true(unified_build(m, experts, EXPERTS, &v, &o, train, NULL));
}
static void embeds(struct clip *m, float *out)
{
    struct arena a;
    arena_init(&a);
    struct rng r = rng_at(rng_stream(2, "test.unified"), 0, 0);
    float pixels[2 * 3 * 8 * 8];
    const float **context;
    for (int i = 0; i < 2 * 3 * 8 * 8; i++)
        pixels[i] = rng_normal(&r);
    assert_true(clip_seed_context(m, &a, pixels, 2, &context, NULL));
    struct pass p = {.batch = 2, .arena = &a, .context = context};
    assert_true(clip_image_forward(m, &p, pixels, out, NULL, NULL, NULL));
    arena_done(&a);
}
static void link_seed(const char *to)
{
    assert_true(unified_link(path("seed"), to, NULL));
}
struct seen {
    int router, lambda, bias, balance, adapter, gradients;
};
static void count(void *arg, char kind, const char *name, struct mat *w)
{
    struct seen *s = arg;
    ++*(kind == 'r'   ? &s->router
        : kind == 'l' ? &s->lambda
        : kind == 'b' ? &s->bias
        : kind == 's' ? &s->balance
                      : &s->adapter);
    s->gradients += w->g != NULL;
    assert_true(strncmp(name, kind == 'a' ? "expert." : "layers.", 7) == 0);
}
static void round_trip(void **state)
{
    for (int kind = 0; kind < 5; kind++) {
        AUTO(clip) struct clip *m = NULL;
        AUTO(clip) struct clip *back = NULL;
        float before[2 * 8], after[2 * 8];
        struct error err = {0};
        struct seen seen = {0};
        bool all = kind == 4, bias = all || kind & 1, seed_expert = all || kind & 2;
        const char *dir = folder(arena_printf(&arena, "unified.%d", kind));
        const char *const names[] = {"pets", "flowers"};
        assert_true(clip_open(path("seed"), &m, &err));
        build(m, bias, seed_expert, all, true);
        unified_each(m, count, &seen);
        assert_true(seen.router == LAYERS * (all ? 2 : 1) && seen.lambda == LAYERS);
        assert_true(seen.bias == (all ? 3 : bias) * LAYERS && seen.balance == all * LAYERS);
        assert_int_equal(seen.adapter, LAYERS * 4 * (EXPERTS - seed_expert));
        assert_int_equal(seen.gradients, seen.router + seen.lambda + seen.bias + seen.balance + seen.adapter);
        if (!unified_save(m, names, path("seed"), dir, &err))
            fail_msg("%s", err.text);
        link_seed(dir);
        if (!clip_open(dir, &back, &err))
            fail_msg("%s", err.text);
        const struct moe *moe = &back->moe[LAYERS - 1];
        assert_true(moe->experts == EXPERTS && moe->top_k == 1 && moe->temperature == 0.5f);
        assert_true(moe->gate == (all ? MOE_GATE_RAW : MOE_GATE_STRAIGHT) && moe->lambda.w[0] == 1.25f);
        assert_true(moe->context == (all ? MOE_CONTEXT_PATCHES : MOE_CONTEXT_SEED));
        assert_true(moe->shared == (all ? MOE_SHARED_REST : MOE_SHARED_NONE));
        assert_true((moe->class_router.w && moe->negative.w && moe->balance.w) == all);
        assert_true(!moe->router.g && (moe->bias.w != NULL) == bias &&
                    (moe->expert[0].fc1.a.w == NULL) == seed_expert);
        embeds(m, before);
        embeds(back, after);
        assert_memory_equal(before, after, sizeof before);
        AUTO_JSON config = json_read(arena_printf(&arena, "%s/config.json", dir), &err);
        const json_t *name = json_array_get(json_object_get(config, "expert_names"), 1);
        assert_string_equal(json_string_value(name), "flowers");
        assert_null(json_object_get(json_object_get(config, "seed_config"), "seed_config"));
    }
}
/* A folder of a good model with one file's text replaced. */
static void refused(const char *file, const char *from, const char *to, const char *message)
{
    AUTO(clip) struct clip *m = NULL;
    AUTO(clip) struct clip *back = NULL;
    AUTO(mem) char *text = NULL;
    size_t n;
    struct error err = {0};
    const char *dir = folder("bad"), *name = path(arena_printf(&arena, "bad/%s", file));
    fs_remove_tree(dir, NULL);
    folder("bad");
    assert_true(clip_open(path("seed"), &m, &err));
    build(m, true, false, false, false);
    assert_true(unified_save(m, NULL, path("seed"), dir, &err));
    link_seed(dir);
    assert_true(fs_read_file(name, &text, &n, &err));
    char *at = memmem(text, n, from, strlen(from));
    assert_non_null(at);
    AUTO(buf) struct buf changed = {0};
    buf_add(&changed, text, (size_t)(at - text));
    buf_puts(&changed, to);
    buf_add(&changed, at + strlen(from), n - (size_t)(at - text) - strlen(from));
    assert_true(fs_write_file(name, changed.data, changed.len, &err));
    assert_false(clip_open(dir, &back, &err));
    if (err.code != ERROR_INPUT || !strstr(err.text, message))
        fail_msg("no word of '%s' in: %s", message, err.text);
}
static void bad_folders(void **state)
{
    refused("config.json", "\"straight\"", "\"curved\"", "'gate'");
    refused("config.json", "\"context\": \"seed\"", "\"context\": \"salt\"", "'context'");
    refused("config.json", "\"top_k\": 1", "\"top_k\": 3", "'top_k'");
    refused("config.json", "\"num_experts\": 2", "\"num_experts\": 3", "expert_2");
    refused("config.json", "\"weft-moe-1\"", "\"weft-moe-9\"", "'format'");
    refused("config.json", "\"top_k\"", "\"shared\": \"half\", \"top_k\"", "'shared'");
    refused("router.safetensors", "layers.1.router.bias", "layers.1.router.vibe", "router.bias");
    refused("router.safetensors", "layers.0.router.bias", "layers.0.router.vibe", "of which 4 are known");
    refused("config.json", "\"temperature\": 0.5", "\"temperature\": -1", "'temperature'");
    refused("expert_1/adapter_config.json", "\"r\": 3", "\"r\": 4", "expert 1");
}

/* ---- router vectors ---- */
static void vector_forms(void **state)
{
    struct moe_vectors *v[2];
    const double e[2][2] = {{1, 2}, {3, -2}};
    float w[4], b[2];
    for (int p = 0; p < 2; p++) {
        v[p] = moe_vectors_new(&arena, 1, 2);
        memcpy(v[p]->mean, e[p], sizeof e[p]);
    }
    assert_false(moe_vectors_router(v, 2, 0, MOE_VECTORS_RAW, MOE_VECTORS_ALL, w, b));
    assert_true(w[0] == 1 && w[3] == -2 && b[0] == 0 && b[1] == 0);
    assert_true(moe_vectors_router(v, 2, 0, MOE_VECTORS_CENTRED, MOE_VECTORS_ALL, w, b)); /* c = (2,0) */
    assert_true(w[0] == -1 && w[1] == 2 && w[2] == 1 && w[3] == -2 && b[0] == 2 && b[1] == -2);
    assert_false(moe_vectors_router(v, 2, 0, MOE_VECTORS_UNIT, MOE_VECTORS_ALL, w, b));
    assert_true(fabs((double)w[0] - 1 / sqrt(5)) < 1e-7 && fabs((double)w[3] + 2 / sqrt(13)) < 1e-7);
    assert_true(moe_vectors_router(v, 2, 0, MOE_VECTORS_DISTANCE, MOE_VECTORS_ALL, w, b));
    assert_true(w[2] == 3 && b[0] == -2.5f && b[1] == -6.5f);
    assert_true(moe_vectors_router(v, 2, 0, MOE_VECTORS_COSINE, MOE_VECTORS_ALL, w, b));
    assert_true(fabs((double)w[1] - 2 / sqrt(5)) < 1e-7 && fabs((double)b[1] + 2 / sqrt(5)) < 1e-7);
}

static void experts_learn(void **state)
{
    struct stage_run r;
    for (int threads = 1; threads <= 3; threads += 2) {
        begin_expert(&r, "one", "proxy.one", threads);
        go(&r);
        assert_true(last_loss < 0.9 * first_loss && progressed == 1);
        AUTO_JSON info = stage_run_json(&r, "router", "router.json");
        assert_int_equal(json_int_or(info, "samples", 0), 12 + 3);
        assert_int_equal(r.warnings, 1); /* blue and yellow are classes of both */
        keep_folder(&r, 0, arena_printf(&arena, "adapter.%d", threads));
        keep_folder(&r, 1, arena_printf(&arena, "vectors.%d", threads));
        stage_run_end(&r);
    }
    same_file(path("adapter.1/adapter_model.safetensors"), path("adapter.3/adapter_model.safetensors"));
    same_file(path("vectors.1/router.safetensors"), path("vectors.3/router.safetensors"));
    begin_expert(&r, "two", "proxy.two", 2);
    go(&r);
    keep_folder(&r, 0, "adapter.2");
    keep_folder(&r, 1, "vectors.2");
    stage_run_end(&r);
}
/* The means are those of the trained model, whatever goes through it at once. */
static void vectors_are_means(void **state)
{
    AUTO(clip) struct clip *m = NULL;
    AUTO(dataset) struct dataset *d = NULL;
    struct adapter_set *a;
    struct moe_vectors *got, *want = moe_vectors_new(&arena, LAYERS, WIDTH);
    struct observer o = {moe_vectors_see, want};
    struct stage_run r;
    float pixels[12 * 3 * 8 * 8], out[12 * 8];
    int64_t index[12];
    struct transform t = transform_eval(8);
    begin_expert(&r, "one", "proxy.one", 2);
    stage_run_set(&r, "e_data", "\"private\"");
    go(&r);
    assert_true(clip_open(path("seed"), &m, NULL) && dataset_open(path("one"), &d, NULL));
    assert_true(peft_load(r.outputs[0], m, false, &arena, &a, NULL));
    assert_true(moe_vectors_load(r.outputs[1], m, &arena, &got, NULL));
    clip_attach(m, a);
    for (int i = 0; i < 12; i++)
        index[i] = i;
    assert_true(loader_batch(d, index, 12, &t, rng_stream(0, "x"), 0, 1, pixels, NULL));
    struct pass p = {.batch = 12, .arena = &arena, .observer = &o};
    assert_true(clip_image_forward(m, &p, pixels, out, NULL, NULL, NULL));
    moe_vectors_finish(want);
    assert_int_equal(got->samples, 12);
    for (int i = 0; i < LAYERS * WIDTH; i++)
        assert_true(fabs(got->mean[i] - want->mean[i]) < 1e-5 && fabs(got->cls[i] - want->cls[i]) < 1e-5);
    for (int l = 0; l < LAYERS; l++)
        assert_true(fabs(got->square[l] - want->square[l]) < 1e-4 && got->square[l] > 1);
    stage_run_end(&r);
}
static void merged_rows_are_means(void **state)
{
    AUTO(clip) struct clip *m = NULL;
    struct moe_vectors *v;
    struct stage_run r;
    begin_merge(&r);
    stage_run_set(&r, "lambda", "0.7");
    go(&r);
    assert_true(clip_open(r.outputs[0], &m, &r.err));
    assert_true(moe_vectors_load(path("vectors.2"), m, &arena, &v, NULL));
    assert_true(m->moe[1].gate == MOE_GATE_RAW && m->moe[1].lambda.w[0] == 0.7f && !m->moe[1].bias.w);
    for (int j = 0; j < WIDTH; j++)
        assert_true(m->moe[1].router.w[WIDTH + j] == (float)v->mean[WIDTH + j]);
    char target[256];
    assert_true(readlink(stage_out_file(&r.ctx, "model", "expert_1/adapter_model.safetensors"), target, 256) >
                0);
    keep_folder(&r, 0, "merged");
    stage_run_end(&r);
    begin_merge(&r);
    stage_run_set(&r, "init", "\"random\"");
    go(&r);
    keep_folder(&r, 0, "random");
    stage_run_end(&r);
}
static void router_learns(void **state)
{
    struct stage_run r;
    for (int threads = 1; threads <= 3; threads += 2) {
        begin_router(&r, "random", threads);
        go(&r);
        assert_true(last_loss < first_loss && progressed == 1);
        keep_folder(&r, 0, arena_printf(&arena, "tuned.%d", threads));
        stage_run_end(&r);
    }
    same_file(path("tuned.1/router.safetensors"), path("tuned.3/router.safetensors"));
    same_file(path("tuned.1/expert_0/adapter_model.safetensors"),
              path("tuned.3/expert_0/adapter_model.safetensors"));
    begin_router(&r, "tuned.1", 1); /* its output is a unified model again */
    stage_run_set(&r, "train", "\"router\"");
    go(&r);
    same_file(path("tuned.1/expert_1/adapter_model.safetensors"),
              stage_out_file(&r.ctx, "model", "expert_1/adapter_model.safetensors"));
    stage_run_end(&r);
    begin_router(&r, "tuned.1", 1);
    stage_run_set(&r, "train", "\"experts\"");
    go(&r);
    same_file(path("tuned.1/router.safetensors"), stage_out_file(&r.ctx, "model", "router.safetensors"));
    stage_run_end(&r);
}
static void refusals(void **state)
{
    struct stage_run r;
    begin_expert(&r, "one", NULL, 1);
    stage_run_connect(&r, "public", path("public"));
    fails(&r, "'public' and 'proxy'");
    begin_expert(&r, "one", "proxy.bad", 1);
    fails(&r, "nowhere.png");
    begin_merge(&r);
    stage_run_set(&r, "top_k", "3");
    fails(&r, "'top_k'");
    begin_router(&r, "seed", 1);
    fails(&r, "no unified model");
    begin_router(&r, "merged", 1);
    stage_run_connect(&r, "proxies", path("proxy.bad"));
    fails(&r, "nowhere.png");
    begin_expert(&r, "one", "proxy.one", 1);
    stage_run_set(&r, "template", "\"a photo\"");
    assert_false(stage_expert.check(r.params, &r.err));
    stage_run_end(&r);
    begin_expert(&r, "one", NULL, 1); /* without alignment */
    go(&r);
    stage_run_end(&r);
    begin_expert(&r, "one", "proxy.one", 1);
    stage_run_set(&r, "labels", "\"private\"");
    stage_run_set(&r, "optimizer", "\"adamw\"");
    stage_run_set(&r, "schedule", "\"cosine\"");
    stage_run_set(&r, "warmup", "0.2");
    stage_run_set(&r, "clip", "1");
    stage_run_set(&r, "image_transform", "\"clip\"");
    go(&r);
    stage_run_end(&r);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),        cmocka_unit_test(bad_folders),
        cmocka_unit_test(vector_forms),      cmocka_unit_test(experts_learn),
        cmocka_unit_test(vectors_are_means), cmocka_unit_test(merged_rows_are_means),
        cmocka_unit_test(router_learns),     cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, make_world, end_world);
}
