/* The contexts of a router. One vector a sequence: the mean over some of its tokens, or what another pass
 * gave. One a token: means of earlier tokens or of other sequences; of these the scores alone are made, for
 * the mean's score is the mean of the scores. Tokens are added in order. */
#include "stages/model/moe_parts.h"
#include <string.h>

bool moe_context_is_vector(const struct moe *m)
{
    return m->context != MOE_CONTEXT_CAUSAL && m->context != MOE_CONTEXT_BATCH;
}
struct moe_tokens moe_context_tokens(const struct moe *m, const struct pass *p, int64_t t, bool all_given)
{
    struct moe_tokens which = {.to = p->t, .stride = all_given ? p->t : t};
    if (m->context == MOE_CONTEXT_CLASS)
        which.to = 1;
    if (m->context == MOE_CONTEXT_PATCHES)
        which.from = 1;
    return which;
}
static void mean_tokens(const float *z, struct moe_tokens which, int64_t batch, int64_t c, float *mean)
{
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < batch; b++) {
        float *to = mean + b * c;
        memset(to, 0, (size_t)c * sizeof *to);
        for (int64_t i = which.from; i < which.to; i++)
            for (int64_t j = 0; j < c; j++)
                to[j] += z[(b * which.stride + i) * c + j];
        for (int64_t j = 0; j < c; j++)
            to[j] /= (float)(which.to - which.from);
    }
}
bool moe_context_vector(const struct moe *m, const struct pass *p, int layer, const float *z_all,
                        struct moe_tokens which, const float **ret, struct error *err)
{
    if (m->context == MOE_CONTEXT_SEED) {
        if (!p->context)
            return error_set(err, NULL, ERROR_TASK,
                             "the router needs the seed model's context, which was not computed");
        *ret = p->context[layer];
        return true;
    }
    float *mean = arena_floats(p->arena, p->batch * p->width);
    if (!mean)
        return moe_no_memory(err);
    mean_tokens(z_all, which, p->batch, p->width, mean);
    *ret = mean;
    return true;
}
void moe_context_spread(const float *dc, struct moe_tokens which, int64_t batch, int64_t c, float *dz_all)
{
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < batch; b++)
        for (int64_t i = which.from; i < which.to; i++)
            for (int64_t j = 0; j < c; j++)
                dz_all[(b * which.stride + i) * c + j] += dc[b * c + j];
}

/* ---- one context a token ---- */
void moe_context_scores(const struct moe *m, const float *s, int64_t batch, int64_t t, int64_t n, float *v)
{
    bool causal = m->context == MOE_CONTEXT_CAUSAL;
    for (int64_t i = 0; i < (causal ? batch : t); i++)
        for (int64_t k = 0; k < n; k++) {
            float sum = 0;
            for (int64_t j = 0; causal && j < t; j++) {
                sum += s[(i * t + j) * n + k];
                v[(i * t + j) * n + k] = sum / (float)(j + 1);
            }
            for (int64_t b = 0; !causal && b < batch; b++)
                sum += s[(b * t + i) * n + k];
            for (int64_t b = 0; !causal && b < batch; b++)
                v[(b * t + i) * n + k] = sum / (float)batch;
        }
}
void moe_context_scores_backward(const struct moe *m, const float *g, int64_t batch, int64_t t, int64_t n,
                                 float l, float *ds)
{
    bool causal = m->context == MOE_CONTEXT_CAUSAL;
    for (int64_t i = 0; i < (causal ? batch : t); i++)
        for (int64_t k = 0; k < n; k++) {
            float sum = 0;
            for (int64_t j = t - 1; causal && j >= 0; j--) {
                int64_t at = (i * t + j) * n + k;
                sum += g[at] / (float)(j + 1);
                ds[at] = (1 - l) * g[at] + l * sum;
            }
            for (int64_t b = 0; !causal && b < batch; b++)
                sum += g[(b * t + i) * n + k] / (float)batch;
            for (int64_t b = 0; !causal && b < batch; b++) {
                int64_t at = (b * t + i) * n + k;
                ds[at] = (1 - l) * g[at] + l * sum;
            }
        }
}
