/* The mixture's equations in double precision, term by term, and slopes of a loss by central differences. */
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
static inline void expert_row(const struct setup *s, int k, const float *z, double *y)
{
    double x[C], g[F];
    for (int i = 0; i < C; i++)
        x[i] = (double)z[i];
    for (int o = 0; o < F; o++) {
        double h = (double)s->f.fc1.b.w[o] + low_rank(&s->expert[k].fc1, x, o);
        for (int i = 0; i < C; i++)
            h += (double)s->f.fc1.w.w[o * C + i] * x[i];
        g[o] = h / (1 + exp(-1.702 * h));
    }
    for (int o = 0; o < C; o++) {
        y[o] = (double)s->f.fc2.b.w[o] + low_rank(&s->expert[k].fc2, g, o);
        for (int i = 0; i < F; i++)
            y[o] += (double)s->f.fc2.w.w[o * F + i] * g[i];
    }
}
/* pi (K); log sum exp of what the softmax sees. */
static inline double logits(const struct setup *s, int64_t row, double *pi)
{
    double l = fmin(fmax((double)s->m.lambda.w[0], 0), 1), sum = 0;
    for (int k = 0; k < K; k++) {
        double x = (double)s->m.bias.w[k];
        for (int i = 0; i < C; i++) {
            double c = 0;
            for (int t = 0; t < T; t++)
                c += (double)s->z_all[(row / s->t * T + t) * C + i] / T;
            if (s->m.context == MOE_CONTEXT_SEED)
                c = (double)s->context[0][row / s->t * C + i];
            x += ((1 - l) * (double)s->z[row * C + i] + l * c) * (double)s->m.router.w[k * C + i];
        }
        sum += pi[k] = exp(x / (double)s->m.temperature);
    }
    for (int k = 0; k < K; k++)
        pi[k] /= sum;
    return log(sum);
}
static inline void choose(const struct setup *s, const double *pi, bool *chosen)
{
    int slots = s->m.gate == MOE_GATE_SOFT ? K : s->m.top_k;
    memset(chosen, 0, K * sizeof *chosen);
    for (int n = 0; n < slots; n++) {
        int best = -1;
        for (int k = 0; k < K; k++)
            if (!chosen[k] && (best < 0 || pi[k] > pi[best]))
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
    for (int64_t r = 0; r < B * s->t; r++) {
        logits(s, r, x->pi[r]);
        choose(s, x->pi[r], x->chosen[r]);
        renormalised(x->chosen[r], x->pi[r], x->w[r]);
    }
}
static inline void output_row(const struct setup *s, const struct fixed *x, int64_t r, double *y)
{
    double pi[K], w[K], of[C];
    logits(s, r, pi);
    renormalised(x->chosen[r], pi, w);
    memset(y, 0, C * sizeof *y);
    for (int k = 0; k < K; k++) {
        if (s->m.gate == MOE_GATE_RAW || s->m.gate == MOE_GATE_SOFT)
            w[k] = pi[k];
        if (s->m.gate == MOE_GATE_STRAIGHT)
            w[k] = x->w[r][k] + pi[k] - x->pi[r][k];
        expert_row(s, k, s->z + r * C, of);
        for (int i = 0; x->chosen[r][k] && i < C; i++)
            y[i] += w[k] * of[i];
    }
}
/* The losses on pi: out[kind], each a mean over rows and layers, with the selection as it was. */
static inline void router_losses(const struct setup *s, const struct fixed *x, double *out)
{
    double n = (double)(s->loss->sequences * s->t * s->loss->layers), pi[K], f[K] = {0}, visits = 0;
    memset(out, 0, MOE_LOSSES * sizeof *out);
    for (int64_t r = 0; r < B * s->t; r++)
        for (int k = 0; k < K; k++)
            f[k] += x->chosen[r][k], visits += x->chosen[r][k];
    for (int64_t r = 0; r < B * s->t; r++) {
        double lse = logits(s, r, pi);
        out[MOE_LOSS_Z] += lse * lse / n;
        for (int k = 0; k < K; k++) {
            double c = s->loss->coefficient ? s->loss->coefficient[k] : 1;
            double load = s->loss->load ? s->loss->load[k] : f[k] / visits;
            out[MOE_LOSS_BALANCE] += K * c * load * pi[k] / n;
            if (s->loss->target)
                out[MOE_LOSS_DOMAIN] -= (double)s->loss->target[r / s->t * K + k] * log(pi[k]) / n;
        }
    }
}
static inline double loss(const struct setup *s, const struct fixed *x)
{
    double y[C], sum = 0;
    for (int64_t r = 0; r < B * s->t; r++) {
        output_row(s, x, r, y);
        for (int i = 0; i < C; i++)
            sum += y[i] * (double)s->dy[r * C + i];
    }
    if (s->loss) {
        double of[MOE_LOSSES];
        router_losses(s, x, of);
        for (int k = 0; k < MOE_LOSSES; k++)
            sum += s->loss->weight[k] * of[k];
    }
    return sum;
}
static inline double slope(const struct setup *s, const struct fixed *x, float *at)
{
    float was = *at, up = was + 1e-3f, down = was - 1e-3f;
    *at = up;
    double high = loss(s, x);
    *at = down;
    double low = loss(s, x);
    *at = was;
    return (high - low) / ((double)up - (double)down);
}
static inline void near(double got, double want, const char *what, int64_t i)
{
    if (!(fabs(got - want) <= 2e-4 * (1 + fabs(want))))
        fail_msg("%s[%lld]: %.7g instead of %.7g", what, (long long)i, got, want);
}
/* All gradients of one forward and backward. */
static inline void check_gradients(struct setup *s, const struct fixed *x)
{
    for (int k = 0; k < s->mats; k++)
        for (int64_t i = 0; i < mat_size(s->mat[k]); i++)
            near((double)s->mat[k]->g[i], slope(s, x, s->mat[k]->w + i), "gradient", k * 1000 + i);
    for (int64_t i = 0; i < B * s->t * C; i++)
        near((double)s->dz[i], slope(s, x, s->z + i), "dz", i);
    for (int64_t i = 0; s->t != T && i < B * T * C; i++)
        near((double)s->dz_all[i], slope(s, x, s->z_all + i), "dz_all", i);
}
#endif
