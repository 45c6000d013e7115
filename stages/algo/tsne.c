/* Exact t-SNE: neighbour probabilities P in the many dimensions, Q by Student's t in two; gradient descent on
 * KL(P || Q) with momentum and gains, P exaggerated at first so that clusters form. Constants are those of
 * the authors' code, learning rate and start those of scikit-learn. */
#include "stages/algo/embed2d.h"
#include "stages/tensor/gemm.h"
#include <math.h>
#include <string.h>

enum { EARLY = 250, SEARCH = 60 };
#define EXAGGERATION 12.0
#define LEAST_GAIN   0.01

struct tsne {
    int64_t n;
    float *p;                         /* (n,n) */
    double *y, *step, *gain, *z, *kl; /* (n,2), (n,2), (n,2), (n), (n) */
    double *force;                    /* (n,4): attraction, repulsion before the division by Z */
};

/* Squared distances into p, from the products of the rows. */
static bool distances(struct tsne *t, const float *x, int64_t d, struct arena *a)
{
    int64_t n = t->n;
    float *square = arena_floats(a, n);
    if (!square)
        return false;
    gemm(false, true, n, n, d, 1, x, d, x, d, 0, t->p, n);
    for (int64_t i = 0; i < n; i++)
        square[i] = t->p[i * n + i];
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            float far = square[i] + square[j] - 2 * t->p[i * n + j];
            t->p[i * n + j] = i == j || far < 0 ? 0 : far;
        }
    return true;
}
/* Row i: distances -> probabilities whose entropy is that of `perplexity` equal neighbours, by bisection of
 * the precision. */
static void neighbours(struct tsne *t, int64_t i, double perplexity)
{
    float *row = t->p + i * t->n;
    double low = 0, high = INFINITY, beta = 1, nearest = INFINITY, sum = 0;
    for (int64_t j = 0; j < t->n; j++)
        nearest = j != i && (double)row[j] < nearest ? (double)row[j] : nearest;
    for (int turn = 0; turn < SEARCH; turn++) {
        double mean = 0;
        sum = 0;
        for (int64_t j = 0; j < t->n; j++) {
            double far = (double)row[j] - nearest, w = j == i ? 0 : exp(-beta * far);
            sum += w;
            mean += w * far;
        }
        double excess = log(sum) + beta * mean / sum - log(perplexity);
        if (fabs(excess) < 1e-6)
            break;
        if (excess > 0)
            low = beta;
        else
            high = beta;
        beta = isinf(high) ? 2 * beta : (low + high) / 2;
    }
    sum = 0;
    for (int64_t j = 0; j < t->n; j++)
        sum += j == i ? 0 : exp(-beta * ((double)row[j] - nearest));
    for (int64_t j = 0; j < t->n; j++)
        row[j] = j == i ? 0 : (float)(exp(-beta * ((double)row[j] - nearest)) / sum);
}
/* (P + P^T) / 2n. */
static void symmetrise(struct tsne *t)
{
    int64_t n = t->n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            float p = (t->p[i * n + j] + t->p[j * n + i]) / (2 * (float)n);
            t->p[i * n + j] = t->p[j * n + i] = p > 1e-12f ? p : 1e-12f;
        }
}

