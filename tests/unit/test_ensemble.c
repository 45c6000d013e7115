/* The stage ensemble against a plain computation image by image: means of probabilities and of logits,
 * posterior weights; one expert is what evaluate says of it; the same on any number of threads and in batches
 * of any size. */
#include "base/json.h"
#include "stages/algo/ensemble.h"
#include "stages/model/moe_vectors.h"
#include "stages/model/peft.h"
#include "stages/model/prompt.h"
#include <math.h>

#include "tests/unit/moe_stages.h"

extern const struct stage stage_ensemble, stage_evaluate;

enum { K = 3, IMAGES = 90, CLASSES = 3, EMBED = 8 };

/* ---- a world of noise, in which experts disagree ---- */
static void write_noise(void)
{
    const char *dir = folder("noise");
    struct dataset_writer *w = dataset_writer_new(dir);
    struct rng r = rng_at(rng_stream(4, "test.ensemble"), 0, 0);
    for (int i = 0; i < IMAGES; i++) {
        uint8_t rgb[12 * 12 * 3], *png;
        size_t n;
        const char *class = colour[i % CLASSES], *id = arena_printf(&arena, "%s/%d.png", class, i);
        uint32_t low[3], span = 1 + rng_u32(&r) % 100;
        for (int c = 0; c < 3; c++)
            low[c] = rng_u32(&r) % 156;
        for (int k = 0; k < 12 * 12 * 3; k++)
            rgb[k] = (uint8_t)(low[k % 3] + rng_u32(&r) % span);
        assert_true(image_encode_png(rgb, 12, 12, &png, &n, NULL));
        assert_true(fs_mkdirs(arena_printf(&arena, "%s/source/%s", dir, class), NULL));
        assert_true(fs_write_file(arena_printf(&arena, "%s/source/%s", dir, id), png, n, NULL));
        free(png);
        dataset_writer_add(w, id, dataset_writer_class(w, class), -1, 0);
    }
    assert_true(dataset_writer_finish(w, "test", 0, false, NULL));
}
static void randomise(void *arg, const char *name, struct mat *w)
{
    for (int64_t i = 0; i < mat_size(w); i++)
        w->w[i] = 0.4f * rng_normal(arg);
}
/* Vectors near the middle of what the seed sees, each expert's moved elsewhere. */
static void write_vectors(const struct clip *m, int k)
{
    struct rng r = rng_at(rng_stream(5, "test.ensemble"), (uint64_t)k, 0);
    struct moe_vectors *v = moe_vectors_new(&arena, LAYERS, WIDTH);
    for (int i = 0; i < LAYERS * WIDTH; i++)
        v->mean[i] = 0.5 * (double)rng_normal(&r);
    for (int l = 0; l < LAYERS; l++)
        v->square[l] = 30 + 5 * k;
    v->samples = 7;
    assert_true(moe_vectors_save(v, NULL, folder(arena_printf(&arena, "vectors.%d", k)), NULL));
}
static int make(void **state)
{
    AUTO(clip) struct clip *m = NULL;
    make_world(state);
    write_noise();
    assert_true(clip_open(path("seed"), &m, NULL));
    for (int k = 0; k < K; k++) {
        struct adapter_set *a;
        struct rng r = rng_at(rng_stream(6, "test.ensemble"), (uint64_t)k, 0);
        assert_true(adapter_new(m, 2, 4, 0, false, &arena, &a, NULL));
        adapter_each(a, randomise, &r);
        assert_true(peft_save(a, NULL, folder(arena_printf(&arena, "adapter.%d", k)), NULL));
        write_vectors(m, k);
    }
    return 0;
}

