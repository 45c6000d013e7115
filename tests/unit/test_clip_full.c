/* CLIP at full size, with random weights: ViT-B/32, B/16, L/14 open, run, learn and are written with the
 * names and shapes of the published files, and float32 weights are not copied. Tables of names:
 * tests/unit/clip_files.h. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/model/clip_parts.h"
#include "stages/model/peft.h"
#include "tests/test.h"
#include "tests/unit/clip_files.h"
#include "tests/unit/stage_run.h"

#include <omp.h>

extern const struct stage stage_model;
static char root[] = "/tmp/weft-full-XXXXXX";
static struct clip_rows rows;
#ifdef __SANITIZE_ADDRESS__
#define SLOW                                                                                                 \
    true /* 150 million weights under a sanitizer: the small models of test_clip_import have to do           \
          */
#else
#define SLOW false
#endif
#define B32 "{\"model_type\":\"clip\"}"

static char *in(const char *dir, const char *name)
{
    return xprintf("%s/%s", dir, name);
}
static void put(const char *dir, const char *name, const char *text)
{
    AUTO(mem) char *path = in(dir, name);
    assert_true(fs_write_file(path, text, strlen(text), NULL));
}
/* A new folder; the one before is gone: they are large. */
static char *folder(const char *config)
{
    char *dir = in(root, "model");
    assert_true(fs_remove_tree(dir, NULL) && fs_mkdirs(dir, NULL));
    if (config)
        put(dir, "config.json", config);
    return dir;
}
static void single(const char *dir, enum dtype type, bool hole)
{
    AUTO(mem) char *path = in(dir, "model.safetensors");
    clip_file(path, &rows, 0, rows.n, type, hole);
}
static void shards(const char *dir, int n, enum dtype type)
{
    AUTO_JSON index = json_pack("{s:{}}", "weight_map");
    AUTO(mem) char *map = in(dir, "model.safetensors.index.json");
    for (int k = 0; k < n; k++) {
        char name[64];
        int first = rows.n * k / n, end = rows.n * (k + 1) / n;
        snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", k + 1, n);
        AUTO(mem) char *path = in(dir, name);
        clip_file(path, &rows, first, end, type, false);
        for (int i = first; i < end; i++)
            json_object_set_new(json_object_get(index, "weight_map"), rows.row[i].name, json_string(name));
    }
    assert_true(json_write(map, index, NULL));
}
static void import(struct stage_run *r, const char *dir)
{
    AUTO(mem) char *text = xprintf("\"%s\"", dir);
    stage_run_begin(r, &stage_model);
    stage_run_set(r, "path", text);
    if (!stage_run_go(r))
        fail_msg("%s", r->err.text);
}
static struct clip *opened(const char *dir)
{
    struct clip *m = NULL;
    struct error err = {0};
    if (!clip_open(dir, &m, &err))
        fail_msg("%s", err.text);
    return m;
}
/* The files of dir have exactly these tensors. */
static void expect_rows(const char *dir, const struct clip_rows *want, enum dtype type)
{
    AUTO(safetensors) struct safetensors *s = NULL;
    assert_true(safetensors_open_model(dir, &s, NULL));
    assert_int_equal(safetensors_count(s), want->n);
    assert_string_equal(safetensors_metadata(s, "format") ? safetensors_metadata(s, "format") : "pt", "pt");
    for (int i = 0; i < want->n; i++) {
        const struct clip_row *x = &want->row[i];
        const struct tensor *t = safetensors_find(s, x->name);
        if (!t || t->rank != x->rank || t->dtype != type ||
            memcmp(t->shape, x->shape, (size_t)x->rank * sizeof *t->shape) != 0)
            fail_msg("'%s' is not as it should be", x->name);
    }
}
static const float *pixels_of(const struct clip *m, struct arena *a)
{
    int64_t n = 3 * m->config.image_size * m->config.image_size;
    float *x = arena_floats(a, n);
    struct rng r = rng_at(rng_stream(5, "pixels"), 0, 0);
    for (int64_t i = 0; i < n; i++)
        x[i] = 2 * rng_uniform(&r) - 1;
    return x;
}
static void expect_finite(const float *x, int64_t n)
{
    float sum = 0;
    for (int64_t i = 0; i < n; i++) {
        assert_true(isfinite(x[i]));
        sum += x[i] * x[i];
    }
    assert_true(sum > 0);
}
static void embed_image(const struct clip *m, float *y)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    struct pass p = {.batch = 1, .arena = &a};
    assert_true(clip_image_forward(m, &p, pixels_of(m, &a), y, NULL, NULL, NULL));
    expect_finite(y, m->config.embed);
}
static void embed_text(const struct clip *m, float *y)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    int32_t ids[77] = {49406, 320, 1125, 539, 320, 2368, 49407}; /* and 0, as OpenAI pads */
    struct pass p = {.batch = 1, .arena = &a};
    assert_true(clip_text_forward(m, &p, ids, 77, y, NULL, NULL));
    expect_finite(y, m->config.embed);
}

