/* The dense methods of the stage merge: what the experts change in the seed's weights becomes one change. The
 * model is made tensor by tensor: in memory are the changes of one tensor, everything else stays mapped.
 * Experts are adapters, tau_p = s B_p A_p in the feed-forwards of the vision tower and 0 elsewhere, or whole
 * models, tau_p = theta_p - theta_0. */
#include "base/cleanup.h"
#include "stages/algo/soup.h"
#include "stages/algo/ties.h"
#include "stages/job/merge.h"
#include "stages/model/unified.h"
#include "stages/tensor/gemm.h"
#include <math.h>
#include <string.h>

/* What a method does to the changes before it adds their sum, times the scaling, to the seed. */
static const struct method {
    const char *name;
    double scaling; /* where the parameter leaves it open; 0: 1/K */
    bool drop, trim,
        elect; /* at random; the small ones; those of the lesser sign, and the mean of the rest */
} methods[] = {{.name = "soup"},
               {.name = "task", .scaling = 0.4},
               {.name = "ties", .scaling = 1, .trim = true, .elect = true},
               {.name = "dare", .scaling = 0.4, .drop = true},
               {.name = "dare_ties", .scaling = 1, .drop = true, .elect = true}};

struct weight {
    const char *name;
    const struct mat *w;      /* the seed's */
    const struct mat **theta; /* (K) of whole models, else NULL */
};
struct merging {
    struct stage_context *ctx;
    const struct merge_params *p;
    const struct method *method;
    double scaling;
    struct clip *seed;
    int experts;                  /* K */
    struct adapter_set **adapter; /* (K), or */
    struct clip **model;          /* (K) */
    struct weight *weight;        /* (n) */
    int n, done;
    float **tau, *ret;      /* (K), and the result: room for the largest tensor that experts change */
    struct ties_trim *trim; /* (K) */
};
static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for a merge");
}

/* ---- inputs ---- */
struct listing {
    struct merging *x;
    int k; /* model whose weights are listed, -1: the seed */
    int at;
    bool differs;
};
static void list_weight(void *arg, const char *name, struct mat *w, int rank, const int64_t *shape)
{
    struct listing *l = arg;
    struct merging *x = l->x;
    int i = l->at++;
    if (l->k < 0) {
        x->n = l->at;
        if (x->weight)
            x->weight[i] = (struct weight){arena_strdup(x->ctx->arena, name), w, NULL};
    } else if (i >= x->n || strcmp(x->weight[i].name, name) != 0 || w->rows != x->weight[i].w->rows ||
               w->cols != x->weight[i].w->cols) {
        l->differs = true;
    } else {
        x->weight[i].theta[l->k] = w;
    }
}
static bool same_config(const struct tower_config *a, const struct tower_config *b)
{
    return a->heads == b->heads && a->act == b->act;
}
static bool read_model(struct merging *x, int k, struct error *err)
{
    struct listing l = {.x = x, .k = k};
    if (!clip_open(stage_in(x->ctx, "models", k), &x->model[k], err))
        return error_context(err, "model %d", k);
    const struct clip *m = x->model[k];
    clip_each_weight(x->model[k], list_weight, &l);
    if (m->moe || l.differs || l.at != x->n || !same_config(&m->config.vision, &x->seed->config.vision) ||
        !same_config(&m->config.text, &x->seed->config.text))
        return error_set(err, NULL, ERROR_INPUT,
                         "model %d is no dense model of the seed's shape: it did not come from it", k);
    return true;
}
static bool read_experts(struct merging *x, struct error *err)
{
    struct stage_context *ctx = x->ctx;
    int adapters = stage_in_count(ctx, "experts"), models = stage_in_count(ctx, "models");
    if (!adapters == !models)
        return error_set(err, NULL, ERROR_INPUT, "connect either 'experts' or 'models'");
    x->experts = adapters + models;
    if (adapters)
        x->adapter = arena_alloc(ctx->arena, (size_t)adapters * sizeof *x->adapter);
    else
        x->model = arena_alloc(ctx->arena, (size_t)models * sizeof *x->model);
    for (int i = 0; models && i < x->n; i++)
        x->weight[i].theta = arena_alloc(ctx->arena, (size_t)models * sizeof *x->weight[i].theta);
    for (int k = 0; k < adapters; k++)
        if (!peft_load(stage_in(ctx, "experts", k), x->seed, false, ctx->arena, &x->adapter[k], err))
            return error_context(err, "expert %d", k);
    for (int k = 0; k < models; k++)
        if (!read_model(x, k, err))
            return false;
    return true;
}
static void list_seed(struct merging *x)
{
    struct listing l = {.x = x, .k = -1};
    clip_each_weight(x->seed, list_weight, &l); /* counts */
    x->weight = arena_alloc(x->ctx->arena, (size_t)x->n * sizeof *x->weight);
    l.at = 0;
    clip_each_weight(x->seed, list_weight, &l);
}