/* ---- the plain way ---- */
static double logits[IMAGES][K][CLASSES], distance[IMAGES][K];
static struct moe_vectors *vectors;
static double *measured;
static void measure(void *arg, const char *what, int layer, const float *x, int64_t batch, int64_t t,
                    int64_t c)
{
    double spread = vectors->square[layer], square = 0;
    if (strcmp(what, "mlp_in") != 0)
        return;
    for (int64_t j = 0; j < c; j++) {
        double e = vectors->mean[layer * c + j], z = 0;
        for (int64_t i = 0; i < t; i++)
            z += (double)x[i * c + j] / (double)t;
        spread -= e * e;
        square += (z - e) * (z - e);
    }
    *measured += square / spread / LAYERS;
}
static void compute(void)
{
    AUTO(clip) struct clip *m = NULL;
    AUTO(dataset) struct dataset *d = NULL;
    AUTO(tokenizer) struct tokenizer *tok = NULL;
    const struct prompt_params photo = {"This is a photo of a {}", "refined", "files", "error"};
    float text[CLASSES * EMBED], pixels[3 * 8 * 8], z[EMBED];
    struct transform t = transform_eval(8);
    struct observer o = {measure, NULL};
    assert_true(clip_open(path("seed"), &m, NULL) && dataset_open(path("noise"), &d, NULL));
    assert_true(tokenizer_open(path("seed"), &tok, NULL));
    assert_true(prompt_features(m, tok, &photo, dataset_class_names(d), CLASSES, text, NULL));
    for (int k = 0; k < K; k++) {
        struct adapter_set *a;
        assert_true(peft_load(path(arena_printf(&arena, "adapter.%d", k)), m, false, &arena, &a, NULL));
        assert_true(moe_vectors_load(path(arena_printf(&arena, "vectors.%d", k)), m, &arena, &vectors, NULL));
        clip_attach(m, a);
        for (int64_t i = 0; i < IMAGES; i++) {
            struct pass p = {.batch = 1, .arena = &arena, .observer = &o};
            double length = 0;
            measured = &distance[i][k];
            assert_true(loader_batch(d, &i, 1, &t, rng_stream(0, "x"), 0, 1, pixels, NULL));
            assert_true(clip_image_forward(m, &p, pixels, z, NULL, NULL, NULL));
            for (int j = 0; j < EMBED; j++)
                length += (double)z[j] * (double)z[j];
            for (int c = 0; c < CLASSES; c++)
                for (int j = 0; j < EMBED; j++)
                    logits[i][k][c] += exp((double)m->logit_scale.w[0]) / sqrt(length) * (double)z[j] *
                                       (double)text[c * EMBED + j];
        }
    }
}
static int nearest(int i, int rank) /* expert of that rank by distance */
{
    for (int k = 0; k < K; k++) {
        int before = 0;
        for (int q = 0; q < K; q++)
            before += distance[i][q] < distance[i][k];
        if (before == rank)
            return k;
    }
    return -1;
}
/* Predicted class of image i; *sure: by more than rounding. */
static int predict(int i, bool logit, const double *weight, bool *sure)
{
    double p[CLASSES] = {0};
    for (int k = 0; k < K; k++) {
        double sum = 0;
        for (int c = 0; c < CLASSES; c++)
            sum += exp(logits[i][k][c]);
        for (int c = 0; c < CLASSES; c++)
            p[c] += weight[k] * (logit ? logits[i][k][c] : exp(logits[i][k][c]) / sum);
    }
    int best = 0;
    for (int c = 1; c < CLASSES; c++)
        best = p[c] > p[best] ? c : best;
    *sure = true;
    for (int c = 0; c < CLASSES; c++)
        *sure = *sure && (c == best || p[best] - p[c] > 1e-4);
    return best;
}

/* ---- the stage ---- */
static void begin_ensemble(struct stage_run *r, int first, int experts)
{
    begin(r, &stage_ensemble, 2);
    stage_run_connect(r, "model", path("seed"));
    stage_run_connect(r, "data", path("noise"));
    for (int k = first; k < first + experts; k++) {
        stage_run_connect(r, "experts", path(arena_printf(&arena, "adapter.%d", k)));
        r->inputs[stage_port_index(stage_ensemble.inputs, "experts")].item[k - first].also_dir =
            path(arena_printf(&arena, "vectors.%d", k));
    }
    stage_run_set(r, "batch", "7");
}
static void read_predictions(struct stage_run *r, char (*ret)[16])
{
    AUTO(mem) char *text = stage_run_text(r, "predictions", "predictions.jsonl");
    AUTO(dataset) struct dataset *d = NULL;
    char *rest = text;
    assert_non_null(text);
    assert_true(dataset_open(path("noise"), &d, NULL));
    for (int i = 0; i < IMAGES; i++) {
        char *line = strsep(&rest, "\n");
        AUTO_JSON j = json_parse(line, strlen(line), "predictions", &r->err);
        assert_string_equal(json_string_or(j, "id", ""), dataset_id(d, i));
        snprintf(ret[i], sizeof ret[i], "%s", json_string_or(j, "predicted", ""));
    }
}
/* All predictions are those of the plain way; how many of them differ from those of the first expert alone.
 */
