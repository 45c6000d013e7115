/* The dense methods of the stage merge on a small model, against plain references on whole matrices: soups of
 * adapters and of models, task arithmetic, TIES per tensor and over the model, DARE; what they leave alone,
 * and what is refused. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/safetensors.h"
#include "stages/io/tokenizer.h"
#include "stages/model/peft.h"
#include <math.h>
#include <unistd.h>

#include "tests/test.h"
#include "tests/unit/stage_run.h"

extern const struct stage stage_merge;

enum { K = 3, LAYERS = 2, WIDTH = 16, MLP = 24 };
static const struct clip_config tiny = {
    .vision = {.width = WIDTH, .layers = LAYERS, .heads = 2, .mlp = MLP, .eps = 1e-5},
    .text = {.width = 8, .layers = 1, .heads = 2, .mlp = 16, .eps = 1e-5},
    .image_size = 8,
    .patch = 4,
    .channels = 3,
    .vocab = TOKENIZER_BYTES_VOCAB,
    .context = 40,
    .bos = TOKENIZER_BYTES_VOCAB - 2,
    .eos = TOKENIZER_BYTES_VOCAB - 1,
    .embed = 8};
static char root[] = "/tmp/weft-merge-XXXXXX";
static struct arena arena; /* of the program */

/* "ROOT/...", from a format. */
#define path(...) arena_printf(&arena, "%s/%s", root, arena_printf(&arena, __VA_ARGS__))
static const char *folder(const char *dir)
{
    assert_true(fs_mkdirs(dir, NULL));
    return dir;
}
static void randomise(void *arg, const char *name, struct mat *w)
{
    for (int64_t i = 0; i < mat_size(w); i++)
        w->w[i] = 0.3f * rng_normal(arg);
}
static void write_adapter(const struct clip *m, int k, int64_t rank, double alpha)
{
    struct adapter_set *a;
    struct rng r = rng_at(rng_stream(1, "test.merge"), (uint64_t)k, 0);
    assert_true(adapter_new(m, rank, alpha, 0, false, &arena, &a, NULL));
    adapter_each(a, randomise, &r);
    assert_true(peft_save(a, NULL, folder(path("adapter.%d", k)), NULL));
}
static void shift(void *arg, const char *name, struct mat *w, int rank, const int64_t *shape)
{
    for (int64_t i = 0; i < mat_size(w); i++)
        w->w[i] += 0.1f * rng_normal(arg);
}
static int make_world(void **state)
{
    assert_non_null(mkdtemp(root));
    arena_init(&arena);
    for (int k = 0; k <= K; k++) { /* the seed, and models near it */
        AUTO(clip) struct clip *m = NULL;
        struct rng r = rng_at(rng_stream(2, "test.merge"), (uint64_t)k, 0);
        assert_true(clip_new(&tiny, 5, &m, NULL));
        if (k < K)
            write_adapter(m, k, k == 1 ? 3 : 2, 4);
        else
            write_adapter(m, k, 2, 4);
        if (k < K)
            clip_each_weight(m, shift, &r);
        assert_true(clip_save(m, k < K ? folder(path("model.%d", k)) : folder(path("seed")), NULL));
    }
    assert_true(tokenizer_save_bytes(path("seed"), NULL));
    return 0;
}
static int end_world(void **state)
{
    fs_remove_tree(root, NULL);
    arena_done(&arena);
    return 0;
}