/* ---- changes ---- */
/* The adapter's part for a weight, NULL where it changes nothing. */
static const struct lora *lora_of(const struct merging *x, const struct weight *w, int k)
{
    for (int l = 0; l < x->seed->config.vision.layers; l++) {
        const struct ffn *f = &x->seed->vision[l].ffn;
        if (w->w == &f->fc1.w || w->w == &f->fc2.w)
            return w->w == &f->fc1.w ? &x->adapter[k]->layer[l].fc1 : &x->adapter[k]->layer[l].fc2;
    }
    return NULL;
}
static bool changes(const struct merging *x, const struct weight *w)
{
    return !x->adapter || lora_of(x, w, 0);
}
static void product(const struct lora *l, float scale, float *ret)
{
    gemm(false, false, l->b.rows, l->a.cols, l->a.rows, scale, l->b.w, l->b.cols, l->a.w, l->a.cols, 0, ret,
         l->a.cols);
}
/* tau_k of a weight that experts change, before anything is trimmed. */
static bool make_tau(struct merging *x, const struct weight *w, int k, struct error *err)
{
    int64_t n = mat_size(w->w);
    float *tau = x->tau[k];
    bool finite = true;
    if (x->adapter)
        product(lora_of(x, w, k), lora_of(x, w, k)->scale, tau);
    for (int64_t i = 0; !x->adapter && i < n; i++)
        tau[i] = w->theta[k]->w[i] - w->w->w[i];
    for (int64_t i = 0; i < n; i++)
        finite = finite && isfinite(tau[i]);
    if (!finite)
        return error_set(err, NULL, ERROR_TASK, "expert %d: its change of '%s' is not finite", k, w->name);
    if (x->method->drop) {
        const char *stream = arena_printf(x->ctx->arena, "merge.dare.%s", w->name);
        dare_drop(tau, n, x->p->drop, rng_stream((uint64_t)x->p->seed, stream), (uint32_t)k);
    }
    return true;
}
/* What is left of expert k's changes, by two passes over the weights `first` to `last`. */
static bool find_edge(struct merging *x, int k, int first, int last, struct error *err)
{
    struct ties_trim *t = &x->trim[k];
    ties_begin(t, x->p->density, t->count);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = first; i <= last; i++) {
            const struct weight *w = &x->weight[i];
            if (!changes(x, w))
                continue;
            if (!make_tau(x, w, k, err))
                return false;
            ties_count(t, x->tau[k], mat_size(w->w));
        }
        ties_next(t);
    }
    return true;
}
static bool find_edges(struct merging *x, int first, int last, struct error *err)
{
    for (int k = 0; k < x->experts; k++)
        if (!find_edge(x, k, first, last, err))
            return false;
    return true;
}

