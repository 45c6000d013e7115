/* The router: context, scores, probabilities, selection, weights, and the gradient of all that. With s = z.e
 * and v = c.e (one product a row and one a sequence), zt.e = (1-l) s + l v: zt itself is never made.
 *   x_k = ((1-l) s_k + l v_k + b_k) / temperature      pi = softmax(x)
 *   raw, soft: w = pi      renorm: w = softmax over the selected x
 *   straight: w as renorm, gradient of w as raw */
#include "stages/model/moe_loss.h"
#include "stages/model/moe_parts.h"
#include "stages/tensor/gemm.h"
#include <math.h>
#include <string.h>

bool moe_no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for a mixture of experts: use smaller batches");
}
static float clamped(const struct moe *m)
{
    float l = m->lambda.w[0];
    return l < 0 ? 0 : l > 1 ? 1 : l;
}
/* Mean over tokens; tokens are added in order. */
static void mean_tokens(const float *z, int64_t batch, int64_t t, int64_t c, float *mean)
{
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < batch; b++) {
        float *to = mean + b * c;
        memset(to, 0, (size_t)c * sizeof *to);
        for (int64_t i = 0; i < t; i++)
            for (int64_t j = 0; j < c; j++)
                to[j] += z[(b * t + i) * c + j];
        for (int64_t j = 0; j < c; j++)
            to[j] /= (float)t;
    }
}
/* The highest `slots` of x (K), ties to the lower index: pair 0 for those, -1 for others. */
static void select_row(const float *x, int64_t experts, int64_t slots, int64_t *pair)
{
    for (int64_t k = 0; k < experts; k++)
        pair[k] = -1;
    for (int64_t s = 0; s < slots; s++) {
        int64_t best = -1;
        for (int64_t k = 0; k < experts; k++)
            if (pair[k] < 0 && (best < 0 || x[k] > x[best]))
                best = k;
        pair[best] = 0;
    }
}
/* weight: softmax of x over the selected. */
static void renormalise(const float *x, int64_t experts, const int64_t *pair, float *weight)
{
    float top = -INFINITY, sum = 0;
    for (int64_t k = 0; k < experts; k++)
        if (pair[k] >= 0 && x[k] > top)
            top = x[k];
    for (int64_t k = 0; k < experts; k++)
        sum += weight[k] = pair[k] < 0 ? 0 : expf(x[k] - top);
    for (int64_t k = 0; k < experts; k++)
        weight[k] /= sum;
}
/* prob holds x on entry. */
static void gate_rows(const struct moe *m, struct moe_route *r)
{
    int64_t n = r->experts;
    bool renorm = m->gate == MOE_GATE_RENORM || m->gate == MOE_GATE_STRAIGHT;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < r->rows; i++) {
        select_row(r->prob + i * n, n, r->slots, r->pair + i * n);
        if (renorm)
            renormalise(r->prob + i * n, n, r->pair + i * n, r->weight + i * n);
        if (r->lse)
            r->lse[i] = moe_loss_lse(r->prob + i * n, n);
    }
    softmax_rows(r->prob, r->rows, n);
    for (int64_t i = 0; !renorm && i < r->rows * n; i++)
        r->weight[i] = r->pair[i] < 0 ? 0 : r->prob[i];
}
static void number_pairs(struct moe_route *r)
{
    int64_t n = r->experts, next = 0;
    for (int64_t k = 0; k < n; k++) {
        r->first[k] = next;
        for (int64_t i = 0; i < r->rows; i++)
            if (r->pair[i * n + k] >= 0) {
                r->row[next] = i;
                r->pair[i * n + k] = next++;
            }
    }
    r->first[n] = next;
}
static bool find_context(const struct moe *m, const struct pass *p, int layer, const float *z_all,
                         struct moe_route *r, struct error *err)
{
    if (m->context == MOE_CONTEXT_SEED) {
        if (!p->context)
            return error_set(err, NULL, ERROR_TASK,
                             "the router needs the seed model's context, which was not computed");
        r->context = p->context[layer];
        return true;
    }
    float *mean = arena_floats(p->arena, p->batch * r->width);
    if (!mean)
        return moe_no_memory(err);
    mean_tokens(z_all, p->batch, p->t, r->width, mean);
    r->context = mean;
    return true;
}
static bool route_alloc(const struct moe *m, const struct pass *p, int64_t t, struct moe_route *r,
                        struct error *err)
{
    struct arena *a = p->arena;
    int64_t n = p->batch * t, k = m->experts;
    bool all = m->gate == MOE_GATE_SOFT || m->top_k >= k;
    *r = (struct moe_route){
        .rows = n, .width = p->width, .experts = k, .slots = all ? k : m->top_k, .l = clamped(m)};
    r->score = arena_floats(a, n * k);
    r->context_score = arena_floats(a, p->batch * k);
    r->prob = arena_floats(a, n * k);
    r->weight = arena_floats(a, n * k);
    r->pair = arena_try(a, (size_t)(n * k) * sizeof *r->pair);
    r->first = arena_try(a, (size_t)(k + 1) * sizeof *r->first);
    r->row = arena_try(a, (size_t)(n * r->slots) * sizeof *r->row);
    bool lse = p->train && p->loss && p->loss->weight[MOE_LOSS_Z] != 0;
    r->lse = lse ? arena_floats(a, n) : NULL;
    return ((!lse || r->lse) && r->score && r->context_score && r->prob && r->weight && r->pair && r->first &&
            r->row) ||
           moe_no_memory(err);
}
bool moe_route(const struct moe *m, const struct pass *p, int layer, int64_t t, const float *z,
               const float *z_all, struct moe_route *r, struct error *err)
{
    if (!route_alloc(m, p, t, r, err) || !find_context(m, p, layer, z_all, r, err))
        return false;
    int64_t n = r->experts, c = r->width;
    gemm(false, true, r->rows, n, c, 1, z, c, m->router.w, c, 0, r->score, n);
    gemm(false, true, p->batch, n, c, 1, r->context, c, m->router.w, c, 0, r->context_score, n);
    for (int64_t i = 0; i < r->rows; i++)
        for (int64_t k = 0; k < n; k++) {
            float x = (1 - r->l) * r->score[i * n + k] + r->l * r->context_score[i / t * n + k];
            r->prob[i * n + k] = (x + (m->bias.w ? m->bias.w[k] : 0)) / m->temperature;
        }
    gate_rows(m, r);
    number_pairs(r);
    moe_loss_count(p, layer, r);
    return true;
}

