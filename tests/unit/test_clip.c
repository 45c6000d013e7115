/* CLIP on a tiny random model: gradients of every weight by finite differences, saving, shortcuts, threads,
 * errors. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/model/clip_parts.h"
#include <math.h>
#include <omp.h>

#include "tests/test.h"

#define B   3
#define CTX 5
static char dir[] = "/tmp/weft-clip-XXXXXX";
static const struct clip_config tiny = {
    .vision = {.width = 8, .layers = 2, .heads = 2, .mlp = 12, .eps = 1e-5, .act = ACT_QUICK_GELU},
    .text = {.width = 6, .layers = 2, .heads = 3, .mlp = 10, .eps = 1e-5, .act = ACT_GELU},
    .image_size = 8,
    .patch = 4,
    .channels = 3,
    .vocab = 9,
    .context = 7,
    .bos = 7,
    .eos = 8,
    .embed = 5};
static const int32_t ids[B * CTX] = {7, 1, 3, 8, 8, 7, 2, 8, 8, 8, 7, 5, 5, 1, 8};

static struct clip *new_model(uint64_t seed)
{
    struct clip *m = NULL;
    assert_true(clip_new(&tiny, seed, &m, NULL));
    return m;
}
static float *pixels_of(struct arena *a)
{
    float *x = arena_floats(a, B * 3 * 8 * 8);
    struct rng r = rng_at(rng_stream(3, "pixels"), 0, 0);
    for (int i = 0; i < B * 3 * 8 * 8; i++)
        x[i] = rng_normal(&r);
    return x;
}
/* ---- gradients ---- */
struct gradient {
    struct clip *m;
    const float *pixels;
    bool row0;
    uint64_t index;
};
static float coefficient(int i)
{
    return (float)sin(1.7 * i + 0.3);
}
/* L = sum coefficient * (image embeds, text embeds); with gradients when asked. */
static double loss(const struct gradient *g, bool train)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    struct pass image = {.batch = B, .arena = &a, .train = train, .last_row0 = g->row0};
    struct pass text = {.batch = B, .arena = &a, .train = train};
    struct clip_tape *image_tape, *text_tape;
    float x[B * 5], y[B * 5], c[B * 5];
    assert_true(clip_image_forward(g->m, &image, g->pixels, x, NULL, &image_tape, NULL));
    assert_true(clip_text_forward(g->m, &text, ids, CTX, y, &text_tape, NULL));
    double sum = 0;
    for (int i = 0; i < B * 5; i++) {
        c[i] = coefficient(i);
        sum += (double)c[i] * x[i] + (double)c[i] * y[i];
    }
    if (train) {
        assert_true(clip_image_backward(g->m, &image, image_tape, g->pixels, c, NULL));
        assert_true(clip_text_backward(g->m, &text, text_tape, ids, CTX, c, NULL));
    }
    return sum;
}
/* Larger weights and no zero biases, so that every gradient is well above the noise. */
static void roughen(void *arg, const char *name, struct mat *w, int rank, const int64_t *shape)
{
    struct gradient *g = arg;
    struct rng r = rng_at(rng_stream(5, "rough"), g->index++, 0);
    for (int64_t i = 0; i < mat_size(w); i++)
        w->w[i] += 0.4f * rng_normal(&r);
}
static double directional(const struct gradient *g, struct mat *w, const double *d, double h)
{
    double sum[2];
    float *keep = xmalloc((size_t)mat_size(w) * sizeof *keep);
    memcpy(keep, w->w, (size_t)mat_size(w) * sizeof *keep);
    for (int s = 0; s < 2; s++) {
        for (int64_t i = 0; i < mat_size(w); i++)
            w->w[i] = (float)(keep[i] + (s ? -h : h) * d[i]);
        sum[s] = loss(g, false);
    }
    memcpy(w->w, keep, (size_t)mat_size(w) * sizeof *keep);
    free(keep);
    return (sum[0] - sum[1]) / (2 * h);
}
/* Along the gradient itself, and along a random direction. */
static void check_weight(void *arg, const char *name, struct mat *w, int rank, const int64_t *shape)
{
    struct gradient *g = arg;
    int64_t n = mat_size(w);
    struct rng r = rng_at(rng_stream(9, "direction"), g->index++, 0);
    AUTO(mem) double *d = xmalloc((size_t)n * sizeof *d);
    AUTO(mem) double *e = xmalloc((size_t)n * sizeof *e);
    double norm = 0, length = 0, dot = 0;
    for (int64_t i = 0; i < n; i++) {
        d[i] = w->g[i];
        norm += d[i] * d[i];
        e[i] = rng_normal(&r);
        length += e[i] * e[i];
    }
    if (!strcmp(name, "logit_scale")) { /* takes no part in the embeddings */
        assert_true(norm == 0);
        return;
    }
    norm = sqrt(norm);
    length = sqrt(length);
    if (!(norm > 0))
        fail_msg("%s has no gradient", name);
    for (int64_t i = 0; i < n; i++) {
        d[i] /= norm;
        e[i] /= length;
        dot += e[i] * w->g[i];
    }

    double slack = 2e-3 * norm + 2e-3, h = 5e-3;
    double along = directional(g, w, d, h), across = directional(g, w, e, h);
    if (!(fabs(along - norm) <= slack) || !(fabs(across - dot) <= slack))
        fail_msg("%s: along the gradient %.6g, |g| %.6g; at random %.6g, predicted %.6g", name, along, norm,
                 across, dot);
}
static void gradients_match(bool row0)
{
    AUTO(clip) struct clip *m = new_model(1);
    AUTO(arena) struct arena a;
    arena_init(&a);
    assert_true(clip_train_all(m, NULL));
    struct gradient g = {m, pixels_of(&a), row0, 0};
    clip_each_weight(m, roughen, &g);
    loss(&g, true);
    g.index = 0;
    clip_each_weight(m, check_weight, &g);
}
static void gradients(void **state)
{
    gradients_match(false);
}
static void gradients_class_token_only(void **state)
{
    gradients_match(true);
}
/* ---- bits ---- */
struct bits {
    float x[B * 5], pooled[B * 8], y[B * 5];
};
static struct bits outputs(const struct clip *m, bool row0, bool train, int threads)
{
    struct bits o;
    AUTO(arena) struct arena a;
    arena_init(&a);
    omp_set_num_threads(threads);
    struct pass image = {.batch = B, .arena = &a, .train = train, .last_row0 = row0};
    struct pass text = {.batch = B, .arena = &a, .train = train};
    struct clip_tape *tape;
    assert_true(clip_image_forward(m, &image, pixels_of(&a), o.x, o.pooled, &tape, NULL));
    assert_true(clip_text_forward(m, &text, ids, CTX, o.y, &tape, NULL));
    return o;
}
static void threads_change_nothing(void **state)
{
    AUTO(clip) struct clip *m = new_model(2);
    struct bits one = outputs(m, true, true, 1), two = outputs(m, true, true, 2),
                four = outputs(m, true, true, 4);
    assert_memory_equal(&one, &two, sizeof one);
    assert_memory_equal(&one, &four, sizeof one);
}
static void shortcuts_change_little(void **state)
{
    AUTO(clip) struct clip *m = new_model(2);
    struct bits all = outputs(m, false, false, 1), row0 = outputs(m, true, false, 1);
    for (int i = 0; i < B * 5; i++)
        assert_true(fabsf(all.x[i] - row0.x[i]) <= 1e-5f);
    for (int i = 0; i < B * 8; i++)
        assert_true(fabsf(all.pooled[i] - row0.pooled[i]) <= 1e-5f);
}
static void saves_and_opens(void **state)
{
    AUTO(clip) struct clip *m = new_model(4);
    AUTO(clip) struct clip *copy = NULL;
    struct error err = {0};
    assert_true(clip_save(m, dir, &err));
    if (!clip_open(dir, &copy, &err))
        fail_msg("%s", err.text);
    AUTO_JSON want = clip_config_json(&m->config, true, DTYPE_F32);
    AUTO_JSON got = clip_config_json(&copy->config, true, DTYPE_F32);
    assert_true(json_equal(got, want));
    struct bits a = outputs(m, false, false, 1), b = outputs(copy, false, false, 1);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(clip_train_all(copy, &err)); /* mapped weights move to memory that may change */
    copy->patch_embed.w[0] += 1;
}
/* ---- errors ---- */
static void config_refused(const char *text, const char *why)
{
    struct clip *m = NULL;
    struct error err = {0};
    AUTO(mem) char *path = xprintf("%s/config.json", dir);
    assert_true(fs_write_file(path, text, strlen(text), NULL));
    if (clip_open(dir, &m, &err))
        fail_msg("accepted %s", text);
    assert_int_equal(err.code, ERROR_INPUT);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
}
static void bad_models(void **state)
{
    struct clip *m = NULL;
    struct error err = {0};
    config_refused("{", "cannot open model");
    config_refused("[]", "model_type");
    config_refused("{\"model_type\":\"bert\"}", "'bert'");
    config_refused("{\"model_type\":\"clip\",\"vision_config\":{\"hidden_act\":\"relu\"}}", "'relu'");
    config_refused("{\"model_type\":\"clip\",\"vision_config\":{\"hidden_size\":\"8\"}}", "hidden_size");
    config_refused("{\"model_type\":\"clip\",\"vision_config\":{\"hidden_size\":0}}", "hidden_size");
    config_refused("{\"model_type\":\"clip\",\"vision_config\":{\"num_attention_heads\":7}}", "multiple");
    config_refused("{\"model_type\":\"clip\",\"vision_config\":{\"num_hidden_layers\":100000}}",
                   "num_hidden_layers");
    config_refused("{\"model_type\":\"clip\",\"vision_config\":{\"patch_size\":9}}", "patch_size");
    config_refused("{\"model_type\":\"clip\",\"text_config\":{\"eos_token_id\":50000}}", "vocab_size");
    config_refused("{\"model_type\":\"clip\",\"text_config\":{\"layer_norm_eps\":0}}", "layer_norm_eps");
    config_refused("{\"model_type\":\"clip\"}", "has shape"); /* ViT-B/32's shapes, not the file's */
    assert_false(clip_open("/nowhere", &m, &err));
    assert_non_null(strstr(err.text, "/nowhere"));
}
static void bad_texts(void **state)
{
    AUTO(clip) struct clip *m = new_model(1);
    AUTO(arena) struct arena a;
    arena_init(&a);
    struct error err = {0};
    float y[5];
    struct pass p = {.batch = 1, .arena = &a};
    assert_false(clip_text_forward(m, &p, (const int32_t[]){7, 1, 1}, 3, y, NULL, &err));
    assert_non_null(strstr(err.text, "no end token"));
    assert_false(clip_text_forward(m, &p, (const int32_t[]){7, 9, 8}, 3, y, NULL, &err));
    assert_non_null(strstr(err.text, "outside the vocabulary"));
    assert_false(clip_text_forward(m, &p, (const int32_t[]){7, 1, 8, 8, 8, 8, 8, 8}, 8, y, NULL, &err));
    assert_non_null(strstr(err.text, "do not fit"));
    m->config.eos = 2; /* the legacy value: the largest id ends the text */
    assert_true(clip_text_forward(m, &p, (const int32_t[]){7, 1, 8, 0}, 4, y, NULL, &err));
    float want[5];
    m->config.eos = 8;
    assert_true(clip_text_forward(m, &p, (const int32_t[]){7, 1, 8, 0}, 4, want, NULL, &err));
    assert_memory_equal(y, want, sizeof y);
}
/* ---- classification ---- */
static void classify(void **state)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    float img[2 * 3] = {1, 2, 2, -1, 0, 0.5f}, logits[2 * 2], d[2 * 3], value;
    const float text[2 * 3] = {1, 0, 0, 0, 0.6f, 0.8f};
    const int64_t label[2] = {1, 0};
    assert_true(clip_classify(img, text, 5, label, 2, 2, 3, &a, logits, d, &value, NULL));
    assert_true(fabsf(logits[0] - 5.0f / 3) < 1e-5f && fabsf(logits[1] - 5 * 2.8f / 3) < 1e-5f);
    for (int i = 0; i < 6; i++) {
        float keep = img[i], l[2], h = 1e-2f;
        for (int s = 0; s < 2; s++) {
            img[i] = keep + (s ? -h : h);
            assert_true(clip_classify(img, text, 5, label, 2, 2, 3, &a, logits, NULL, &l[s], NULL));
        }
        img[i] = keep;
        assert_true(fabsf((l[0] - l[1]) / (2 * h) - d[i]) < 2e-3f);
    }
}
static int setup(void **state)
{
    return mkdtemp(dir) ? 0 : 1;
}
static int teardown(void **state)
{
    return fs_remove_tree(dir, NULL) ? 0 : 1;
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(gradients_class_token_only),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(shortcuts_change_little),
        cmocka_unit_test(saves_and_opens),
        cmocka_unit_test(bad_models),
        cmocka_unit_test(bad_texts),
        cmocka_unit_test(classify),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
