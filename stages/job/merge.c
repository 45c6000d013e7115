/* Stage merge: the clients' experts over the shared seed model become one unified model. Nothing is trained
 * here: the router rows come from the clients' router vectors, lambda from a parameter. Weights are links to
 * those of the inputs. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "stages/model/moe_vectors.h"
#include "stages/model/unified.h"
#include "stages/stage.h"
#include <math.h>
#include <omp.h>
#include <string.h>

struct merge_params {
    const char *method, *gate, *context, *vectors, *init;
    double lambda, temperature;
    int64_t top_k, seed;
};
#define P(...) PARAM(struct merge_params, __VA_ARGS__)
static const struct param params[] = {
    P(method, .def = "moe", .choices = "moe",
      .doc = "moe: one expert a client in every feed-forward, and a router", .source = "paper 3.3"),
    P(lambda, .def = "0.3", .min = 0, .max = 1,
      .doc = "share of the context in what the router sees, of every layer; the stage router moves it",
      .source = "eq. 5"),
    P(top_k, .def = "1", .min = 1, .max = 4096, .doc = "experts a token visits", .source = "paper 4.1"),
    P(gate, .def = "raw", .choices = UNIFIED_GATES,
      .doc = "weights of the selected experts: raw: their probabilities; renorm: divided by their sum; "
             "straight: as "
             "renorm, with raw's gradient; soft: all experts, whatever top_k says",
      .source = "eq. 6; renorm: authors' code"),
    P(context, .def = "self", .choices = UNIFIED_CONTEXTS,
      .doc = "what the context averages: self: the layer's own input; seed: that of a separate pass of the "
             "seed model",
      .source = "eq. 5; seed: authors' code"),
    P(vectors, .def = "raw", .choices = MOE_VECTORS_FORMS,
      .doc = "router rows from the clients' means: as they are; centred; of unit length; by distance to "
             "them; centred "
             "and of unit length",
      .source = "paper 3.3; others: REFERENCE 1.1, 6"),
    P(temperature, .def = "1", .min = 1e-6, .max = 1e6, .doc = "the router's scores are divided by it"),
    P(init, .def = "mean", .choices = "mean|random",
      .doc = "router rows from the clients' means, or random, U(+-1/sqrt(width))",
      .source = "paper, ablation"),
    P(seed, .def = "0", .min = 0, .max = 9007199254740992.0, .doc = "of random router rows"),
    {0}};
static const struct port inputs[] = {
    {.name = "model", .type = ARTIFACT_MODEL, .doc = "the seed model of all experts"},
    {.name = "experts",
     .type = ARTIFACT_ADAPTER,
     .also = ARTIFACT_ROUTER,
     .many = true,
     .doc = "the clients' adapters and router vectors"},
    {0}};
static const struct port outputs[] = {
    {.name = "model", .type = ARTIFACT_MODEL, .doc = "a unified model; see docs/unified-model.md"}, {0}};

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
static void random_rows(const struct merging *x, int64_t layer, int64_t width, float *w)
{
    float bound = 1 / sqrtf((float)width);
    for (int k = 0; k < x->experts; k++) {
        struct rng r = rng_at(rng_stream((uint64_t)x->p->seed, "merge.router"), (uint64_t)layer, (uint32_t)k);
        for (int64_t j = 0; j < width; j++)
            w[k * width + j] = bound * (2 * rng_uniform(&r) - 1);
    }
}
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
            random_rows(x, (int64_t)l, width, w);
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
static bool run(struct stage_context *ctx, struct error *err)
{
    AUTO(clip) struct clip *model = NULL;
    struct merging x = {.ctx = ctx, .p = ctx->params};
    omp_set_num_threads(ctx->threads);
    if (!clip_open(stage_in(ctx, "model", 0), &model, err))
        return false;
    if (model->moe)
        return error_set(err, NULL, ERROR_INPUT,
                         "experts merge over a dense model; this one is a unified model");
    x.model = model;
    return read_experts(&x, err) && make_router(&x, err) && build(&x, err) && write_model(&x, err);
}
/* A token visits one expert, or a few small ones: about the work of the dense model. */
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    (void)params_;
    ret->bytes = in->bytes;
    ret->peak = cost_count(COST_WORKER + (double)in->bytes);
    ret->makes = (struct cost_output){.bytes = in->bytes, .forward = in->forward};
}
const struct stage stage_merge = {
    .name = "merge",
    .version = 1,
    .doc = "One unified model from a seed model and the clients' experts, without training.",
    .params = params,
    .params_size = sizeof(struct merge_params),
    .inputs = inputs,
    .outputs = outputs,
    .cost = cost,
    .run = run};