/* ---- runs ---- */
static void begin(struct stage_run *r, const char *method, const char *port)
{
    stage_run_begin(r, &stage_merge);
    stage_run_connect(r, "model", path("seed"));
    stage_run_set(r, "method", arena_printf(&arena, "\"%s\"", method));
    for (int k = 0; port && k < K; k++)
        stage_run_connect(r, port, path("%s.%d", strcmp(port, "models") ? "adapter" : "model", k));
}
static struct safetensors *go(struct stage_run *r)
{
    struct safetensors *s;
    if (!stage_merge.check(r->params, &r->err) || !stage_run_go(r))
        fail_msg("%s", r->err.text);
    assert_true(safetensors_open(stage_out_file(&r->ctx, "model", "model.safetensors"), &s, NULL));
    return s;
}
static const float *values(const struct safetensors *s, const char *name)
{
    const struct tensor *t = safetensors_find(s, name);
    assert_non_null(t);
    float *copy = arena_floats(&arena, t->n);
    memcpy(copy, tensor_floats(t, &arena), (size_t)t->n * sizeof *copy);
    return copy;
}
static const float *file_values(const char *file, const char *name)
{
    AUTO(safetensors) struct safetensors *s = NULL;
    assert_true(safetensors_open(file, &s, NULL));
    return values(s, name);
}
static const float *seed_values(const char *name)
{
    return file_values(path("seed/model.safetensors"), name);
}
#define FC1 "vision_model.encoder.layers.1.mlp.fc1.weight" /* (MLP, WIDTH) */
#define FC2 "vision_model.encoder.layers.0.mlp.fc2.weight" /* (WIDTH, MLP) */
enum { SIZE = MLP * WIDTH };
static bool adapted(const char *name)
{
    return !strncmp(name, "vision", 6) && strstr(name, ".mlp.") && strstr(name, ".weight");
}
/* s B A of adapter k for FC1 or FC2, term by term. */
static void lora(int k, const char *name, double *ret)
{
    const char *file = path("adapter.%d/adapter_model.safetensors", k);
    const char *module = arena_printf(&arena, "base_model.model.%.*s", (int)strlen(name) - 7, name);
    const float *a = file_values(file, arena_printf(&arena, "%s.lora_A.weight", module));
    const float *b = file_values(file, arena_printf(&arena, "%s.lora_B.weight", module));
    int rank = k == 1 ? 3 : 2, in = strstr(name, "fc1") ? WIDTH : MLP;
    for (int i = 0; i < SIZE; i++) {
        ret[i] = 0;
        for (int r = 0; r < rank; r++)
            ret[i] += 4.0 / rank * (double)b[i / in * rank + r] * (double)a[r * in + i % in];
    }
}
static void near(const char *what, const float *got, const double *want, int n)
{
    for (int i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= 2e-6 * (1 + fabs(want[i]))))
            fail_msg("%s: entry %d is %.9g, wanted %.9g", what, i, (double)got[i], want[i]);
}
static void rest_is_the_seed(const struct safetensors *s)
{
    AUTO(safetensors) struct safetensors *seed = NULL;
    assert_true(safetensors_open(path("seed/model.safetensors"), &seed, NULL));
    assert_int_equal(safetensors_count(s), safetensors_count(seed));
    for (int i = 0; i < safetensors_count(s); i++) {
        const struct tensor *a = safetensors_at(s, i), *b = safetensors_at(seed, i);
        assert_string_equal(a->name, b->name);
        assert_true(a->n == b->n && a->rank == b->rank &&
                    !memcmp(a->shape, b->shape, sizeof *a->shape * (size_t)a->rank));
        assert_true(adapted(a->name) == (memcmp(a->data, b->data, (size_t)a->n * 4) != 0));
    }
}

