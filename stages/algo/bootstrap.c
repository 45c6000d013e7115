#include "stages/algo/bootstrap.h"
#include <stdlib.h>
#include <string.h>

/* Of 0 .. n-1; n is far below 2^32, so that this is even enough. */
static int64_t draw(struct rng *r, int64_t n)
{
    return (int64_t)((uint64_t)rng_u32(r) * (uint64_t)n >> 32);
}

void bootstrap_samples(struct rng *r, const uint32_t *mask, int64_t n, int runs, int64_t *right)
{
    memset(right, 0, (size_t)runs * sizeof *right);
    for (int64_t i = 0; i < n; i++) {
        uint32_t m = mask[draw(r, n)];
        for (int k = 0; k < runs; k++)
            right[k] += m >> k & 1;
    }
}

int64_t bootstrap_count(struct rng *r, int64_t right, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += draw(r, n) < right;
    return count;
}

void bootstrap_runs(struct rng *r, int runs, double *weight)
{
    int draws = runs > 1 ? runs - 1 : 1;
    memset(weight, 0, (size_t)runs * sizeof *weight);
    for (int i = 0; i < draws; i++)
        weight[rng_below(r, (uint64_t)runs)] += 1.0 / draws;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

struct bootstrap_interval bootstrap_interval(double *v, int64_t n, double level)
{
    qsort(v, (size_t)n, sizeof *v, compare);
    int64_t out = (int64_t)((1 - level) / 2 * (double)n); /* as many on either side */
    return (struct bootstrap_interval){v[out], v[n - 1 - out]};
}