/* Row i: sum of w = 1 / (1 + distance^2), of p w (yi - yj) and of w^2 (yi - yj). */
static void forces(struct tsne *t, int64_t i)
{
    const float *p = t->p + i * t->n;
    double x = t->y[2 * i], y = t->y[2 * i + 1], z = 0, a = 0, b = 0, c = 0, e = 0;
    for (int64_t j = 0; j < t->n; j++) {
        double u = x - t->y[2 * j], v = y - t->y[2 * j + 1], w = 1 / (1 + u * u + v * v),
               pw = (double)p[j] * w;
        z += w;
        a += pw * u;
        b += pw * v;
        c += w * w * u;
        e += w * w * v;
    }
    t->z[i] = z - 1; /* without itself */
    double *f = t->force + 4 * i;
    f[0] = a, f[1] = b, f[2] = c, f[3] = e;
}
static double normaliser(struct tsne *t)
{
    double z = 0;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < t->n; i++)
        forces(t, i);
    for (int64_t i = 0; i < t->n; i++)
        z += t->z[i];
    return z;
}
static void descend(struct tsne *t, int64_t iteration, double rate)
{
    double z = normaliser(t), scale = iteration < EARLY ? EXAGGERATION : 1, mean[2] = {0};
    double momentum = iteration < EARLY ? 0.5 : 0.8;
    for (int64_t k = 0; k < 2 * t->n; k++) {
        const double *f = t->force + 4 * (k / 2) + k % 2;
        double g = 4 * (scale * f[0] - f[2] / z);
        bool onward = (g > 0) != (t->step[k] > 0); /* downhill is against g */
        t->gain[k] = onward ? t->gain[k] + 0.2 : t->gain[k] * 0.8;
        t->gain[k] = t->gain[k] < LEAST_GAIN ? LEAST_GAIN : t->gain[k];
        t->step[k] = momentum * t->step[k] - rate * t->gain[k] * g;
        t->y[k] += t->step[k];
        mean[k % 2] += t->y[k] / (double)t->n;
    }
    for (int64_t k = 0; k < 2 * t->n; k++)
        t->y[k] -= mean[k % 2];
}
static double divergence(struct tsne *t)
{
    double z = normaliser(t), sum = 0;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < t->n; i++) {
        t->kl[i] = 0;
        for (int64_t j = 0; j < t->n; j++) {
            double u = t->y[2 * i] - t->y[2 * j], v = t->y[2 * i + 1] - t->y[2 * j + 1];
            double p = (double)t->p[i * t->n + j];
            t->kl[i] += j == i ? 0 : p * log(p * z * (1 + u * u + v * v));
        }
    }
    for (int64_t i = 0; i < t->n; i++)
        sum += t->kl[i];
    return sum;
}

/* The principal components, the first of deviation 1e-4. */
static bool start(struct tsne *t, const float *x, int64_t d, struct arena *a, struct error *err)
{
    double square = 0;
    if (!embed2d_pca(x, t->n, d, a, t->y, err))
        return false;
    for (int64_t i = 0; i < t->n; i++)
        square += t->y[2 * i] * t->y[2 * i] / (double)t->n;
    for (int64_t k = 0; k < 2 * t->n; k++) {
        t->y[k] *= square > 0 ? 1e-4 / sqrt(square) : 0;
        t->gain[k] = 1;
    }
    return true;
}
bool embed2d_tsne(const float *x, int64_t n, int64_t d, const struct tsne_options *o, struct arena *a,
                  double *y, double *ret_kl, struct error *err)
{
    size_t row = (size_t)n * sizeof(double);
    struct arena_mark mark = arena_mark(a);
    if (n < 4 || o->perplexity * 3 > (double)(n - 1))
        return error_set(err, NULL, ERROR_INPUT,
                         "a perplexity of %g needs more than %.0f points, there are %lld", o->perplexity,
                         3 * o->perplexity, (long long)n);
    struct tsne t = {.n = n, .y = y};
    t.p = arena_floats(a, n * n);
    t.step = arena_try(a, 2 * row), t.gain = arena_try(a, 2 * row), t.force = arena_try(a, 4 * row);
    t.z = arena_try(a, row), t.kl = arena_try(a, row);
    if (!t.p || !t.step || !t.gain || !t.force || !t.z || !t.kl || !distances(&t, x, d, a))
        return error_set(err, NULL, ERROR_TASK, "out of memory for %lld points", (long long)n);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        neighbours(&t, i, o->perplexity);
    symmetrise(&t);
    if (!start(&t, x, d, a, err))
        return false;
    double rate = (double)n / EXAGGERATION / 4 > 50 ? (double)n / EXAGGERATION / 4 : 50;
    for (int64_t i = 0; i < o->iterations; i++) {
        descend(&t, i, rate);
        if (o->progress)
            o->progress(o->arg, i + 1, o->iterations);
    }
    *ret_kl = divergence(&t);
    arena_release(a, mark);
    return true;
}
