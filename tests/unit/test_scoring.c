/* Stages embedding, classifier and evaluate on a small random model and generated images. */
#include "base/cleanup.h"
#include "stages/io/dataset.h"
#include "stages/io/safetensors.h"
#include "stages/io/tokenizer.h"
#include "stages/model/peft.h"
#include "stages/stage.h"
#include <math.h>

#include "tests/test.h"
#include "tests/unit/stage_run.h"

extern const struct stage stage_classifier, stage_embedding, stage_evaluate, stage_synthetic;

#define WIDTH 32
#define EMBED 16
static struct stage_run public, private; /* data sets */
static char model_dir[64] = "/tmp/weft-test-XXXXXX";

static void go(struct stage_run *r)
{
    if (!stage_run_go(r))
        fail_msg("%s: %s", r->ctx.stage->name, r->err.text);
}
static void make_images(struct stage_run *r, const char *domain)
{
    stage_run_begin(r, &stage_synthetic);
    stage_run_set(r, "domain", domain);
    stage_run_set(r, "per_class", "3");
    stage_run_set(r, "size", "32");
    go(r);
}
static void make_model(const char *dir, int64_t width)
{
    struct tower_config t = {
        .width = width, .layers = 2, .heads = 4, .mlp = 2 * width, .eps = 1e-5, .act = ACT_QUICK_GELU};
    struct clip_config c = {.vision = t,
                            .text = t,
                            .image_size = 32,
                            .patch = 8,
                            .channels = 3,
                            .vocab = TOKENIZER_BYTES_VOCAB,
                            .context = 64,
                            .bos = 256,
                            .eos = 257,
                            .embed = EMBED};
    AUTO(clip) struct clip *m = NULL;
    struct error err;
    if (!clip_new(&c, 3, &m, &err) || !clip_save(m, dir, &err) || !tokenizer_save_bytes(dir, &err))
        fail_msg("%s", err.text);
}
static int setup(void **state)
{
    (void)state;
    make_images(&public, "\"public\"");
    make_images(&private, "\"stripes\"");
    if (!mkdtemp(model_dir))
        return 1;
    make_model(model_dir, WIDTH);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    fs_remove_tree(model_dir, NULL);
    stage_run_end(&public);
    stage_run_end(&private);
    return 0;
}

/* Embed the public set; the rows are in r's arena. */
static const float *embed(struct stage_run *r, const char *kind, const char *normalise, int threads,
                          int64_t *n, int64_t *d)
{
    stage_run_begin(r, &stage_embedding);
    stage_run_connect(r, "model", model_dir);
    stage_run_connect(r, "data", public.outputs[0]);
    stage_run_set(r, "features", kind);
    stage_run_set(r, "normalise", normalise);
    stage_run_set(r, "batch", "7");
    r->ctx.threads = threads;
    go(r);
    struct safetensors *s = NULL;
    assert_true(safetensors_open(stage_out_file(&r->ctx, "features", "features.safetensors"), &s, &r->err));
    const struct tensor *t = safetensors_find(s, "features");
    *n = t->shape[0], *d = t->shape[1];
    float *x = arena_floats(&r->arena, t->n);
    memcpy(x, tensor_floats(t, &r->arena), (size_t)t->n * sizeof *x);
    assert_string_equal(safetensors_metadata(s, "normalise"), normalise);
    safetensors_close(s);
    AUTO_JSON ids = stage_run_json(r, "features", "ids.json");
    assert_int_equal(json_array_size(ids), *n);
    return x;
}
static double square(const float *x, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += (double)x[i] * x[i];
    return s;
}
static void test_embedding(void **state)
{
    (void)state;
    struct stage_run one, two, both, tokens;
    int64_t n, d, n2, d2;
    const float *x = embed(&one, "\"pooled\"", "false", 1, &n, &d);
    assert_int_equal(d, WIDTH);
    const float *y = embed(&two, "\"pooled\"", "false", 3, &n2, &d2);
    assert_memory_equal(x, y, (size_t)(n * d) * sizeof *x);
    const float *t = embed(&tokens, "\"tokens\"", "false", 2, &n2, &d2);
    assert_true(n2 == n && d2 == WIDTH);
    const float *b = embed(&both, "\"both\"", "false", 2, &n2, &d2);
    assert_int_equal(d2, 2 * WIDTH);
    for (int64_t i = 0; i < n; i++) { /* both halves point where the single kinds do, at root mean square 1 */
        const float *row = b + i * d2, *half[2] = {x + i * d, t + i * d};
        for (int h = 0; h < 2; h++) {
            double dot = 0, length = sqrt(square(half[h], d));
            for (int64_t c = 0; c < d; c++)
                dot += row[h * d + c] * half[h][c];
            assert_true(fabs(square(row + h * d, d) - WIDTH) < 1e-3);
            assert_true(fabs(dot / (length * sqrt(WIDTH)) - 1) < 1e-5);
        }
    }
    stage_run_end(&two);
    x = embed(&two, "\"projected\"", "true", 2, &n2, &d2);
    assert_int_equal(d2, EMBED);
    for (int64_t i = 0; i < n2; i++)
        assert_true(fabs(square(x + i * d2, d2) - 1) < 1e-5);
    stage_run_end(&one);
    stage_run_end(&two);
    stage_run_end(&both);
    stage_run_end(&tokens);
}

