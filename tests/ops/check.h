/* What the operator tests share: random tensors, comparison with a double reference, central differences, and
 * the demand that every thread count gives the same bits. */
#ifndef TESTS_OPS_CHECK_H
#define TESTS_OPS_CHECK_H
#include "tests/test.h"

#include "base/mem.h"
#include "base/rng.h"
#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A test's random numbers: one sequence, restarted by check_seed. */
static struct rng check_rng;
static inline void check_seed(const char *name)
{
    check_rng = rng_at(rng_stream(1, name), 0, 0);
}
static inline int64_t check_between(int64_t low, int64_t high)
{
    return low + (int64_t)rng_below(&check_rng, (uint64_t)(high - low + 1));
}
/* A tensor known in both precisions: d holds exactly the values of f. */
struct pair {
    float *f;
    double *d;
    int64_t n;
};
static inline struct pair pair_new(int64_t n, double mean, double spread)
{
    struct pair p = {xmalloc((size_t)n * sizeof(float)), xmalloc((size_t)n * sizeof(double)), n};
    for (int64_t i = 0; i < n; i++)
        p.d[i] = p.f[i] = (float)(mean + spread * (double)rng_normal(&check_rng));
    return p;
}
static inline void pair_free(struct pair *p)
{
    free(p->f);
    free(p->d);
}
static inline float *floats(int64_t n, float value)
{
    float *x = xmalloc((size_t)(n ? n : 1) * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = value;
    return x;
}
static inline double *doubles(int64_t n)
{
    return xcalloc((size_t)(n ? n : 1), sizeof(double));
}

/* max |got - want| <= tol max |want| (with 1e-30 for tensors of zeros) */
static inline void check_close(const char *what, const float *got, const double *want, int64_t n, double tol)
{
    double most = 0, size = 1e-30;
    for (int64_t i = 0; i < n; i++) {
        double error = fabs((double)got[i] - want[i]);
        most = error <= most ? most : error;
        size = fabs(want[i]) > size ? fabs(want[i]) : size;
    }
    if (!(most <= tol * size))
        fail_msg("%s: error %.3g of %.3g, allowed %.1g", what, most, size, tol);
}

/* grad[i] = d loss / d x[i] by central differences; loss reads x through arg. */
static inline void check_differences(double (*loss)(void *arg), void *arg, double *x, int64_t n, double *grad)
{
    const double h = 1e-5;
    for (int64_t i = 0; i < n; i++) {
        double keep = x[i];
        x[i] = keep + h;
        double up = loss(arg);
        x[i] = keep - h;
        grad[i] = (up - loss(arg)) / (2 * h);
        x[i] = keep;
    }
}

/* run fills out (n floats) from arg; 1, 2 and 3 threads must agree to the bit. */
static inline void check_threads(const char *what, void (*run)(void *arg, float *out), void *arg, int64_t n)
{
    int before = omp_get_max_threads();
    float *one = floats(n, 0), *more = floats(n, 0);
    omp_set_num_threads(1);
    run(arg, one);
    for (int threads = 2; threads <= 3; threads++) {
        omp_set_num_threads(threads);
        memset(more, 0, (size_t)n * sizeof *more);
        run(arg, more);
        if (memcmp(one, more, (size_t)n * sizeof *one))
            fail_msg("%s: %d threads change the bits", what, threads);
    }
    omp_set_num_threads(before);
    free(one);
    free(more);
}
#endif
