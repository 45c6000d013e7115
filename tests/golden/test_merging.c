/* Merged weights and an ensemble's probabilities against a stored case: the arithmetic of stages/algo on its
 * tensors, and what models of these weights answer. */
#include "base/cleanup.h"
#include "stages/algo/ensemble.h"
#include "stages/algo/soup.h"
#include "stages/algo/ties.h"
#include "stages/tensor/gemm.h"
#include "tests/golden/llama_plain.h"
#include "tests/golden/oracle.h"

enum { MODELS = 3 };
struct weights { /* of one model, by the base's tensors */
    const struct safetensors *names;
    const float *value[256];
};
struct merging {
    struct oracle_case *c;
    struct safetensors *base, *adapter[MODELS];
    int n;
    struct weights theta_0, theta[MODELS];
    double scale; /* of the adapters */
    int64_t *bins;
};
static struct safetensors *open_file(struct oracle_case *c, const char *name)
{
    struct safetensors *s = NULL;
    struct error err = {0};
    oracle_ok(c, safetensors_open(oracle_path(c, name), &s, &err), &err);
    return s;
}
static const struct tensor *at(const struct merging *x, int i)
{
    return safetensors_at(x->base, i);
}
static const float *value(struct merging *x, const struct safetensors *s, const char *name)
{
    const struct tensor *t = safetensors_find(s, name);
    const float *v = t ? tensor_floats(t, &x->c->arena) : NULL;
    float *copy = arena_floats(&x->c->arena, t ? t->n : 1);
    if (!v)
        return oracle_fail(x->c, "a file has no tensor '%s'", name), copy;
    memcpy(copy, v, (size_t)t->n * sizeof *copy);
    return copy;
}
static float *room(struct merging *x, int i)
{
    return arena_floats(&x->c->arena, at(x, i)->n);
}
static struct weights *all_room(struct merging *x)
{
    struct weights *w = arena_alloc(&x->c->arena, sizeof *w);
    w->names = x->base;
    for (int i = 0; i < x->n; i++)
        w->value[i] = room(x, i);
    return w;
}
static const float **tensors_of(struct merging *x, const struct weights *w, int i)
{
    const float **t = arena_alloc(&x->c->arena, MODELS * sizeof *t);
    for (int p = 0; p < MODELS; p++)
        t[p] = w[p].value[i];
    return t;
}

/* ---- task vectors ---- */
static struct weights *differences(struct merging *x)
{
    struct weights *tau = arena_alloc(&x->c->arena, MODELS * sizeof *tau);
    for (int p = 0; p < MODELS; p++)
        for (int i = 0; i < x->n; i++) {
            float *v = room(x, i);
            for (int64_t j = 0; j < at(x, i)->n; j++)
                v[j] = x->theta[p].value[i][j] - x->theta_0.value[i][j];
            tau[p].value[i] = v;
        }
    return tau;
}
static void product(struct merging *x, int p, int i, float *ret)
{
    const struct tensor *t = at(x, i);
    char name[160];
    memset(ret, 0, (size_t)t->n * sizeof *ret);
    snprintf(name, sizeof name, "base_model.model.%.*s.lora_A.weight", (int)(strlen(t->name) - 7), t->name);
    const struct tensor *a = safetensors_find(x->adapter[p], name);
    if (!a)
        return;
    const float *va = value(x, x->adapter[p], name);
    *strstr(name, "lora_A") = 0;
    const float *vb = value(x, x->adapter[p], arena_printf(&x->c->arena, "%slora_B.weight", name));
    gemm(false, false, t->shape[0], t->shape[1], a->shape[0], (float)x->scale, vb, a->shape[0], va,
         t->shape[1], 0, ret, t->shape[1]);
}
static struct weights *products(struct merging *x)
{
    struct weights *tau = arena_alloc(&x->c->arena, MODELS * sizeof *tau);
    for (int p = 0; p < MODELS; p++)
        for (int i = 0; i < x->n; i++) {
            float *v = room(x, i);
            product(x, p, i, v);
            tau[p].value[i] = v;
        }
    return tau;
}
/* The tensors first .. last of each task vector together. */
static void trim(struct merging *x, struct weights *tau, int first, int last, double density)
{
    for (int p = 0; p < MODELS; p++) {
        struct ties_trim t;
        ties_begin(&t, density, x->bins);
        for (int pass = 0; pass < 3; pass++) {
            for (int i = first; i <= last; i++)
                pass < 2 ? ties_count(&t, tau[p].value[i], at(x, i)->n)
                         : ties_cut(&t, (float *)tau[p].value[i], at(x, i)->n);
            if (pass < 2)
                ties_next(&t);
        }
    }
}

