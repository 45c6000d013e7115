/* The mixture's equations in double precision, term by term. */
#ifndef TESTS_OPS_MOE_REFERENCE_H
#define TESTS_OPS_MOE_REFERENCE_H
#include "tests/ops/moe_setup.h"

static inline double low_rank(const struct lora *l, const double *x, int64_t out)
{
    double sum = 0;
    for (int64_t j = 0; l->a.w && j < l->a.rows; j++) {
        double u = 0;
        for (int64_t i = 0; i < l->a.cols; i++)
            u += (double)l->a.w[j * l->a.cols + i] * x[i];
        sum += (double)l->scale * u * (double)l->b.w[out * l->b.cols + j];
    }
    return sum;
}
/* y (C) of one feed-forward with the LoRA of all experts, each times its share (K). */
static inline void mixed_row(const struct setup *s, const double *share, const float *z, double *y)
{
    double x[C], g[F];
    for (int i = 0; i < C; i++)
        x[i] = (double)z[i];
    for (int o = 0; o < F; o++) {
        double h = (double)s->f.fc1.b.w[o];
        for (int k = 0; k < K; k++)
            h += share[k] * low_rank(&s->expert[k].fc1, x, o);
        for (int i = 0; i < C; i++)
            h += (double)s->f.fc1.w.w[o * C + i] * x[i];
        g[o] = h / (1 + exp(-1.702 * h));
    }
    for (int o = 0; o < C; o++) {
        y[o] = (double)s->f.fc2.b.w[o];
        for (int k = 0; k < K; k++)
            y[o] += share[k] * low_rank(&s->expert[k].fc2, g, o);
        for (int i = 0; i < F; i++)
            y[o] += (double)s->f.fc2.w.w[o * F + i] * g[i];
    }
}
static inline void expert_row(const struct setup *s, int k, const float *z, double *y)
{
    double share[K] = {0};
    share[k] = 1;
    mixed_row(s, share, z, y);
}
/* Rows a sequence that have a distribution. */
static inline int64_t routed(const struct setup *s)
{
    return s->m.gate == MOE_GATE_SMEAR ? 1 : s->t;
}
/* Column i of the context of routed row r. */
static inline double context(const struct setup *s, int64_t r, int i)
{
    int64_t t = routed(s), b = r / t, at = r % t, from = 0, to = T, stride = s->z_all == s->z ? s->t : T;
    double c = 0;
    if (s->m.context == MOE_CONTEXT_SEED)
        return (double)s->context[0][b * C + i];
    if (s->m.context == MOE_CONTEXT_CAUSAL) {
        for (int64_t j = 0; j <= at; j++)
            c += (double)s->z[(b * t + j) * C + i] / (double)(at + 1);
        return c;
    }
    if (s->m.context == MOE_CONTEXT_BATCH) {
        for (int64_t j = 0; j < B; j++)
            c += (double)s->z[(j * t + at) * C + i] / B;
        return c;
    }
    from = s->m.context == MOE_CONTEXT_PATCHES;
    to = s->m.context == MOE_CONTEXT_CLASS ? 1 : to;
    for (int64_t j = from; j < to; j++)
        c += (double)s->z_all[(b * stride + j) * C + i] / (double)(to - from);
    return c;
}
/* pi (K) of routed row r; log sum exp of what the softmax sees. */
static inline double logits(const struct setup *s, int64_t r, double *pi)
{
    const struct moe *m = &s->m;
    double l = m->gate == MOE_GATE_SMEAR ? 1 : fmin(fmax((double)m->lambda.w[0], 0), 1), sum = 0;
    bool class = m->class_router.w && r % routed(s) == 0;
    const struct mat *e = class ? &m->class_router : &m->router, *b = class ? &m->class_bias : &m->bias;
    for (int64_t k = moe_first_scored(m); k < K; k++) {
        double x = (double)b->w[k] + (m->negative.w ? fmin((double)m->negative.w[k], 0) : 0);
        for (int i = 0; i < C; i++)
            x += ((1 - l) * (double)s->z[r * C + i] + l * context(s, r, i)) * (double)e->w[k * C + i];
        sum += pi[k] = exp(x / (double)m->temperature);
    }
    for (int k = 0; k < K; k++)
        pi[k] = k < moe_first_scored(m) ? 0 : pi[k] / sum;
    return log(sum);
}
static inline void choose(const struct setup *s, const double *pi, bool *chosen)
{
    bool all = s->m.gate == MOE_GATE_SOFT || s->m.gate == MOE_GATE_SMEAR;
    int64_t first = moe_first_scored(&s->m), slots = all ? K - first : s->m.top_k;
    const float *b = s->m.balance.w;
    memset(chosen, 0, K * sizeof *chosen);
    for (int64_t n = 0; n < slots; n++) {
        int64_t best = -1;
        for (int64_t k = first; k < K; k++)
            if (!chosen[k] &&
                (best < 0 || pi[k] + (b ? (double)b[k] : 0) > pi[best] + (b ? (double)b[best] : 0)))
                best = k;
        chosen[best] = true;
    }
}
/* What stays fixed when something is moved a little: the selection, and for the straight gate the point where
 * its weights were taken: w = w0 + (pi - pi0) has the value of renorm and the slope of raw. */
struct fixed {
    bool chosen[B * T][K];
    double pi[B * T][K], w[B * T][K];
};
static inline void renormalised(const bool *chosen, const double *pi, double *w)
{
    double sum = 0;
    for (int k = 0; k < K; k++)
        sum += chosen[k] ? pi[k] : 0;
    for (int k = 0; k < K; k++)
        w[k] = chosen[k] ? pi[k] / sum : 0;
}
static inline void fix(const struct setup *s, struct fixed *x)
{
    for (int64_t r = 0; r < B * routed(s); r++) {
        logits(s, r, x->pi[r]);
        choose(s, x->pi[r], x->chosen[r]);
        renormalised(x->chosen[r], x->pi[r], x->w[r]);
    }
}
static inline void output_row(const struct setup *s, const struct fixed *x, int64_t r, double *y)
{
    double pi[K], w[K], of[C], sum = 0;
    logits(s, s->m.gate == MOE_GATE_SMEAR ? r / s->t : r, pi);
    if (s->m.gate == MOE_GATE_SMEAR) {
        mixed_row(s, pi, s->z + r * C, y);
        return;
    }
    renormalised(x->chosen[r], pi, w);
    memset(y, 0, C * sizeof *y);
    for (int k = 0; k < K; k++) {
        if (s->m.gate == MOE_GATE_RAW || s->m.gate == MOE_GATE_SOFT)
            w[k] = x->chosen[r][k] ? pi[k] : 0;
        if (s->m.gate == MOE_GATE_STRAIGHT && x->chosen[r][k])
            w[k] = x->w[r][k] + pi[k] - x->pi[r][k];
        sum += w[k];
    }
    if (s->m.shared)
        w[0] = s->m.shared == MOE_SHARED_ADDED ? 1 : 1 - sum;
    for (int k = 0; k < K; k++) {
        expert_row(s, k, s->z + r * C, of);
        for (int i = 0; i < C; i++)
            y[i] += w[k] * of[i];
    }
}
#endif