/* ---- merging ---- */
static void average_models(struct merging *x, const struct weight *w)
{
    const float **theta = arena_alloc(x->ctx->arena, (size_t)x->experts * sizeof *theta);
    for (int k = 0; k < x->experts; k++)
        theta[k] = w->theta[k]->w;
    soup_mean(theta, x->experts, mat_size(w->w), x->ret);
}
/* theta_0 + s (mean B) (mean A) */
static bool average_factors(struct merging *x, const struct weight *w, struct error *err)
{
    const struct lora *first = lora_of(x, w, 0);
    const float **a = arena_alloc(x->ctx->arena, (size_t)x->experts * sizeof *a),
                **b = arena_alloc(x->ctx->arena, (size_t)x->experts * sizeof *b);
    struct lora mean = *first;
    for (int k = 0; k < x->experts; k++) {
        const struct lora *l = lora_of(x, w, k);
        if (l->a.rows != first->a.rows || l->scale != first->scale)
            return error_set(err, NULL, ERROR_INPUT,
                             "factors of adapters with different ranks or scales have no mean: expert %d is "
                             "not like expert 0",
                             k);
        a[k] = l->a.w;
        b[k] = l->b.w;
    }
    mean.a.w = arena_floats(x->ctx->arena, mat_size(&mean.a));
    mean.b.w = arena_floats(x->ctx->arena, mat_size(&mean.b));
    if (!mean.a.w || !mean.b.w)
        return no_memory(err);
    soup_mean(a, x->experts, mat_size(&mean.a), mean.a.w);
    soup_mean(b, x->experts, mat_size(&mean.b), mean.b.w);
    product(&mean, mean.scale, x->tau[0]);
    soup_add(w->w->w, (const float *const *)x->tau, 1, mat_size(w->w), 1, x->ret);
    return true;
}
static bool merge_weight(struct merging *x, int i, struct error *err)
{
    const struct weight *w = &x->weight[i];
    const float *const *tau = (const float *const *)x->tau;
    int64_t n = mat_size(w->w);
    if (x->method->trim && !strcmp(x->p->trim, "tensor") && !find_edges(x, i, i, err))
        return false;
    for (int k = 0; k < x->experts; k++) {
        if (!make_tau(x, w, k, err))
            return false;
        if (x->method->trim)
            ties_cut(&x->trim[k], x->tau[k], n);
    }
    if (x->method->elect)
        ties_merge(w->w->w, tau, x->experts, n, x->scaling, x->ret);
    else
        soup_add(w->w->w, tau, x->experts, n, x->scaling, x->ret);
    return true;
}
/* The merged values of a weight. */
static const void *make(void *arg, const char *name, struct error *err)
{
    struct merging *x = arg;
    int i = 0;
    while (strcmp(x->weight[i].name, name) != 0)
        i++;
    const struct weight *w = &x->weight[i];
    struct arena_mark mark = arena_mark(x->ctx->arena);
    bool soup = !strcmp(x->method->name, "soup"), ok = true;
    stage_progress(x->ctx, x->done++, x->n, "tensors");
    if (!changes(x, w))
        return w->w->w;
    if (soup && x->model)
        average_models(x, w);
    else if (soup && !strcmp(x->p->average, "factors"))
        ok = average_factors(x, w, err);
    else
        ok = merge_weight(x, i, err);
    arena_release(x->ctx->arena, mark);
    return ok ? x->ret : NULL;
}

static bool make_room(struct merging *x, struct error *err)
{
    struct arena *a = x->ctx->arena;
    int64_t most = 0;
    for (int i = 0; i < x->n; i++)
        if (changes(x, &x->weight[i]) && mat_size(x->weight[i].w) > most)
            most = mat_size(x->weight[i].w);
    x->tau = arena_alloc(a, (size_t)x->experts * sizeof *x->tau);
    x->trim = arena_alloc(a, (size_t)x->experts * sizeof *x->trim);
    x->ret = arena_floats(a, most);
    for (int k = 0; k < x->experts; k++) {
        x->tau[k] = arena_floats(a, most);
        x->trim[k].count = x->method->trim ? arena_try(a, TIES_BINS * sizeof *x->trim[k].count) : NULL;
        if (!x->tau[k] || (x->method->trim && !x->trim[k].count))
            return no_memory(err);
    }
    return x->ret || no_memory(err);
}
static bool merge_all(struct merging *x, struct error *err)
{
    const char *from = stage_in(x->ctx, "model", 0), *to = x->ctx->outputs[0];
    list_seed(x);
    if (!read_experts(x, err) || !make_room(x, err))
        return false;
    x->scaling = x->p->scaling != 0        ? x->p->scaling
                 : x->method->scaling != 0 ? x->method->scaling
                                           : 1.0 / x->experts;
    if (x->method->trim && !strcmp(x->p->trim, "model") && !find_edges(x, 0, x->n - 1, err))
        return false;
    return clip_save_made(x->seed, to, make, x, err) && unified_link_tokenizer(from, to, err);
}
bool merge_dense(struct stage_context *ctx, struct clip *model, struct error *err)
{
    struct merging x = {.ctx = ctx, .p = ctx->params, .seed = model, .method = methods};
    while (strcmp(x.method->name, x.p->method) != 0) /* the row of the parameter has no others */
        x.method++;
    bool ok = merge_all(&x, err);
    for (int k = 0; x.model && k < x.experts; k++)
        clip_free(x.model[k]);
    return ok;
}
