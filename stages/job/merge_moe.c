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
    int experts;
    struct adapter_set **adapter;
    struct moe_vectors **vectors;
    const float **router, **bias; /* (layers) */
    float *lambda;
    bool biased;
};
static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for a merge");
}

/* ---- inputs ---- */
static bool read_experts(struct merging *x, struct error *err)
{
    struct stage_context *ctx = x->ctx;
    x->experts = stage_in_count(ctx, "experts");
    if (stage_in_count(ctx, "models"))
        return error_set(err, NULL, ERROR_INPUT,
                         "method moe puts adapters over the seed model: connect 'experts' and not 'models'");
    if (x->p->top_k > x->experts)
        return error_set(err, NULL, ERROR_INPUT, "'top_k' is %lld, but there are %d experts",
                         (long long)x->p->top_k, x->experts);
    x->adapter = arena_alloc(ctx->arena, (size_t)x->experts * sizeof *x->adapter);
    x->vectors = arena_alloc(ctx->arena, (size_t)x->experts * sizeof *x->vectors);
    for (int k = 0; k < x->experts; k++) {
        if (!peft_load(stage_in(ctx, "experts", k), x->model, false, ctx->arena, &x->adapter[k], err))
            return error_context(err, "expert %d", k);
        const char *vectors = stage_in_also(ctx, "experts", k);
        if (!vectors)
            return error_set(err, NULL, ERROR_INPUT, "expert %d comes without router vectors", k);
        if (!moe_vectors_load(vectors, x->model, ctx->arena, &x->vectors[k], err))
            return error_context(err, "expert %d", k);
    }
    return true;
}

/* ---- router ---- */
static bool make_router(struct merging *x, struct error *err)
{
    struct arena *a = x->ctx->arena;
    int64_t width = x->model->config.vision.width;
    size_t layers = (size_t)x->model->config.vision.layers;
    enum moe_vectors_form form = MOE_VECTORS_RAW;
    moe_vectors_parse(x->p->vectors, &form);
    x->router = arena_alloc(a, layers * sizeof *x->router);
    x->bias = arena_alloc(a, layers * sizeof *x->bias);
    x->lambda = arena_alloc(a, layers * sizeof *x->lambda);
    for (size_t l = 0; l < layers; l++) {
        float *w = arena_floats(a, x->experts * width), *b = arena_floats(a, x->experts);
        if (!w || !b)
            return no_memory(err);
        if (!strcmp(x->p->init, "random"))
            moe_vectors_random(rng_stream((uint64_t)x->p->seed, "merge.router"), (int64_t)l, x->experts,
                               width, w);
        else
            x->biased = moe_vectors_router(x->vectors, x->experts, (int64_t)l, form, w, b);
        x->router[l] = w;
        x->bias[l] = b;
        x->lambda[l] = (float)x->p->lambda;
    }
    return true;
}
static bool build(struct merging *x, struct error *err)
{
    struct unified_options o = {.top_k = (int)x->p->top_k, .temperature = x->p->temperature};
    unified_gate_parse(x->p->gate, &o.gate);
    unified_context_parse(x->p->context, &o.context);
    return unified_build(x->model, x->adapter, x->experts, x->router, x->biased ? x->bias : NULL, x->lambda,
                         &o, false, err);
}

/* ---- output ---- */
static bool write_model(struct merging *x, struct error *err)
{
    struct stage_context *ctx = x->ctx;
    const char *seed = stage_in(ctx, "model", 0), *to = ctx->outputs[0];
    if (!unified_save_router(x->model, NULL, seed, to, err) || !unified_link(seed, to, err))
        return false;
    for (int k = 0; k < x->experts; k++) {
        const char *folder = arena_printf(ctx->arena, "%s/expert_%d", to, k);
        if (!fs_mkdirs(folder, err) || !unified_link(stage_in(ctx, "experts", k), folder, err))
            return false;
    }
    return true;
}
bool merge_moe(struct stage_context *ctx, struct clip *model, struct error *err)
{
    struct merging x = {.ctx = ctx, .p = ctx->params, .model = model};
    return read_experts(&x, err) && make_router(&x, err) && build(&x, err) && write_model(&x, err);
}
