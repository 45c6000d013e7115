/* Principal components by subspace iteration: a few more directions than are wanted make it converge fast,
 * and a small eigenproblem at the end sorts them. */
#include "base/rng.h"
#include "stages/algo/embed2d.h"
#include <math.h>
#include <string.h>

enum { WANTED = 2, BLOCK = 8, ROUNDS = 60 };

struct pca {
    int64_t n, d;
    int k;         /* directions, at most BLOCK */
    double *c;     /* (n,d) centred */
    double *q, *t; /* (k,d) directions, (n,k) the points along them */
};

static bool centre(struct pca *p, const float *x, struct arena *a)
{
    p->c = arena_try(a, (size_t)(p->n * p->d) * sizeof *p->c);
    p->q = arena_try(a, (size_t)(BLOCK * p->d) * sizeof *p->q);
    p->t = arena_try(a, (size_t)(p->n * BLOCK) * sizeof *p->t);
    if (!p->c || !p->q || !p->t)
        return false;
    for (int64_t j = 0; j < p->d; j++) {
        double mean = 0;
        for (int64_t i = 0; i < p->n; i++)
            mean += (double)x[i * p->d + j] / (double)p->n;
        for (int64_t i = 0; i < p->n; i++)
            p->c[i * p->d + j] = (double)x[i * p->d + j] - mean;
    }
    return true;
}
/* t = C q^T. */
static void project(struct pca *p)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i++)
        for (int k = 0; k < p->k; k++) {
            double s = 0;
            for (int64_t j = 0; j < p->d; j++)
                s += p->c[i * p->d + j] * p->q[k * p->d + j];
            p->t[i * p->k + k] = s;
        }
}
/* q = t^T C. */
static void back(struct pca *p)
{
#pragma omp parallel for schedule(static)
    for (int k = 0; k < p->k; k++) {
        double *q = p->q + k * p->d;
        memset(q, 0, (size_t)p->d * sizeof *q);
        for (int64_t i = 0; i < p->n; i++)
            for (int64_t j = 0; j < p->d; j++)
                q[j] += p->t[i * p->k + k] * p->c[i * p->d + j];
    }
}
/* Gram and Schmidt, twice; a direction in the span of the others becomes zero. */
static void orthonormalise(struct pca *p)
{
    for (int k = 0; k < p->k; k++) {
        double *q = p->q + k * p->d, before = 0, s = 0;
        for (int64_t j = 0; j < p->d; j++)
            before += q[j] * q[j];
        for (int turn = 0; turn < 2; turn++)
            for (int l = 0; l < k; l++) {
                double dot = 0;
                for (int64_t j = 0; j < p->d; j++)
                    dot += q[j] * p->q[l * p->d + j];
                for (int64_t j = 0; j < p->d; j++)
                    q[j] -= dot * p->q[l * p->d + j];
            }
        for (int64_t j = 0; j < p->d; j++)
            s += q[j] * q[j];
        double scale = s > 1e-24 * before ? 1 / sqrt(s) : 0;
        for (int64_t j = 0; j < p->d; j++)
            q[j] *= scale;
    }
}
/* Jacobi's rotations: g (k,k) symmetric becomes diagonal, the columns of v its eigenvectors. */
static void eigen(int k, double *g, double *v)
{
    for (int i = 0; i < k * k; i++)
        v[i] = i % (k + 1) == 0;
    for (int sweep = 0; sweep < 30; sweep++)
        for (int a = 0; a < k; a++)
            for (int b = a + 1; b < k; b++) {
                if (g[a * k + b] == 0)
                    continue;
                double theta = (g[b * k + b] - g[a * k + a]) / (2 * g[a * k + b]);
                double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
                double c = 1 / sqrt(t * t + 1), s = t * c;
                for (int i = 0; i < k; i++) { /* columns */
                    double x = g[i * k + a], y = g[i * k + b], z = v[i * k + a], w = v[i * k + b];
                    g[i * k + a] = c * x - s * y, g[i * k + b] = s * x + c * y;
                    v[i * k + a] = c * z - s * w, v[i * k + b] = s * z + c * w;
                }
                for (int i = 0; i < k; i++) { /* rows */
                    double x = g[a * k + i], y = g[b * k + i];
                    g[a * k + i] = c * x - s * y, g[b * k + i] = s * x + c * y;
                }
            }
}
/* y = t v for the eigenvectors of t^T t of the largest values. */
static void finish(const struct pca *p, double *y)
{
    double g[BLOCK * BLOCK] = {0}, v[BLOCK * BLOCK];
    int k = p->k, used = -1;
    for (int64_t i = 0; i < p->n; i++)
        for (int a = 0; a < k * k; a++)
            g[a] += p->t[i * k + a / k] * p->t[i * k + a % k];
    eigen(k, g, v);
    for (int c = 0; c < WANTED; c++) {
        int best = -1;
        for (int a = 0; a < k; a++)
            if (a != used && (best < 0 || g[a * k + a] > g[best * k + best]))
                best = a;
        double peak = 0;
        for (int64_t j = 0; best >= 0 && j < p->d; j++) { /* of the loadings */
            double s = 0;
            for (int a = 0; a < k; a++)
                s += v[a * k + best] * p->q[a * p->d + j];
            peak = fabs(s) > fabs(peak) ? s : peak;
        }
        for (int64_t i = 0; i < p->n; i++) {
            double s = 0;
            for (int a = 0; best >= 0 && a < k; a++)
                s += v[a * k + best] * p->t[i * k + a];
            y[i * WANTED + c] = peak < 0 ? -s : s;
        }
        used = best;
    }
}

bool embed2d_pca(const float *x, int64_t n, int64_t d, struct arena *a, double *y, struct error *err)
{
    struct arena_mark mark = arena_mark(a);
    int64_t most = d < n ? d : n;
    struct pca p = {.n = n, .d = d, .k = (int)(most < BLOCK ? most : BLOCK)};
    if (!centre(&p, x, a))
        return error_set(err, NULL, ERROR_TASK, "out of memory for %lld points", (long long)n);
    for (int k = 0; k < p.k; k++) {
        struct rng r = rng_at(rng_stream(0, "embed2d.pca"), (uint64_t)k, 0);
        for (int64_t j = 0; j < d; j++)
            p.q[k * d + j] = (double)rng_normal(&r);
    }
    orthonormalise(&p);
    for (int round = 0; round < ROUNDS; round++) {
        project(&p);
        back(&p);
        orthonormalise(&p);
    }
    project(&p);
    finish(&p, y);
    arena_release(a, mark);
    return true;
}