static void classify_begin(struct stage_run *r, const struct stage_run *features)
{
    stage_run_begin(r, &stage_classifier);
    stage_run_connect(r, "model", model_dir);
    stage_run_connect(r, "public", features->outputs[0]);
    stage_run_connect(r, "private", private.outputs[0]);
    stage_run_set(r, "epochs", "30");
    stage_run_set(r, "lr", "0.01");
    stage_run_set(r, "batch", "16");
}
static const float *classify(struct stage_run *r, int64_t want)
{
    go(r);
    struct safetensors *s = NULL;
    assert_true(safetensors_open(stage_out_file(&r->ctx, "relevance", "relevance.safetensors"), &s, &r->err));
    const struct tensor *t = safetensors_find(s, "relevance");
    assert_true(t->rank == 1 && t->n == want);
    float *g = arena_floats(&r->arena, t->n);
    memcpy(g, tensor_floats(t, &r->arena), (size_t)t->n * sizeof *g);
    safetensors_close(s);
    for (int64_t i = 0; i < want; i++)
        assert_true(g[i] > 0 && g[i] < 1);
    return g;
}
static void test_classifier(void **state)
{
    (void)state;
    struct stage_run features, one, two, other;
    int64_t n, d;
    embed(&features, "\"both\"", "false", 2, &n, &d);
    classify_begin(&one, &features);
    classify_begin(&two, &features);
    classify_begin(&other, &features);
    two.ctx.threads = 1;
    stage_run_set(&other, "loss", "\"softmax\"");
    stage_run_set(&other, "optimizer", "\"adamw\"");
    stage_run_set(&other, "standardise", "true");
    stage_run_set(&other, "negatives", "1000000");
    stage_run_set(&other, "seed", "1");
    const float *a = classify(&one, n), *b = classify(&two, n), *c = classify(&other, n);
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    assert_memory_not_equal(a, c, (size_t)n * sizeof *a);
    stage_run_end(&one);
    stage_run_end(&two);
    stage_run_end(&other);
    stage_run_end(&features);
}
static void test_classifier_refuses_another_model(void **state)
{
    (void)state;
    struct stage_run features, r;
    int64_t n, d;
    embed(&features, "\"pooled\"", "false", 2, &n, &d);
    classify_begin(&r, &features);
    char *other = arena_printf(&r.arena, "%s/model", r.dir);
    assert_true(fs_mkdirs(other, NULL));
    make_model(other, 2 * WIDTH);
    r.inputs[0].item[0].dir = other;
    assert_false(stage_run_go(&r));
    assert_non_null(strstr(r.err.text, "32 columns, the model gives 64"));
    stage_run_end(&r);
    stage_run_end(&features);
}