/* ---- sums of adapters ---- */
static void sums(void **state)
{
    static const struct {
        const char *method, *scaling;
        double factor;
    } cases[] = {{"soup", NULL, 1.0 / K}, {"task", NULL, 0.4}, {"task", "-0.7", -0.7}};
    static const char *const names[] = {FC1, FC2};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct stage_run r;
        begin(&r, cases[c].method, "experts");
        if (cases[c].scaling)
            stage_run_set(&r, "scaling", cases[c].scaling);
        AUTO(safetensors) struct safetensors *s = go(&r);
        for (int t = 0; t < 2; t++) {
            double want[SIZE], tau[SIZE];
            const float *theta = seed_values(names[t]);
            for (int i = 0; i < SIZE; i++)
                want[i] = (double)theta[i];
            for (int k = 0; k < K; k++) {
                lora(k, names[t], tau);
                for (int i = 0; i < SIZE; i++)
                    want[i] += cases[c].factor * tau[i];
            }
            near(cases[c].method, values(s, names[t]), want, SIZE);
        }
        rest_is_the_seed(s);
        assert_string_equal(safetensors_metadata(s, "format"), "pt");
        AUTO_JSON config = stage_run_json(&r, "model", "config.json");
        assert_string_equal(json_string_or(config, "model_type", ""), "clip");
        AUTO(tokenizer) struct tokenizer *tokenizer = NULL;
        assert_true(tokenizer_open(r.outputs[0], &tokenizer, NULL));
        stage_run_end(&r);
    }
}
/* The soup of one expert computes what the seed with this adapter computes. */
static void one_expert(void **state)
{
    AUTO(clip) struct clip *seed = NULL;
    AUTO(clip) struct clip *soup = NULL;
    struct adapter_set *a;
    struct stage_run r;
    float pixels[3 * 8 * 8], out[2][8];
    struct rng x = rng_at(rng_stream(3, "test.merge"), 0, 0);
    begin(&r, "soup", NULL);
    stage_run_connect(&r, "experts", path("adapter.1"));
    safetensors_close(go(&r));
    assert_true(clip_open(path("seed"), &seed, NULL) && clip_open(r.outputs[0], &soup, NULL));
    assert_true(peft_load(path("adapter.1"), seed, false, &arena, &a, NULL));
    clip_attach(seed, a);
    for (int i = 0; i < 3 * 8 * 8; i++)
        pixels[i] = rng_normal(&x);
    for (int i = 0; i < 2; i++) {
        struct pass p = {.batch = 1, .arena = &arena};
        assert_true(clip_image_forward(i ? soup : seed, &p, pixels, out[i], NULL, NULL, NULL));
    }
    for (int i = 0; i < 8; i++)
        assert_true(fabs((double)out[0][i] - (double)out[1][i]) < 1e-5);
    stage_run_end(&r);
}
static void factors(void **state)
{
    struct stage_run r;
    double want[SIZE] = {0};
    const int pair[] = {0, 3}; /* of one rank */
    begin(&r, "soup", NULL);
    stage_run_set(&r, "average", "\"factors\"");
    for (int k = 0; k < 2; k++)
        stage_run_connect(&r, "experts", path("adapter.%d", pair[k]));
    AUTO(safetensors) struct safetensors *s = go(&r);
    const float *theta = seed_values(FC1), *a[2], *b[2];
    const char *module = arena_printf(&arena, "base_model.model.%.*s", (int)strlen(FC1) - 7, FC1);
    for (int k = 0; k < 2; k++) {
        const char *file = path("adapter.%d/adapter_model.safetensors", pair[k]);
        a[k] = file_values(file, arena_printf(&arena, "%s.lora_A.weight", module));
        b[k] = file_values(file, arena_printf(&arena, "%s.lora_B.weight", module));
    }
    for (int i = 0; i < SIZE; i++) {
        want[i] = (double)theta[i];
        for (int q = 0; q < 2; q++) {
            int u = i / WIDTH * 2 + q, v = q * WIDTH + i % WIDTH;
            want[i] +=
                2.0 * ((double)b[0][u] + (double)b[1][u]) / 2 * ((double)a[0][v] + (double)a[1][v]) / 2;
        }
    }
    near("factors", values(s, FC1), want, SIZE);
    rest_is_the_seed(s);
    stage_run_end(&r);
}

