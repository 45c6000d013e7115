/* The router's gradient, mirroring moe_route.c. g (R,K) is the gradient of (1-l) s + l v + b + min(n,0):
 *   b.g = column sums of g;  n.g the same where n <= 0;  lambda.g = sum g (v - s) where 0 <= lambda <= 1
 *   c one vector a sequence, h (B,K) = sum of g over its rows:
 *     e.g += (1-l) g^T z + l h^T c    dz += (1-l) g e    dc = l h e, spread over the tokens of the mean
 *   v means of other rows' scores:  ds = (1-l) g + l (transposed mean of g)    e.g += ds^T z    dz += ds e
 * Class tokens with an e of their own go the same way by themselves. Selection has no gradient. */
#include "stages/model/moe_parts.h"
#include "stages/tensor/gemm.h"
#include <string.h>

struct unrouting {
    const struct moe *m;
    const struct pass *p;
    const struct moe_route *r;
    const float *z;
    float *dz;       /* (R,C) or NULL */
    float *g;        /* (R,K) */
    float *h;        /* (B,K) */
    float *class_g;  /* (B,K) g of class tokens that have their own e; then g is 0 there */
    float *dc;       /* (B,C) or NULL: no gradient goes through the context */
    float dc_factor; /* l / tokens */
    bool dc_begun;
};

/* One row: dw of the selected -> gradient of x, in place.
 *   w = pi:      dx_k = pi_k (dw_k - sum_j pi_j dw_j), dw = 0 where not selected
 *   w = softmax over the selected: the same among them; one expert: w - w w = 0 exactly
 *   shared expert: its weight is 1, or 1 - sum w_k: then dw_k -= dw_0 */
