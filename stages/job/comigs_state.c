/* The state of a client: weights and optimisers, as stages/job/training.h writes them. The folder of the
 * model holds them once more, as any unified model, so that it can be evaluated. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "stages/job/comigs.h"
#include "stages/model/moe_vectors.h"
#include "stages/model/unified.h"
#include <math.h>
#include <string.h>

#define STATE "state.safetensors"

static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for a client's experts");
}

/* ---- the mixture ---- */
static double scale_of(const struct comigs_params *p)
{
    return p->alpha / (strcmp(p->scaling, "rank") ? sqrt((double)p->rank) : (double)p->rank);
}
/* Generalists start alike at all clients, as their weights are averaged. */
static bool new_expert(struct comigs *x, int expert, struct adapter_set **ret, struct error *err)
{
    struct rng r = rng_at(rng_stream((uint64_t)x->p->train.seed, "comigs.expert"), (uint64_t)expert, 0);
    if (!adapter_new(x->model, x->p->rank, x->p->alpha, rng_u64(&r), false, x->ctx->arena, ret, err))
        return false;
    for (int l = 0; l < (*ret)->layers; l++)
        (*ret)->layer[l].fc1.scale = (*ret)->layer[l].fc2.scale = (float)scale_of(x->p);
    return true;
}
static bool build(struct comigs *x, struct error *err)
{
    const struct unified_options o = {
        .top_k = COMIGS_EXPERTS, .gate = MOE_GATE_RENORM, .context = MOE_CONTEXT_SELF, .temperature = 1};
    struct rng_stream stream = rng_stream((uint64_t)x->p->train.seed, "comigs.router");
    int64_t width = x->model->config.vision.width, layers = x->model->config.vision.layers;
    struct adapter_set *expert[COMIGS_EXPERTS];
    const float **router = arena_alloc(x->ctx->arena, (size_t)layers * sizeof *router);
    const float **lambda = arena_alloc(x->ctx->arena, (size_t)layers * sizeof *lambda);
    const struct unified_values values = {{[UNIFIED_ROUTER] = router, [UNIFIED_LAMBDA] = lambda}};
    static const float no_context = 0;
    for (int k = 0; k < COMIGS_EXPERTS; k++)
        if (!new_expert(x, k, &expert[k], err))
            return false;
    for (int64_t l = 0; l < layers; l++) {
        float *rows = arena_floats(x->ctx->arena, COMIGS_EXPERTS * width);
        if (!rows)
            return no_memory(err);
        moe_vectors_random(stream, l, COMIGS_EXPERTS, width, rows);
        router[l] = rows;
        lambda[l] = &no_context;
    }
    return unified_build(x->model, expert, COMIGS_EXPERTS, &values, &o, true, err);
}

/* ---- what learns ---- */
static void list_weight(void *arg, char kind, const char *name, struct mat *w)
{
    struct comigs *x = arg;
    if (kind == 'a' || kind == 'r') {
        if (x->weight)
            x->weight[x->n] = (struct comigs_weight){w, w->g, kind == 'r'};
        x->n++;
    } else {
        w->g = NULL;
    }
}
static void list_weights(struct comigs *x)
{
    unified_each(x->model, list_weight, x); /* counts */
    x->weight = arena_alloc(x->ctx->arena, (size_t)x->n * sizeof *x->weight);
    x->n = 0;
    unified_each(x->model, list_weight, x);
}
void comigs_turn(struct comigs *x, bool routers)
{
    for (int i = 0; i < x->n; i++)
        x->weight[i].w->g = x->weight[i].router == routers ? x->weight[i].g : NULL;
}
static bool new_optimisers(struct comigs *x, struct error *err)
{
    struct optim_config o = train_optim_config(&x->p->train);
    o.beta2 = x->p->beta2;
    x->state.ctx = x->ctx;
    for (int k = 0; k < 2; k++) {
        struct optim *optim = x->state.optim[k] = optim_new(&o, x->ctx->arena);
        for (int i = 0; i < x->n; i++)
            if (x->weight[i].router == (k == 1) && !optim_add(optim, x->weight[i].w, 1, err))
                return false;
    }
    return true;
}

/* ---- from before ---- */
static bool read_state(struct comigs *x, struct error *err)
{
    if (!stage_in(x->ctx, "state", 0))
        return true;
    const char *path = stage_in_file(x->ctx, "state", 0, STATE);
    if (!fs_exists(path))
        return error_set(
            err, NULL, ERROR_INPUT,
            "input 'state' takes the model that an earlier round of this stage made: this one has no "
            "file '" STATE "'");
    return training_read(&x->state, path, err) ||
           error_context(err, "input 'state' does not fit: rank, optimizer and momentum must be those of the "
                              "round before");
}
static void copy_lora(struct lora *to, const struct lora *from)
{
    memcpy(to->a.w, from->a.w, (size_t)mat_size(&to->a) * sizeof(float));
    memcpy(to->b.w, from->b.w, (size_t)mat_size(&to->b) * sizeof(float));
}
/* The clients' mean takes the generalist's place; its optimiser remembers what was this client's. */
static bool read_generalist(struct comigs *x, struct error *err)
{
    const char *dir = stage_in(x->ctx, "generalist", 0);
    struct adapter_set *mean;
    if (!dir)
        return true;
    if (!peft_load(dir, x->model, false, x->ctx->arena, &mean, err))
        return error_context(err, "input 'generalist'");
    double scale = scale_of(x->p);
    if (mean->rank != x->p->rank || fabs((double)mean->layer[0].fc1.scale - scale) > 1e-6 * fabs(scale))
        return error_set(
            err, NULL, ERROR_INPUT,
            "input 'generalist' has rank %lld and scale %g, the client's experts have %lld and %g",
            (long long)mean->rank, (double)mean->layer[0].fc1.scale, (long long)x->p->rank, scale);
    for (int l = 0; l < mean->layers; l++) {
        /* the mixture's own, made by unified_build */
        struct adapter *to = (struct adapter *)(uintptr_t)&x->model->moe[l].expert[COMIGS_GENERALIST];
        copy_lora(&to->fc1, &mean->layer[l].fc1);
        copy_lora(&to->fc2, &mean->layer[l].fc2);
    }
    return true;
}
bool comigs_begin(struct comigs *x, struct error *err)
{
    if (!build(x, err))
        return false;
    list_weights(x);
    return new_optimisers(x, err) && read_state(x, err) && read_generalist(x, err);
}

/* ---- to the next ---- */
static bool save_generalist(struct comigs *x, const char *dir, struct error *err)
{
    int layers = (int)x->model->config.vision.layers;
    struct adapter *layer = arena_alloc(x->ctx->arena, (size_t)layers * sizeof *layer);
    for (int l = 0; l < layers; l++)
        layer[l] = x->model->moe[l].expert[COMIGS_GENERALIST];
    return peft_save(&(struct adapter_set){layers, layer, x->p->rank, x->p->alpha}, NULL, dir, err);
}
bool comigs_save(struct comigs *x, struct error *err)
{
    static const char *const names[] = {"generalist", "specialist"};
    struct stage_context *ctx = x->ctx;
    const char *seed = stage_in(ctx, "model", 0);
    const char *model = ctx->outputs[stage_port_index(ctx->stage->outputs, "model")];
    const char *shared = ctx->outputs[stage_port_index(ctx->stage->outputs, "generalist")];
    return unified_save(x->model, names, seed, model, err) && unified_link(seed, model, err) &&
           training_write(&x->state, optim_steps(x->state.optim[0]), stage_out_file(ctx, "model", STATE),
                          err) &&
           save_generalist(x, shared, err);
}