/* ---- backward ---- */
/* One row: dw of the selected -> gradient of x, in place. Selection itself has no gradient.
 *   w = pi:      dx_k = pi_k (dw_k - sum_j pi_j dw_j), dw = 0 where not selected
 *   w = softmax over the selected: the same among them; one expert: w - w w = 0 exactly */
static void gate_row_backward(const struct moe_route *r, int64_t i, bool renorm, float *dw)
{
    int64_t n = r->experts;
    const float *q = (renorm ? r->weight : r->prob) + i * n;
    const int64_t *pair = r->pair + i * n;
    float mean = 0;
    for (int64_t k = 0; k < n; k++) {
        dw[k] = pair[k] < 0 ? 0 : dw[k];
        mean += q[k] * dw[k];
    }
    for (int64_t k = 0; k < n; k++)
        dw[k] = q[k] * (dw[k] - mean);
}
/* lambda's gradient passes where 0 <= lambda <= 1: sum over rows and experts of ds (v - s). */
static void lambda_backward(const struct moe *m, const struct moe_route *r, int64_t t, const float *ds)
{
    double sum = 0;
    int64_t n = r->experts;
    if (!m->lambda.g || m->lambda.w[0] < 0 || m->lambda.w[0] > 1)
        return;
    for (int64_t i = 0; i < r->rows * n; i++)
        sum += (double)ds[i] * ((double)r->context_score[i / n / t * n + i % n] - (double)r->score[i]);
    m->lambda.g[0] += (float)sum;
}
/* dv (B,K) = sum over the sequence's rows of ds. */
static void sum_sequences(const float *ds, int64_t batch, int64_t t, int64_t n, float *dv)
{
    memset(dv, 0, (size_t)(batch * n) * sizeof *dv);
    for (int64_t i = 0; i < batch * t; i++)
        for (int64_t k = 0; k < n; k++)
            dv[i / t * n + k] += ds[i * n + k];
}
/* c = mean z_all: dz_all += l (dv e) / T on every row. */
static bool context_backward(const struct moe *m, const struct pass *p, const struct moe_route *r,
                             const float *dv, float *dz_all, struct error *err)
{
    int64_t c = r->width, tokens = p->t;
    float *dc = arena_floats(p->arena, p->batch * c);
    if (!dc)
        return moe_no_memory(err);
    gemm(false, false, p->batch, c, r->experts, r->l / (float)tokens, dv, r->experts, m->router.w, c, 0, dc,
         c);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->batch * tokens; i++)
        for (int64_t j = 0; j < c; j++)
            dz_all[i * c + j] += dc[i / tokens * c + j];
    return true;
}
bool moe_route_backward(const struct moe *m, const struct pass *p, int layer, int64_t t,
                        const struct moe_route *r, const float *z, float *dw, float *dz, float *dz_all,
                        struct error *err)
{
    int64_t n = r->experts, c = r->width;
    bool renorm = m->gate == MOE_GATE_RENORM;
    bool losses = moe_loss_active(p);
    if (((renorm && r->slots == 1) || n == 1) && !losses) /* the weight is the constant 1 */
        return true;
    float *dv = arena_floats(p->arena, p->batch * n);
    if (!dv)
        return moe_no_memory(err);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < r->rows; i++)
        gate_row_backward(r, i, renorm, dw + i * n);
    if (losses && !moe_loss_backward(p, layer, t, r, dw, err))
        return false;
    float *ds = dw; /* gradient of (1-l) s + l v + b */
    scale_into(ds, 1 / m->temperature, r->rows * n);
    sum_sequences(ds, p->batch, t, n, dv);
    if (m->bias.w && m->bias.g)
        column_sums(ds, r->rows, n, m->bias.g);
    lambda_backward(m, r, t, ds);
    if (m->router.g) { /* e.g += (1-l) ds^T z + l dv^T c */
        gemm(true, false, n, c, r->rows, 1 - r->l, ds, n, z, c, 1, m->router.g, c);
        gemm(true, false, n, c, p->batch, r->l, dv, n, r->context, c, 1, m->router.g, c);
    }
    if (dz)
        gemm(false, false, r->rows, c, n, 1 - r->l, ds, n, m->router.w, c, 1, dz, c);
    float *through = t == p->t ? dz : dz_all;
    if (m->context == MOE_CONTEXT_SELF && through)
        return context_backward(m, p, r, dv, through, err);
    return true;
}