static int agrees(struct stage_run *r, bool logit, int top, double temperature)
{
    AUTO(dataset) struct dataset *d = NULL;
    char got[IMAGES][16];
    int unsure = 0, other = 0;
    assert_true(dataset_open(path("noise"), &d, NULL));
    if (!stage_ensemble.check(r->params, &r->err))
        fail_msg("%s", r->err.text);
    go(r);
    read_predictions(r, got);
    for (int i = 0; i < IMAGES; i++) {
        double weight[K], sum = 0;
        bool sure, ignored;
        for (int k = 0; k < K; k++)
            weight[k] = temperature > 0 ? 0 : 1.0 / K;
        for (int n = 0; n < top; n++)
            sum += weight[nearest(i, n)] =
                exp((distance[i][nearest(i, 0)] - distance[i][nearest(i, n)]) / temperature);
        for (int k = 0; k < K && temperature > 0; k++)
            weight[k] /= sum;
        int want = predict(i, logit, weight, &sure);
        if (sure && strcmp(got[i], dataset_class(d, want)) != 0)
            fail_msg("image %d: '%s', wanted '%s'", i, got[i], dataset_class(d, want));
        unsure += !sure;
        other += predict(i, false, (const double[K]){1}, &ignored) != want;
    }
    assert_true(unsure < 5);
    return other;
}
static void means(void **state)
{
    struct stage_run r;
    compute();
    begin_ensemble(&r, 0, K);
    assert_true(agrees(&r, false, 0, 0) > 5);
    AUTO_JSON m = stage_run_json(&r, "metrics", "metrics.json");
    const json_t *row = json_array_get(json_object_get(m, "rows"), 0);
    const json_t *weights = json_object_get(json_object_get(m, "ensemble"), "mean_weight");
    assert_int_equal(json_int_or(row, "n", 0), IMAGES);
    assert_true(json_array_size(weights) == K &&
                fabs(json_real_value(json_array_get(weights, 1)) - 1.0 / K) < 1e-12);
    stage_run_end(&r);
    begin_ensemble(&r, 0, K);
    stage_run_set(&r, "average", "\"logit\"");
    assert_true(agrees(&r, true, 0, 0) > 5);
    stage_run_end(&r);
}
static void posteriors(void **state)
{
    static const struct {
        const char *temperature, *top_k;
        double t;
        int top;
    } cases[] = {{"0.1", "0", 0.1, K}, {"0.01", "2", 0.01, 2}, {"5", "1", 5, 1}, {"1", "9", 1, K}};
    int firsts[K] = {0};
    for (int i = 0; i < IMAGES; i++)
        firsts[nearest(i, 0)]++;
    assert_true((firsts[0] > 3) + (firsts[1] > 3) + (firsts[2] > 3) >
                1); /* images differ in whom they are near */
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct stage_run r;
        begin_ensemble(&r, 0, K);
        stage_run_set(&r, "weights", "\"posterior\"");
        stage_run_set(&r, "temperature", cases[c].temperature);
        stage_run_set(&r, "top_k", cases[c].top_k);
        assert_true(agrees(&r, false, cases[c].top, cases[c].t) > 3);
        stage_run_end(&r);
    }
}
static void one_expert(void **state)
{
    struct stage_run one, alone;
    begin_ensemble(&one, 1, 1);
    go(&one);
    begin(&alone, &stage_evaluate, 1);
    stage_run_connect(&alone, "model", path("seed"));
    stage_run_connect(&alone, "adapter", path("adapter.1"));
    stage_run_connect(&alone, "data", path("noise"));
    go(&alone);
    same_file(stage_out_file(&one.ctx, "predictions", "predictions.jsonl"),
              stage_out_file(&alone.ctx, "predictions", "predictions.jsonl"));
    AUTO_JSON a = stage_run_json(&one, "metrics", "metrics.json");
    AUTO_JSON b = stage_run_json(&alone, "metrics", "metrics.json");
    assert_true(json_equal(json_object_get(a, "rows"), json_object_get(b, "rows")));
    assert_true(json_equal(json_object_get(a, "per_class"), json_object_get(b, "per_class")));
    stage_run_end(&one);
    stage_run_end(&alone);
}
static void same_on_threads(void **state)
{
    struct stage_run r[2];
    for (int i = 0; i < 2; i++) {
        begin_ensemble(&r[i], 0, K);
        r[i].ctx.threads = 1 + 2 * i;
        stage_run_set(&r[i], "weights", "\"posterior\"");
        stage_run_set(&r[i], "batch", i ? "7" : "64");
        go(&r[i]);
    }
    same_file(stage_out_file(&r[0].ctx, "metrics", "metrics.json"),
              stage_out_file(&r[1].ctx, "metrics", "metrics.json"));
    same_file(stage_out_file(&r[0].ctx, "predictions", "predictions.jsonl"),
              stage_out_file(&r[1].ctx, "predictions", "predictions.jsonl"));
    for (int i = 0; i < 2; i++)
        stage_run_end(&r[i]);
}
static void refusals(void **state)
{
    struct stage_run r;
    begin_ensemble(&r, 0, K);
    stage_run_set(&r, "top_k", "1");
    assert_false(stage_ensemble.check(r.params, &r.err));
    assert_non_null(strstr(r.err.text, "'top_k' has no effect"));
    stage_run_end(&r);
    begin_ensemble(&r, 0, K);
    r.inputs[stage_port_index(stage_ensemble.inputs, "experts")].item[2].also_dir = NULL;
    stage_run_set(&r, "weights", "\"posterior\"");
    fails(&r, "expert 2 comes without router vectors");
    begin_ensemble(&r, 0, 1);
    stage_run_connect(&r, "experts", path("seed"));
    fails(&r, "expert 1");
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(means), cmocka_unit_test(posteriors),
                                       cmocka_unit_test(one_expert), cmocka_unit_test(same_on_threads),
                                       cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, make, end_world);
}
