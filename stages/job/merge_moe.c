/* Method moe of the stage merge: the clients' experts over the shared seed model become one unified model.
 * The router rows come from the clients' router vectors, lambda from a parameter. Weights are links to those
 * of the inputs. */
#include "base/fs.h"
#include "stages/job/merge.h"
#include "stages/model/moe_vectors.h"
#include "stages/model/unified.h"
#include <string.h>

struct merging {
    struct stage_context *ctx;
    const struct merge_params *p;
    struct clip *model;
    int clients, first;           /* expert first + i is that of client i: before it comes the seed's own */
    struct adapter_set **adapter; /* (experts) */
    struct moe_vectors **vectors; /* (experts) */
    struct unified_values values;
};
static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for a merge");
}
static int experts_of(const struct merging *x)
{
    return x->first + x->clients;
}
/* The seed's expert has a row. */
static bool competes(const struct merging *x)
{
    return !strcmp(x->p->seed_expert, "competes");
}

/* ---- inputs ---- */
static bool read_clients(struct merging *x, struct error *err)
{
    struct stage_context *ctx = x->ctx;
    for (int i = 0; i < x->clients; i++) {
        int k = x->first + i;
        if (!peft_load(stage_in(ctx, "experts", i), x->model, false, ctx->arena, &x->adapter[k], err))
            return error_context(err, "expert %d", i);
        const char *vectors = stage_in_also(ctx, "experts", i);
        if (!vectors)
            return error_set(err, NULL, ERROR_INPUT, "expert %d comes without router vectors", i);
        if (!moe_vectors_load(vectors, x->model, ctx->arena, &x->vectors[k], err))
            return error_context(err, "expert %d", i);
    }
    return true;
}
/* e_0 of a seed that competes: of the vectors that were given, else what all clients share. */
static bool read_seed(struct merging *x, struct error *err)
{
    const char *dir = stage_in(x->ctx, "seed_vectors", 0);
    if (dir && !competes(x))
        return error_set(
            err, NULL, ERROR_INPUT,
            "'seed_vectors' are for 'seed_expert: competes'; with '%s' the seed has no router row",
            x->p->seed_expert);
    if (!competes(x))
        return true;
    if (dir)
        return moe_vectors_load(dir, x->model, x->ctx->arena, &x->vectors[0], err);
    x->vectors[0] = moe_vectors_mean(x->vectors + 1, x->clients, x->ctx->arena);
    return x->vectors[0] || no_memory(err);
}
static bool read_experts(struct merging *x, struct error *err)
{
    struct stage_context *ctx = x->ctx;
    x->clients = stage_in_count(ctx, "experts");
    x->first = strcmp(x->p->seed_expert, "none") != 0;
    if (stage_in_count(ctx, "models"))
        return error_set(err, NULL, ERROR_INPUT,
                         "method moe puts adapters over the seed model: connect 'experts' and not 'models'");
    if (!x->clients)
        return error_set(err, NULL, ERROR_INPUT, "method moe needs 'experts'");
    x->adapter = arena_alloc(ctx->arena, (size_t)experts_of(x) * sizeof *x->adapter);
    x->vectors = arena_alloc(ctx->arena, (size_t)experts_of(x) * sizeof *x->vectors);
    return read_clients(x, err) && read_seed(x, err);
}