/* ---- comparing ---- */
static const float *named(void *arg, const char *name)
{
    const struct weights *w = arg;
    for (int i = 0; i < safetensors_count(w->names); i++)
        if (!strcmp(safetensors_at(w->names, i)->name, name))
            return w->value[i];
    printf("no weight '%s'\n", name);
    exit(1);
}
/* count times the base's tensor. */
static void compare(struct merging *x, const struct safetensors *want, const char *file, int i,
                    const float *got, int64_t count)
{
    const struct tensor *t = at(x, i), *e = safetensors_find(want, t->name);
    double diff = 0, most = 0,
           tol = json_real_or(json_object_get(json_object_get(x->c->json, "merged"), file), "tol", 0);
    if (!e || e->n != t->n * count) {
        oracle_fail(x->c, "'%s' has no tensor '%s' of %lld values", file, t->name, (long long)(t->n * count));
        return;
    }
    const float *v = value(x, want, t->name);
    for (int64_t j = 0; j < e->n; j++) {
        diff = fmax(diff, fabs((double)got[j] - (double)v[j]));
        most = fmax(most, fabs((double)v[j]));
    }
    if (!(diff <= tol * most))
        oracle_fail(x->c, "'%s', '%s' differs by %.3g, allowed %.3g", file, t->name, diff, tol * most);
    x->c->checked++;
}
static void answers(struct merging *x, const struct weights *w, double *logits)
{
    AUTO_JSON config =
        json_read(oracle_path(x->c, json_string_or(x->c->json, "config", "config.json")), NULL);
    struct llama_plain m = {config, named, (void *)w};
    int64_t shape[8];
    const int64_t *ids = oracle_ints(x->c, "input_ids", shape, NULL);
    llama_plain_logits(&m, ids, shape[1], logits);
}
static int64_t answer_size(struct merging *x)
{
    return oracle_expected(x->c, "btm.probs")->n;
}
/* expected_NAME.safetensors and logits.NAME */
static void merged(struct merging *x, const char *name, const struct weights *w)
{
    const char *file = arena_printf(&x->c->arena, "expected_%s.safetensors", name);
    AUTO(safetensors) struct safetensors *want = open_file(x->c, file);
    double *logits = arena_alloc(&x->c->arena, (size_t)answer_size(x) * sizeof *logits);
    for (int i = 0; want && i < x->n; i++)
        compare(x, want, file, i, w->value[i], 1);
    answers(x, w, logits);
    oracle_check_double(x->c, arena_printf(&x->c->arena, "logits.%s", name), logits, answer_size(x));
}
static double merged_number(struct merging *x, const char *file, const char *key)
{
    return json_real_or(json_object_get(json_object_get(x->c->json, "merged"), file), key, NAN);
}

