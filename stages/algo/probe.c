/* Linear probe. The products run in double and in one fixed order: there are few of them, and a relevance
 * must not depend on threads. */
#include "stages/algo/probe.h"
#include "stages/tensor/ops.h"
#include <assert.h>
#include <math.h>

/* What class 1 leads by: the one logit, or the difference of the two, whose sigmoid is their softmax. */
static double margin(const struct probe *p, const float *x)
{
    double z = dot_double(p->w.w, x, p->d);
    if (p->loss == PROBE_SOFTMAX)
        return dot_double(p->w.w + p->d, x, p->d) - z;
    return z + (p->b.w ? p->b.w[0] : 0);
}
static double sigmoid(double z)
{
    return z >= 0 ? 1 / (1 + exp(-z)) : exp(z) / (1 + exp(z));
}
/* log(1 + e^z) without overflow. */
static double softplus(double z)
{
    return (z > 0 ? z : 0) + log1p(exp(-fabs(z)));
}
float probe_gradient(struct probe *p, const float *features, const int64_t *label, const int64_t *index,
                     int64_t n)
{
    double loss = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *x = features + index[i] * p->d;
        int64_t y = label[index[i]];
        double u = margin(p, x);
        loss += y ? softplus(-u) : softplus(u);
        double du = (sigmoid(u) - (double)y) / (double)n; /* d loss / d u */
        for (int64_t k = 0; k < p->w.rows; k++) {
            float dz = (float)(p->loss == PROBE_SOFTMAX && k == 0 ? -du : du);
            float *g = p->w.g + k * p->d;
            for (int64_t c = 0; c < p->d; c++)
                g[c] += dz * x[c];
            if (p->b.w)
                p->b.g[k] += dz;
        }
    }
    return (float)(loss / (double)n);
}

static bool add(struct optim *o, struct mat *m, struct arena *a, struct error *err)
{
    if (!m->w)
        return true;
    if (!m->g)
        m->g = arena_try(a, (size_t)mat_size(m) * sizeof(float));
    if (!m->g)
        return error_set(err, NULL, ERROR_TASK, "out of memory for the probe's gradient");
    return optim_add(o, m, 1, err);
}

bool probe_train(struct probe *p, const float *features, const int64_t *label, const int64_t *order,
                 int64_t n, int64_t batch, int64_t epochs, const struct optim_config *o, struct arena *a,
                 float *losses, struct error *err)
{
    assert(p->w.cols == p->d && p->w.rows == (p->loss == PROBE_BCE ? 1 : 2) && batch > 0);
    struct optim *opt = optim_new(o, a);
    if (!add(opt, &p->w, a, err) || !add(opt, &p->b, a, err))
        return false;
    optim_zero(opt);
    for (int64_t e = 0; e < epochs; e++)
        for (int64_t i = 0; i < n; i += batch) {
            float loss = probe_gradient(p, features, label, order + e * n + i, n - i < batch ? n - i : batch);
            if (losses)
                *losses++ = loss;
            optim_step(opt, o->lr);
        }
    return true;
}

void probe_score(const struct probe *p, const float *features, int64_t n, float *score)
{
#pragma omp parallel for schedule(static) if (n * p->d > 1 << 16)
    for (int64_t i = 0; i < n; i++)
        score[i] = (float)sigmoid(margin(p, features + i * p->d));
}