/* ---- memory ---- */
/* Bytes of this process that are no mapped file. */
static int64_t anonymous(void)
{
    char line[256];
    long long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (kib < 0 && f && fgets(line, sizeof line, f))
        sscanf(line, "RssAnon: %lld", &kib);
    if (f)
        fclose(f);
    return kib * 1024;
}
static void float32_stays_mapped(void **state)
{
    if (SLOW || anonymous() < 0)
        skip();
    for (int openai = 0; openai < 2; openai++) {
        AUTO(mem) char *dir = folder(openai ? NULL : B32);
        openai ? clip_rows_openai(&rows, &vit_b32) : clip_rows_hf(&rows, &vit_b32);
        single(dir, DTYPE_F32, true);
        float y[512] = {0};
        int64_t before = anonymous();
        AUTO(clip) struct clip *m = opened(dir);
        for (int i = 0; i < 512; i++) /* reading leaves it where it is */
            y[i] += m->vision[11].ffn.fc1.w.w[i * 768] + m->token_embed.w[i * 512];
        int64_t grown = anonymous() - before; /* OpenAI's transposed projections are 2.5 MB */
        if (grown > 8 << 20)
            fail_msg("opening took %lld bytes of memory", (long long)grown);
        assert_true(y[0] == 0);
    }
}
/* The stage reads no weights at all: half types are not converted either. */
static void import_reads_headers(void **state)
{
    if (SLOW || anonymous() < 0)
        skip();
    struct stage_run r;
    AUTO(mem) char *dir = folder(B32);
    clip_rows_hf(&rows, &vit_b32);
    single(dir, DTYPE_BF16, true);
    int64_t before = anonymous();
    AUTO(clip) struct clip *m = NULL;
    assert_true(clip_inspect(dir, &m, NULL));
    assert_true(anonymous() - before < 8 << 20);
    import(&r, dir);
    stage_run_end(&r);
}

