#include "stages/job/router_losses.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "stages/model/unified.h"
#include <string.h>

static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for the losses on routers");
}
/* Experts of clients, in order: column[i] is the expert of the i-th; their number. */
static int client_experts(const struct moe *m, int *column)
{
    int n = 0;
    for (int k = 0; k < m->experts; k++)
        if (m->expert[k].fc1.a.w)
            column[n++] = k;
    return n;
}
/* target of every sample among the ids of a selection: += 1 for expert k. */
static bool mark_owner(const struct train *t, const char *path, const int64_t *row, int k, int experts,
                       float *target, struct error *err)
{
    AUTO_JSON selection = json_read(path, err);
    size_t i;
    json_t *id;
    if (!selection)
        return false;
    json_array_foreach(json_object_get(selection, "ids"), i, id)
    {
        int64_t at =
            dataset_find(t->data[0], json_string_value(id)); /* was found when the samples were made */
        if (at >= 0 && row[at] >= 0)
            target[row[at] * experts + k] = 1;
    }
    return true;
}
/* A sample of several clients is shared among them evenly. */
static void share(float *target, int64_t rows, int n)
{
    for (int64_t i = 0; i < rows; i++) {
        float sum = 0;
        for (int k = 0; k < n; k++)
            sum += target[i * n + k];
        for (int k = 0; k < n && sum > 0; k++)
            target[i * n + k] /= sum;
    }
}
/* Is there one reference of the port an expert, or none at all? */
static bool one_each(struct stage_context *ctx, const char *port, int experts, struct error *err)
{
    int n = stage_in_count(ctx, port);
    return n == 0 || n == experts ||
           error_set(err, NULL, ERROR_INPUT,
                     "'domain_loss' needs the '%s' of each client in the order of the experts: there are %d "
                     "experts and %d of these",
                     port, experts, n);
}
static bool make_targets(struct stage_context *ctx, struct train *t, struct error *err)
{
    int experts = t->model->moe->experts, public = stage_in_count(ctx, "proxies") > 0;
    int64_t images = dataset_count(t->data[0]);
    int *column = arena_try(ctx->arena, (size_t)experts * sizeof *column);
    int64_t *row = arena_try(ctx->arena, (size_t)(images + 1) * sizeof *row);
    float *target = arena_try(ctx->arena, (size_t)(t->count * experts) * sizeof *target); /* zeros */
    if (!column || !row || !target)
        return no_memory(err);
    int n = client_experts(t->model->moe, column);
    if (!one_each(ctx, "proxies", n, err) || !one_each(ctx, "private", n, err))
        return false;
    for (int64_t i = 0; i < images; i++)
        row[i] = -1;
    for (int64_t i = 0; i < t->count; i++) {
        const struct train_sample *s = &t->sample[i];
        if (public && s->set == 0)
            row[s->index] = i;
        else
            target[i * experts + column[s->set - public]] = 1;
    }
    for (int k = 0; public && k < n; k++)
        if (!mark_owner(t, stage_in_file(ctx, "proxies", k, "selection.json"), row, column[k], experts,
                        target, err))
            return false;
    share(target, t->count, experts);
    t->target = target;
    return true;
}
/* A second optimiser, plain SGD, so that the biases are kept with the training's state. */
static bool add_balance(struct stage_context *ctx, double rate, struct clip *m, struct train *t,
                        struct error *err)
{
    t->balance_rate = rate;
    t->balance = optim_new(&(struct optim_config){.kind = OPTIM_SGD}, ctx->arena);
    if (!unified_add_balance(m, err))
        return false;
    for (int64_t l = 0; l < m->config.vision.layers; l++)
        if (!optim_add(t->balance, &m->moe[l].balance, 1, err))
            return false;
    return true;
}
bool router_losses_set(struct stage_context *ctx, const struct router_losses *p, struct clip *model,
                       struct train *t, struct error *err)
{
    const struct moe *m = model->moe;
    int scored = m->experts - (int)moe_first_scored(m);
    bool all = m->gate == MOE_GATE_SOFT || m->gate == MOE_GATE_SMEAR || m->top_k >= scored;
    if (all && (p->balance_loss > 0 || p->balance_rate > 0))
        return error_set(err, NULL, ERROR_INPUT, "'%s' does nothing where every token visits all %d experts",
                         p->balance_loss > 0 ? "balance_loss" : "balance_rate", scored);
    if (p->balance_loss == 0 && p->z_loss == 0 && p->domain_loss == 0 && p->balance_rate == 0)
        return true;
    struct moe_loss *loss = arena_alloc(ctx->arena, sizeof *loss);
    *loss = (struct moe_loss){.weight = {p->balance_loss, p->z_loss, p->domain_loss}};
    t->loss = loss;
    return (p->domain_loss == 0 || make_targets(ctx, t, err)) &&
           (p->balance_rate == 0 || add_balance(ctx, p->balance_rate, model, t, err));
}