static void evaluate_begin(struct stage_run *r)
{
    stage_run_begin(r, &stage_evaluate);
    stage_run_connect(r, "model", model_dir);
    stage_run_connect(r, "data", private.outputs[0]);
    stage_run_set(r, "system", "\"zero-shot\"");
    stage_run_set(r, "domain", "\"stripes\"");
    stage_run_set(r, "replicate", "\"5\"");
    stage_run_set(r, "batch", "5");
}
/* A line a sample in the order of the data set, and as many right ones as the metrics say. */
static void expect_predictions(struct stage_run *r, int64_t n, int64_t correct)
{
    AUTO_JSON head = stage_run_json(r, "predictions", "predictions.json");
    assert_string_equal(json_string_or(head, "system", ""), "zero-shot");
    assert_string_equal(json_string_or(head, "replicate", ""), "5");
    assert_int_equal(json_int_or(head, "n", 0), n);
    AUTO(mem) char *text = stage_run_text(r, "predictions", "predictions.jsonl");
    AUTO(dataset) struct dataset *d = NULL;
    assert_true(dataset_open(private.outputs[0], &d, &r->err));
    char *rest = text, *line;
    int64_t seen = 0, right = 0;
    while ((line = strsep(&rest, "\n")) && *line) {
        AUTO_JSON j = json_parse(line, strlen(line), "line", &r->err);
        const char *label = json_string_or(j, "label", "");
        assert_string_equal(json_string_or(j, "id", ""), dataset_id(d, seen));
        assert_string_equal(label, dataset_class(d, dataset_label(d, seen)));
        right += !strcmp(label, json_string_or(j, "predicted", ""));
        seen++;
    }
    assert_true(seen == n && right == correct);
}
static void test_evaluate(void **state)
{
    (void)state;
    struct stage_run r, adapted;
    evaluate_begin(&r);
    go(&r);
    AUTO_JSON m = stage_run_json(&r, "metrics", "metrics.json");
    const json_t *row = json_array_get(json_object_get(m, "rows"), 0),
                 *classes = json_object_get(m, "per_class");
    assert_string_equal(json_string_or(row, "system", ""), "zero-shot");
    assert_string_equal(json_string_or(row, "domain", ""), "stripes");
    assert_string_equal(json_string_or(row, "replicate", ""), "5");
    int64_t n = 0, correct = 0;
    size_t at;
    json_t *c;
    json_array_foreach(classes, at, c)
    {
        assert_int_equal(json_int_or(c, "n", 0), 3);
        n += 3;
        correct += json_int_or(c, "correct", 0);
    }
    assert_true(n > 0 && json_int_or(row, "n", 0) == n && json_int_or(row, "correct", -1) == correct);
    assert_true(json_real_or(row, "value", -1) == (double)correct / (double)n);
    assert_null(json_object_get(m, "routing"));
    expect_predictions(&r, n, correct);

    /* A fresh adapter (B = 0) changes nothing. */
    evaluate_begin(&adapted);
    AUTO(clip) struct clip *model = NULL;
    struct adapter_set *set = NULL;
    assert_true(clip_open(model_dir, &model, &r.err));
    assert_true(adapter_new(model, 4, 8, 1, false, &adapted.arena, &set, &r.err));
    assert_true(peft_save(set, "seed", stage_run_input(&adapted, "adapter"), &r.err));
    go(&adapted);
    AUTO_JSON same = stage_run_json(&adapted, "metrics", "metrics.json");
    assert_true(json_equal(m, same));
    stage_run_end(&r);
    stage_run_end(&adapted);
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_embedding), cmocka_unit_test(test_classifier),
                                       cmocka_unit_test(test_classifier_refuses_another_model),
                                       cmocka_unit_test(test_evaluate)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