/* ---- TIES ---- */
enum { ALL = 1 << 14 };
static double tau_of[K][ALL]; /* of one tensor, or of all */
static double magnitudes[ALL];
static int falling(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}
/* Of n entries from `first`: theta (n) becomes the merged values. No magnitude occurs twice. */
static void ties(int first, int n, double density, double scaling, double *theta)
{
    double edge[K];
    for (int k = 0; k < K; k++) {
        for (int i = 0; i < n; i++)
            magnitudes[i] = fabs(tau_of[k][first + i]);
        qsort(magnitudes, (size_t)n, sizeof *magnitudes, falling);
        edge[k] = (magnitudes[(int)(density * n) - 1] + magnitudes[(int)(density * n)]) / 2;
    }
    for (int i = 0; i < n; i++) {
        double sum = 0, kept = 0, count = 0, v[K];
        for (int k = 0; k < K; k++)
            sum += v[k] = fabs(tau_of[k][first + i]) > edge[k] ? tau_of[k][first + i] : 0;
        for (int k = 0; k < K; k++)
            if (v[k] != 0 && (v[k] > 0) == (sum > 0)) {
                kept += v[k];
                count++;
            }
        theta[i] += count > 0 ? scaling * kept / count : 0;
    }
}
static void ties_of_adapters(void **state)
{
    struct stage_run r;
    double want[SIZE];
    begin(&r, "ties", "experts");
    stage_run_set(&r, "density", "0.3");
    stage_run_set(&r, "scaling", "0.8");
    AUTO(safetensors) struct safetensors *s = go(&r);
    const float *theta = seed_values(FC2);
    for (int i = 0; i < SIZE; i++)
        want[i] = (double)theta[i];
    for (int k = 0; k < K; k++)
        lora(k, FC2, tau_of[k]);
    ties(0, SIZE, 0.3, 0.8, want);
    near("ties", values(s, FC2), want, SIZE);
    stage_run_end(&r);
}
/* Over the model: all tensors of all models in one row. */
static void ties_of_models(void **state)
{
    struct stage_run r;
    static double want[ALL];
    int n = 0;
    begin(&r, "ties", "models");
    stage_run_set(&r, "trim", "\"model\"");
    AUTO(safetensors) struct safetensors *s = go(&r);
    for (int t = 0; t < safetensors_count(s); t++) {
        const char *name = safetensors_at(s, t)->name;
        const float *theta = seed_values(name);
        for (int k = 0; k < K; k++) {
            const float *x = file_values(path("model.%d/model.safetensors", k), name);
            for (int i = 0; i < safetensors_at(s, t)->n; i++) {
                assert_true(n + i < ALL);
                want[n + i] = (double)theta[i];
                tau_of[k][n + i] = (double)(x[i] - theta[i]);
            }
        }
        n += (int)safetensors_at(s, t)->n;
    }
    ties(0, n, 0.2, 1, want);
    for (int t = 0, at = 0; t < safetensors_count(s); at += (int)safetensors_at(s, t)->n, t++)
        near("ties over the model", values(s, safetensors_at(s, t)->name), want + at,
             (int)safetensors_at(s, t)->n);
    stage_run_end(&r);
}

/* ---- the others ---- */
static void soup_of_models(void **state)
{
    struct stage_run r;
    begin(&r, "soup", "models");
    AUTO(safetensors) struct safetensors *s = go(&r);
    for (int t = 0; t < safetensors_count(s); t++) {
        const struct tensor *x = safetensors_at(s, t);
        const float *v[K], *got = values(s, x->name);
        for (int k = 0; k < K; k++)
            v[k] = file_values(path("model.%d/model.safetensors", k), x->name);
        for (int i = 0; i < x->n; i++)
            assert_true(got[i] == (float)(((double)v[0][i] + (double)v[1][i] + (double)v[2][i]) / 3));
    }
    stage_run_end(&r);
}
/* With one expert each entry is the seed's, or has the expert's change rescaled; another seed drops others.
 */