/* ---- router ---- */
/* Rows w and biases b of all layers for one kind of tokens; a seed that is shared has zeros. */
static bool make_rows(struct merging *x, enum moe_vectors_tokens of, enum unified_part rows,
                      enum unified_part biases, struct error *err)
{
    struct arena *a = x->ctx->arena;
    int64_t width = x->model->config.vision.width, layers = x->model->config.vision.layers;
    int n = experts_of(x), from = x->first && !competes(x);
    bool random = !strcmp(x->p->init, "random"), biased = false;
    const char *stream = rows == UNIFIED_ROUTER ? "merge.router" : "merge.class_router";
    enum moe_vectors_form form = MOE_VECTORS_RAW;
    moe_vectors_parse(x->p->vectors, &form);
    x->values.part[rows] = arena_alloc(a, (size_t)layers * sizeof **x->values.part);
    x->values.part[biases] = arena_alloc(a, (size_t)layers * sizeof **x->values.part);
    for (int64_t l = 0; l < layers; l++) {
        float *w = arena_try(a, (size_t)(n * width) * sizeof *w), *b = arena_try(a, (size_t)n * sizeof *b);
        if (!w || !b)
            return no_memory(err);
        if (random)
            moe_vectors_random(rng_stream((uint64_t)x->p->seed, stream), l, n - from, width,
                               w + from * width);
        else
            biased = moe_vectors_router(x->vectors + from, n - from, l, form, of, w + from * width, b + from);
        x->values.part[rows][l] = w;
        x->values.part[biases][l] = b;
    }
    if (!biased)
        x->values.part[biases] = NULL;
    return true;
}
/* One value an expert, or one alone, the same in all layers. */
static bool constant(struct merging *x, enum unified_part part, int n, double value, struct error *err)
{
    int64_t layers = x->model->config.vision.layers;
    const float **layer = arena_alloc(x->ctx->arena, (size_t)layers * sizeof *layer);
    float *own = arena_floats(x->ctx->arena, n);
    if (!own)
        return no_memory(err);
    for (int k = 0; k < n; k++)
        own[k] = (float)value;
    for (int64_t l = 0; l < layers; l++)
        layer[l] = own;
    x->values.part[part] = layer;
    return true;
}
static bool make_router(struct merging *x, struct error *err)
{
    bool joint = !strcmp(x->p->kinds, "joint");
    if (!make_rows(x, joint ? MOE_VECTORS_ALL : MOE_VECTORS_PATCHES, UNIFIED_ROUTER, UNIFIED_BIAS, err) ||
        (!joint && !make_rows(x, MOE_VECTORS_CLASS, UNIFIED_CLASS_ROUTER, UNIFIED_CLASS_BIAS, err)))
        return false;
    if (x->p->negative_bias && !constant(x, UNIFIED_NEGATIVE, experts_of(x), 0, err))
        return false;
    return constant(x, UNIFIED_LAMBDA, 1, x->p->lambda, err);
}
static bool build(struct merging *x, struct error *err)
{
    struct unified_options o = {.top_k = (int)x->p->top_k, .temperature = x->p->temperature};
    unified_gate_parse(x->p->gate, &o.gate);
    unified_context_parse(x->p->context, &o.context);
    o.shared = !strcmp(x->p->seed_expert, "shared") ? MOE_SHARED_ADDED
               : !strcmp(x->p->seed_expert, "rest") ? MOE_SHARED_REST
                                                    : MOE_SHARED_NONE;
    return unified_build(x->model, x->adapter, experts_of(x), &x->values, &o, false, err);
}

/* ---- output ---- */
static bool write_model(struct merging *x, struct error *err)
{
    struct stage_context *ctx = x->ctx;
    const char *seed = stage_in(ctx, "model", 0), *to = ctx->outputs[0];
    if (!unified_save_router(x->model, NULL, seed, to, err) || !unified_link(seed, to, err))
        return false;
    for (int i = 0; i < x->clients; i++) {
        const char *folder = arena_printf(ctx->arena, "%s/expert_%d", to, x->first + i);
        if (!fs_mkdirs(folder, err) || !unified_link(stage_in(ctx, "experts", i), folder, err))
            return false;
    }
    return true;
}
bool merge_moe(struct stage_context *ctx, struct clip *model, struct error *err)
{
    struct merging x = {.ctx = ctx, .p = ctx->params, .model = model};
    return read_experts(&x, err) && make_router(&x, err) && build(&x, err) && write_model(&x, err);
}
