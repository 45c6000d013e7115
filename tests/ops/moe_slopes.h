/* Slopes of a loss on a mixture by central differences of the reference, and the comparison with them. */
#ifndef TESTS_OPS_MOE_SLOPES_H
#define TESTS_OPS_MOE_SLOPES_H
#include "tests/ops/moe_reference.h"

/* The losses on pi: out[kind], each a mean over rows and layers, with the selection as it was. */
static inline void router_losses(const struct setup *s, const struct fixed *x, double *out)
{
    int64_t t = routed(s), from = moe_first_scored(&s->m);
    double n = (double)(s->loss->sequences * t * s->loss->layers), pi[K], f[K] = {0}, visits = 0;
    memset(out, 0, MOE_LOSSES * sizeof *out);
    for (int64_t r = 0; r < B * t; r++)
        for (int k = 0; k < K; k++)
            f[k] += x->chosen[r][k], visits += x->chosen[r][k];
    for (int64_t r = 0; r < B * t; r++) {
        double lse = logits(s, r, pi);
        out[MOE_LOSS_Z] += lse * lse / n;
        for (int64_t k = from; k < K; k++) {
            double c = s->loss->coefficient ? s->loss->coefficient[k] : 1;
            double load = s->loss->load ? s->loss->load[k] : f[k] / visits;
            out[MOE_LOSS_BALANCE] += (double)(K - from) * c * load * pi[k] / n;
            if (s->loss->target)
                out[MOE_LOSS_DOMAIN] -= (double)s->loss->target[r / t * K + k] * log(pi[k]) / n;
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
    for (int64_t i = 0; s->z_all != s->z && i < B * T * C; i++)
        near((double)s->dz_all[i], slope(s, x, s->z_all + i), "dz_all", i);
}
/* Forward with and without training, backward, all against the reference. */
static inline void check_mixture(struct setup *s)
{
    struct error err = {0};
    struct moe_tape *tape = NULL;
    struct fixed x;
    double want[C];
    float *y = arena_floats(&s->arena, B * s->t * C), *again = arena_floats(&s->arena, B * s->t * C);
    struct pass p = pass_of(s, false);
    size_t used = s->arena.used;
    float *dz_all = s->z_all == s->z ? NULL : s->dz_all;
    if (!moe_check(&s->m, &err))
        fail_msg("%s", err.text);
    assert_true(moe_forward(&s->m, &s->f, &p, 0, s->t, s->z, s->z_all, again, NULL, &err));
    assert_int_equal(s->arena.used, used); /* inference keeps nothing */
    p.train = true;
    assert_true(moe_forward(&s->m, &s->f, &p, 0, s->t, s->z, s->z_all, y, &tape, &err));
    assert_memory_equal(y, again, (size_t)(B * s->t * C) * sizeof *y);
    assert_true(moe_backward(&s->m, &s->f, &p, 0, s->t, s->z, s->z_all, tape, s->dy, s->dz, dz_all, &err));
    fix(s, &x);
    for (int64_t r = 0; r < B * s->t; r++) {
        output_row(s, &x, r, want);
        for (int i = 0; i < C; i++)
            near((double)y[r * C + i], want[i], "y", r * C + i);
    }
    check_gradients(s, &x);
}
#endif