static void gate_row_backward(const struct moe *m, const struct moe_route *r, int64_t i, float *dw)
{
    int64_t n = r->experts, from = r->scored;
    const float *q = (m->gate == MOE_GATE_RENORM ? r->weight : r->prob) + i * n;
    const int64_t *pair = r->pair + i * n;
    float mean = 0, rest = m->shared == MOE_SHARED_REST ? dw[0] : 0;
    for (int64_t k = 0; k < from; k++)
        dw[k] = 0;
    for (int64_t k = from; k < n; k++) {
        dw[k] = pair[k] < 0 ? 0 : dw[k] - rest;
        mean += q[k] * dw[k];
    }
    for (int64_t k = from; k < n; k++)
        dw[k] = q[k] * (dw[k] - mean);
}
/* lambda's gradient passes where 0 <= lambda <= 1. */
static void lambda_backward(const struct unrouting *x)
{
    const struct moe_route *r = x->r;
    const struct mat *lambda = &x->m->lambda;
    double sum = 0;
    if (!lambda->g || lambda->w[0] < 0 || lambda->w[0] > 1 || x->m->gate == MOE_GATE_SMEAR)
        return;
    for (int64_t i = 0; i < r->rows * r->experts; i++)
        sum += (double)x->g[i] * ((double)r->context_score[i] - (double)r->score[i]);
    lambda->g[0] += (float)sum;
}
static bool negative_backward(const struct unrouting *x, struct error *err)
{
    const struct mat *negative = &x->m->negative;
    int64_t n = x->r->experts;
    if (!negative->g)
        return true;
    float *sum = arena_floats(x->p->arena, n);
    if (!sum)
        return moe_no_memory(err);
    memset(sum, 0, (size_t)n * sizeof *sum);
    column_sums(x->g, x->r->rows, n, sum);
    for (int64_t k = 0; k < n; k++)
        negative->g[k] += negative->w[k] <= 0 && x->m->expert[k].fc1.a.w ? sum[k] : 0;
    return true;
}
/* Class tokens' part of g moves to class_g. */
static bool split_class(struct unrouting *x, struct error *err)
{
    int64_t n = x->r->experts;
    if (!x->m->class_router.w)
        return true;
    if (!(x->class_g = arena_floats(x->p->arena, x->p->batch * n)))
        return moe_no_memory(err);
    for (int64_t b = 0; b < x->p->batch; b++) {
        float *from = x->g + b * x->r->t * n;
        memcpy(x->class_g + b * n, from, (size_t)n * sizeof *from);
        memset(from, 0, (size_t)n * sizeof *from);
    }
    return true;
}
/* g is (count,K), its rows of z and dz `stride` floats apart, h (B,K) its sums by sequence. */
static void vector_backward(struct unrouting *x, const struct mat *e, const struct mat *b, const float *g,
                            const float *h, int64_t count, int64_t stride)
{
    const struct moe_route *r = x->r;
    int64_t n = r->experts, c = r->width;
    bool rows = x->m->gate != MOE_GATE_SMEAR; /* which has no token's own score */
    if (b->w && b->g)
        column_sums(g, count, n, b->g);
    if (e->g && rows)
        gemm(true, false, n, c, count, 1 - r->l, g, n, x->z, stride, 1, e->g, c);
    if (e->g)
        gemm(true, false, n, c, x->p->batch, r->l, h, n, r->context, c, 1, e->g, c);
    if (x->dz && rows)
        gemm(false, false, count, c, n, 1 - r->l, g, n, e->w, c, 1, x->dz, stride);
    if (x->dc)
        gemm(false, false, x->p->batch, c, n, x->dc_factor, h, n, e->w, c, x->dc_begun, x->dc, c);
    x->dc_begun = true;
}
/* h (B,K) = sum over the sequence's rows of g. */
static void sum_sequences(const struct moe_route *r, const float *g, int64_t batch, float *h)
{
    int64_t n = r->experts;
    memset(h, 0, (size_t)(batch * n) * sizeof *h);
    for (int64_t i = 0; i < r->rows; i++)
        for (int64_t k = 0; k < n; k++)
            h[i / r->t * n + k] += g[i * n + k];
}
static bool context_vector_backward(struct unrouting *x, const float *z_all, float *dz_all, struct error *err)
{
    const struct moe *m = x->m;
    const struct pass *p = x->p;
    const struct moe_route *r = x->r;
    /* where the rows are all there is, the context's gradient is part of theirs */
    float *through = z_all == x->z ? x->dz : dz_all;
    if (!(x->h = arena_floats(p->arena, p->batch * r->experts)) || !split_class(x, err))
        return moe_no_memory(err);
    if (m->context != MOE_CONTEXT_SEED && through) {
        x->dc_factor = r->l / (float)(r->which.to - r->which.from);
        if (!(x->dc = arena_floats(p->arena, p->batch * r->width)))
            return moe_no_memory(err);
    }
    sum_sequences(r, x->g, p->batch, x->h);
    vector_backward(x, &m->router, &m->bias, x->g, x->h, r->rows, r->width);
    if (x->class_g)
        vector_backward(x, &m->class_router, &m->class_bias, x->class_g, x->class_g, p->batch,
                        r->t * r->width);
    if (x->dc)
        moe_context_spread(x->dc, r->which, p->batch, r->width, through);
    return true;
}
static bool context_scores_backward(struct unrouting *x, struct error *err)
{
    const struct moe *m = x->m;
    const struct moe_route *r = x->r;
    int64_t n = r->experts, c = r->width;
    float *ds = arena_floats(x->p->arena, r->rows * n);
    if (!ds)
        return moe_no_memory(err);
    moe_context_scores_backward(m, x->g, x->p->batch, r->t, n, r->l, ds);
    if (m->bias.w && m->bias.g)
        column_sums(x->g, r->rows, n, m->bias.g);
    if (m->router.g)
        gemm(true, false, n, c, r->rows, 1, ds, n, x->z, c, 1, m->router.g, c);
    if (x->dz)
        gemm(false, false, r->rows, c, n, 1, ds, n, m->router.w, c, 1, x->dz, c);
    return true;
}
bool moe_route_backward(const struct moe *m, const struct pass *p, int layer, const struct moe_route *r,
                        const float *z, const float *z_all, float *dw, float *dz, float *dz_all,
                        struct error *err)
{
    bool losses = moe_loss_active(p), constant = m->gate == MOE_GATE_RENORM && r->slots - r->scored == 1;
    struct unrouting x = {.m = m, .p = p, .r = r, .z = z, .dz = dz, .g = dw};
    if ((constant || r->experts - r->scored == 1) && !losses) /* the weights are constants */
        return true;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < r->rows; i++)
        gate_row_backward(m, r, i, dw + i * r->experts);
    if (losses && !moe_loss_backward(p, layer, r, dw, err))
        return false;
    scale_into(x.g, 1 / m->temperature, r->rows * r->experts);
    lambda_backward(&x);
    if (!negative_backward(&x, err))
        return false;
    return moe_context_is_vector(m) ? context_vector_backward(&x, z_all, dz_all, err)
                                    : context_scores_backward(&x, err);
}