static void dare(void **state)
{
    const float *theta = seed_values(FC1);
    int gone[2] = {0};
    bool differ = false, other_tensor = false;
    double tau[SIZE];
    bool dropped[2][SIZE];
    lora(2, FC1, tau);
    for (int seed = 0; seed < 2; seed++) {
        struct stage_run r;
        begin(&r, seed ? "dare_ties" : "dare", NULL);
        stage_run_connect(&r, "experts", path("adapter.2"));
        stage_run_set(&r, "drop", "0.75");
        stage_run_set(&r, "seed", seed ? "9" : "0");
        AUTO(safetensors) struct safetensors *s = go(&r);
        const float *got = values(s, FC1);
        for (int i = 0; i < SIZE; i++) {
            double factor = seed ? 1 : 0.4;
            dropped[seed][i] = got[i] == theta[i];
            gone[seed] += dropped[seed][i];
            if (!dropped[seed][i])
                assert_true(fabs((double)got[i] - (double)theta[i] - factor * 4 * tau[i]) < 1e-5);
            differ |= seed && dropped[0][i] != dropped[1][i];
        }
        const float *second = values(s, FC2), *from = seed_values(FC2);
        for (int i = 0; i < SIZE; i++)
            other_tensor |= dropped[seed][i] != (second[i] == from[i]);
        assert_true(abs(gone[seed] - SIZE * 3 / 4) < 45); /* 5 standard deviations */
        rest_is_the_seed(s);
        stage_run_end(&r);
    }
    assert_true(differ && other_tensor);
}
static void same_on_threads(void **state)
{
    static const char *const method[] = {"soup", "task", "ties", "dare", "dare_ties"};
    for (int m = 0; m < 5; m++) {
        AUTO(mem) char *one = NULL;
        AUTO(mem) char *three = NULL;
        for (int threads = 1; threads <= 3; threads += 2) {
            struct stage_run r;
            begin(&r, method[m], "experts");
            r.ctx.threads = threads;
            if (!strcmp(method[m], "ties"))
                stage_run_set(&r, "trim", "\"model\"");
            safetensors_close(go(&r));
            size_t n;
            assert_true(fs_read_file(stage_out_file(&r.ctx, "model", "model.safetensors"),
                                     threads > 1 ? &three : &one, &n, NULL));
            if (threads > 1)
                assert_memory_equal(one, three, n);
            stage_run_end(&r);
        }
    }
}

/* ---- refusals ---- */
static void refused(struct stage_run *r, const char *message)
{
    assert_false(stage_run_go(r));
    if (!strstr(r->err.text, message))
        fail_msg("no word of '%s' in: %s", message, r->err.text);
    stage_run_end(r);
}
static void refusals(void **state)
{
    static const struct {
        const char *method, *name, *value;
        bool ok;
    } params[] = {{"moe", "density", "0.5", false},
                  {"soup", "lambda", "0.5", false},
                  {"soup", "lambda", "0.3", true},
                  {"soup", "scaling", "0.5", false},
                  {"dare", "seed", "3", true},
                  {"ties", "seed", "3", false},
                  {"dare_ties", "density", "0.5", false},
                  {"ties", "density", "0.5", true},
                  {"task", "scaling", "0.5", true},
                  {"task", "average", "\"factors\"", false}};
    struct stage_run r;
    for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
        begin(&r, params[i].method, NULL);
        stage_run_set(&r, params[i].name, params[i].value);
        bool ok = stage_merge.check(r.params, &r.err);
        if (ok != params[i].ok || (!ok && !strstr(r.err.text, params[i].name)))
            fail_msg("%s with %s: %s", params[i].method, params[i].name, ok ? "not refused" : r.err.text);
        stage_run_end(&r);
    }
    begin(&r, "soup", NULL);
    refused(&r, "either 'experts' or 'models'");
    begin(&r, "task", "experts");
    stage_run_connect(&r, "models", path("model.0"));
    refused(&r, "either 'experts' or 'models'");
    begin(&r, "moe", "models");
    refused(&r, "'experts'");
    begin(&r, "soup", "experts"); /* of ranks 2 and 3 */
    stage_run_set(&r, "average", "\"factors\"");
    refused(&r, "expert 1");
    AUTO(clip) struct clip *other = NULL;
    struct clip_config config = tiny;
    config.vision.heads = 4;
    assert_true(clip_new(&config, 1, &other, NULL) && clip_save(other, folder(path("other")), NULL));
    begin(&r, "soup", NULL);
    stage_run_connect(&r, "models", path("other"));
    refused(&r, "model 0");
    ((float *)other->vision[0].ffn.fc1.w.w)[3] = INFINITY;
    other->config = tiny;
    assert_true(clip_save(other, path("other"), NULL));
    begin(&r, "task", NULL);
    stage_run_connect(&r, "models", path("other"));
    refused(&r, "layers.0.mlp.fc1.weight' is not finite");
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sums),           cmocka_unit_test(one_expert),
                                       cmocka_unit_test(factors),        cmocka_unit_test(ties_of_adapters),
                                       cmocka_unit_test(ties_of_models), cmocka_unit_test(soup_of_models),
                                       cmocka_unit_test(dare),           cmocka_unit_test(same_on_threads),
                                       cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, make_world, end_world);
}