/* ---- models ---- */
/* A step along the gradient of a LoRA of every layer makes the loss smaller. */
struct stepping {
    double sum;
    float lr;
};
static void step(void *arg, const char *name, struct mat *w)
{
    struct stepping *s = arg;
    for (int64_t i = 0; i < mat_size(w); i++) {
        s->sum += (double)w->g[i] * w->g[i];
        w->w[i] -= s->lr * w->g[i];
    }
}
static float loss(const struct clip *m, const float *text, bool train)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    const int64_t label = 1;
    float y[512], logits[2], d[512], value;
    struct pass p = {.batch = 1, .arena = &a, .train = train, .last_row0 = true};
    struct clip_tape *tape;
    const float *x = pixels_of(m, &a);
    assert_true(clip_image_forward(m, &p, x, y, NULL, &tape, NULL));
    assert_true(clip_classify(y, text, 20, &label, 1, 2, 512, &a, logits, d, &value, NULL));
    assert_true(!train || clip_image_backward(m, &p, tape, x, d, NULL));
    return value;
}
static void train_lora(struct clip *m)
{
    AUTO(arena) struct arena a;
    struct adapter_set *s;
    float text[2 * 512];
    struct rng r = rng_at(rng_stream(5, "classes"), 0, 0);
    arena_init(&a);
    for (int i = 0; i < 2 * 512; i++)
        text[i] = rng_normal(&r) / sqrtf(512);
    assert_true(adapter_new(m, 16, 32, 1, true, &a, &s, NULL));
    clip_attach(m, s);
    float before = loss(m, text, true);
    struct stepping g = {0, 0};
    adapter_each(s, step, &g);
    g.lr = 1e-3f / (float)sqrt(g.sum);
    assert_true(g.sum > 0 && isfinite(g.sum));
    adapter_each(s, step, &g);
    float after = loss(m, text, false);
    if (!(after < before))
        fail_msg("a step takes the loss from %g to %g", (double)before, (double)after);
    clip_attach(m, NULL);
}
static void b32_in_shards(void **state)
{
    if (SLOW)
        skip();
    struct stage_run r;
    AUTO(mem) char *dir = folder(B32);
    float y[512];
    clip_rows_hf(&rows, &vit_b32);
    shards(dir, 4, DTYPE_BF16);
    import(&r, dir);
    expect_rows(r.outputs[0], &rows, DTYPE_BF16);
    AUTO(clip) struct clip *m = opened(r.outputs[0]);
    embed_image(m, y);
    embed_text(m, y);
    train_lora(m);
    stage_run_end(&r);
}
static void b16_with_openai_names(void **state)
{
    if (SLOW)
        skip();
    struct stage_run r;
    AUTO(mem) char *dir = folder(NULL);
    float y[512];
    clip_rows_openai(&rows, &vit_b16);
    single(dir, DTYPE_F16, false);
    import(&r, dir);
    clip_rows_hf(&rows, &vit_b16);
    expect_rows(r.outputs[0], &rows, DTYPE_F16);
    AUTO_JSON config = stage_run_json(&r, "model", "config.json");
    json_t *vision = json_object_get(config, "vision_config");
    assert_int_equal(json_int_or(vision, "patch_size", 0), 16);
    assert_int_equal(json_int_or(vision, "image_size", 0), 224);
    assert_string_equal(json_string_or(config, "model_type", ""), "clip");
    assert_string_equal(json_string_or(config, "torch_dtype", ""), "float16");
    AUTO(clip) struct clip *m = opened(r.outputs[0]);
    embed_image(m, y);
    embed_text(m, y);
    stage_run_end(&r);
}
/* Shapes alone; OpenAI's names tell the same configuration that a config.json does. */
static void l14(void **state)
{
    const struct clip_size *const size[] = {&vit_l14, &vit_l14_336};
    for (int k = 0; k < 2; k++) {
        char text[512];
        snprintf(
            text, sizeof text,
            "{\"model_type\":\"clip\",\"projection_dim\":768,\"text_config\":{\"hidden_size\":768,"
            "\"intermediate_size\":3072,\"num_attention_heads\":12},\"vision_config\":{\"hidden_size\":1024,"
            "\"image_size\":%d,\"intermediate_size\":4096,\"num_attention_heads\":16,"
            "\"num_hidden_layers\":24,\"patch_size\":14}}",
            (int)size[k]->image);
        AUTO(clip) struct clip *a = NULL;
        AUTO(clip) struct clip *b = NULL;
        AUTO(mem) char *hf = folder(text);
        clip_rows_hf(&rows, size[k]);
        single(hf, DTYPE_F16, true);
        assert_true(clip_inspect(hf, &a, NULL));
        AUTO(mem) char *openai = folder(NULL);
        clip_rows_openai(&rows, size[k]);
        single(openai, DTYPE_F16, true);
        assert_true(clip_inspect(openai, &b, NULL));
        assert_int_equal(clip_tokens(b), k ? 577 : 257);
        assert_int_equal(b->config.vision.layers, 24);
        AUTO_JSON want = clip_config_json(&a->config, true, DTYPE_F16);
        AUTO_JSON got = clip_config_json(&b->config, true, DTYPE_F16);
        assert_true(json_equal(want, got));
    }
}

static int setup(void **state)
{
    omp_set_num_threads(1); /* there is little to compute, and threads that wait would spin */
    return mkdtemp(root) ? 0 : 1;
}
static int teardown(void **state)
{
    return fs_remove_tree(root, NULL) ? 0 : 1;
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float32_stays_mapped),
        cmocka_unit_test(import_reads_headers),
        cmocka_unit_test(b32_in_shards),
        cmocka_unit_test(b16_with_openai_names),
        cmocka_unit_test(l14),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
