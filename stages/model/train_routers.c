#include "stages/model/train_routers.h"
#include <string.h>

bool train_routers_init(struct train_routers *r, struct moe_loss *loss, const struct moe *m, int64_t layers,
                        struct arena *a, struct error *err)
{
    *r = (struct train_routers){.loss = m ? loss : NULL};
    if (!r->loss)
        return true;
    r->experts = m->experts;
    loss->layers = layers;
    r->load = arena_try(a, (size_t)(layers * r->experts) * sizeof *r->load);
    r->count = arena_try(a, (size_t)(layers * r->experts) * sizeof *r->count);
    return (r->load && r->count) ||
           error_set(err, NULL, ERROR_SYSTEM, "out of memory for the losses on %lld routers",
                     (long long)layers);
}
bool train_routers_count_first(const struct train_routers *r, int64_t n, int64_t part)
{
    return r->loss && r->loss->weight[MOE_LOSS_BALANCE] != 0 && n > part;
}
static void clear(double *x, int64_t n)
{
    memset(x, 0, (size_t)n * sizeof *x);
}
void train_routers_counted(struct train_routers *r)
{
    int64_t n = r->experts;
    for (int64_t l = 0; l < r->loss->layers; l++) {
        double visits = 0;
        for (int64_t k = 0; k < n; k++)
            visits += r->count[l * n + k];
        for (int64_t k = 0; k < n; k++)
            r->load[l * n + k] = r->count[l * n + k] / visits;
    }
    clear(r->count, r->loss->layers * n);
}
void train_routers_begin(struct train_routers *r, int64_t n, bool counted)
{
    if (!r->loss)
        return;
    r->loss->sequences = n;
    r->loss->load = counted ? r->load : NULL;
    r->loss->count = r->count;
    clear(r->count, r->loss->layers * r->experts);
    clear(r->loss->value, MOE_LOSSES);
}
void train_routers_end(struct train_routers *r, int64_t n)
{
    for (int k = 0; r->loss && k < MOE_LOSSES; k++)
        r->total[k] += r->loss->value[k] * (double)n;
}
void train_routers_balance(const struct train_routers *r, const struct moe *m)
{
    int64_t n = r->experts, from = moe_first_scored(m);
    for (int64_t l = 0; l < r->loss->layers; l++) {
        const double *count = r->count + l * n;
        double mean = 0;
        for (int64_t k = from; k < n; k++)
            mean += count[k] / (double)(n - from);
        for (int64_t k = from; k < n; k++)
            m[l].balance.g[k] = (float)((count[k] > mean) - (count[k] < mean));
    }
}
