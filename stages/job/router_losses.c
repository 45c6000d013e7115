#include "stages/job/router_losses.h"
#include "base/cleanup.h"
#include "base/json.h"
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
static bool make_targets(struct stage_context *ctx, struct train *t, struct error *err)
{
    int experts = t->model->moe->experts, clients = stage_in_count(ctx, "proxies");
    int64_t images = dataset_count(t->data[0]);
    int *column = arena_try(ctx->arena, (size_t)experts * sizeof *column);
    int64_t *row = arena_try(ctx->arena, (size_t)images * sizeof *row);
    float *target = arena_try(ctx->arena, (size_t)(t->count * experts) * sizeof *target); /* zeros */
    if (!column || !row || !target)
        return no_memory(err);
    int n = client_experts(t->model->moe, column);
    if (n != clients)
        return error_set(err, NULL, ERROR_INPUT,
                         "'domain_loss' needs the proxies of each client in the order of the experts: there "
                         "are %d experts and %d selections",
                         n, clients);
    for (int64_t i = 0; i < images; i++)
        row[i] = -1;
    for (int64_t i = 0; i < t->count; i++)
        if (t->sample[i].set == 0)
            row[t->sample[i].index] = i;
    for (int k = 0; k < clients; k++)
        if (!mark_owner(t, stage_in_file(ctx, "proxies", k, "selection.json"), row, column[k], experts,
                        target, err))
            return false;
    share(target, t->count, experts);
    t->target = target;
    return true;
}
bool router_losses_set(struct stage_context *ctx, const struct router_losses *p, struct train *t,
                       struct error *err)
{
    const struct moe *m = t->model->moe;
    if (p->balance_loss == 0 && p->z_loss == 0 && p->domain_loss == 0)
        return true;
    struct moe_loss *loss = arena_alloc(ctx->arena, sizeof *loss);
    *loss = (struct moe_loss){.weight = {p->balance_loss, p->z_loss, p->domain_loss}};
    if (p->balance_loss > 0 && (m->gate == MOE_GATE_SOFT || m->top_k >= m->experts))
        return error_set(err, NULL, ERROR_INPUT,
                         "'balance_loss' does nothing where every token visits all %d experts", m->experts);
    t->loss = loss;
    return p->domain_loss == 0 || make_targets(ctx, t, err);
}