/* ---- the methods ---- */
static void means(struct merging *x)
{
    static const char *const btx = "expected_btx.safetensors";
    struct weights *soup = all_room(x), *lora = all_room(x), *tau = products(x);
    AUTO(safetensors) struct safetensors *want = open_file(x->c, btx);
    for (int i = 0; i < x->n; i++) {
        int64_t n = at(x, i)->n;
        const float **theta = tensors_of(x, x->theta, i);
        soup_mean(theta, MODELS, n, (float *)soup->value[i]);
        soup_add(x->theta_0.value[i], tensors_of(x, tau, i), MODELS, n, 1.0 / MODELS,
                 (float *)lora->value[i]);
        if (!strstr(at(x, i)->name, ".mlp.")) { /* BTX: the rest is averaged, feed-forwards stay apart */
            compare(x, want, btx, i, soup->value[i], 1);
            continue;
        }
        float *stacked = arena_floats(&x->c->arena, MODELS * n);
        for (int p = 0; p < MODELS; p++)
            memcpy(stacked + p * n, theta[p], (size_t)n * sizeof *stacked);
        compare(x, want, btx, i, stacked, MODELS);
    }
    merged(x, "soup", soup);
    merged(x, "adapter_soup", lora);
}
static void task_arithmetic(struct merging *x)
{
    struct weights *w = all_room(x), *tau = differences(x);
    double scaling = merged_number(x, "expected_task_arithmetic.safetensors", "lambda");
    for (int i = 0; i < x->n; i++)
        soup_add(x->theta_0.value[i], tensors_of(x, tau, i), MODELS, at(x, i)->n, scaling,
                 (float *)w->value[i]);
    merged(x, "task_arithmetic", w);
}
static void ties(struct merging *x, const char *name, bool whole)
{
    struct weights *w = all_room(x), *tau = differences(x);
    const char *file = arena_printf(&x->c->arena, "expected_%s.safetensors", name);
    double scaling = merged_number(x, file, "lambda"), density = merged_number(x, file, "density");
    for (int i = 0; i < x->n && !whole; i++)
        trim(x, tau, i, i, density);
    if (whole)
        trim(x, tau, 0, x->n - 1, density);
    for (int i = 0; i < x->n; i++)
        ties_merge(x->theta_0.value[i], tensors_of(x, tau, i), MODELS, at(x, i)->n, scaling,
                   (float *)w->value[i]);
    merged(x, name, w);
}
static void ensemble(struct merging *x)
{
    int64_t n = answer_size(x), rows = oracle_expected(x->c, "btm.prediction")->n, classes = n / rows;
    double *logits = arena_alloc(&x->c->arena, (size_t)(MODELS * n) * sizeof *logits), weight[MODELS];
    double *probs = arena_alloc(&x->c->arena, (size_t)n * sizeof *probs);
    double *scratch = arena_alloc(&x->c->arena, (size_t)classes * sizeof *scratch);
    float *narrow = arena_floats(&x->c->arena, MODELS * n);
    int64_t *best = arena_alloc(&x->c->arena, (size_t)rows * sizeof *best);
    for (int p = 0; p < MODELS; p++) {
        answers(x, &x->theta[p], logits + p * n);
        weight[p] = 1.0 / MODELS;
    }
    oracle_check_double(x->c, "btm.logits", logits, MODELS * n);
    for (int64_t i = 0; i < MODELS * n; i++)
        narrow[i] = (float)logits[i];
    for (int64_t r = 0; r < rows; r++) {
        const float *z[MODELS];
        for (int p = 0; p < MODELS; p++)
            z[p] = narrow + p * n + r * classes;
        ensemble_mean(ENSEMBLE_PROBABILITY, z, weight, MODELS, classes, scratch, probs + r * classes);
        for (int64_t i = 0; i < classes; i++)
            if (probs[r * classes + i] > probs[r * classes + best[r]])
                best[r] = i;
    }
    oracle_check_double(x->c, "btm.probs", probs, n);
    oracle_check_ints(x->c, "btm.prediction", best, rows);
}

static const char *listed(struct oracle_case *c, const char *key, int i)
{
    return json_string_value(json_array_get(json_object_get(c->json, key), (size_t)i));
}
static bool read_case(struct merging *x)
{
    struct oracle_case *c = x->c;
    x->base = open_file(c, json_string_or(c->json, "base", "base.safetensors"));
    x->n = x->base ? safetensors_count(x->base) : 0;
    x->scale = oracle_number(c, "scale");
    x->bins = arena_alloc(&c->arena, TIES_BINS * sizeof *x->bins);
    x->theta_0.names = x->base;
    for (int i = 0; i < x->n; i++)
        x->theta_0.value[i] = value(x, x->base, at(x, i)->name);
    for (int p = 0; p < MODELS; p++) {
        AUTO(safetensors) struct safetensors *m = open_file(c, listed(c, "models", p));
        x->adapter[p] =
            open_file(c, arena_printf(&c->arena, "%s/adapter_model.safetensors", listed(c, "adapters", p)));
        if (!m || !x->adapter[p])
            return false;
        x->theta[p].names = x->base;
        for (int i = 0; i < x->n; i++)
            x->theta[p].value[i] = value(x, m, at(x, i)->name);
    }
    return x->n > 0 && x->n <= 256;
}
static void run(struct oracle_case *c)
{
    struct merging x = {.c = c};
    if (read_case(&x)) {
        means(&x);
        task_arithmetic(&x);
        ties(&x, "ties_per_tensor", false);
        ties(&x, "ties_global", true);
        ensemble(&x);
    } else {
        oracle_fail(c, "the case is not whole");
    }
    safetensors_close(x.base);
    for (int p = 0; p < MODELS; p++)
        safetensors_close(x.adapter[p]);
}
int main(void)
{
    return oracle_main("merging", NULL, run);
}
