#include "stages/algo/soup.h"

void soup_mean(const float *const *theta, int k, int64_t n, float *ret)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int p = 0; p < k; p++)
            sum += (double)theta[p][i];
        ret[i] = (float)(sum / k);
    }
}
void soup_add(const float *theta_0, const float *const *tau, int k, int64_t n, double scaling, float *ret)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int p = 0; p < k; p++)
            sum += (double)tau[p][i];
        ret[i] = (float)((double)theta_0[i] + scaling * sum);
    }
}

#define BLOCK 1024 /* entries that share a random sequence; a constant, so that threads do not matter */

void dare_drop(float *tau, int64_t n, double drop, struct rng_stream stream, uint32_t p)
{
    int64_t blocks = (n + BLOCK - 1) / BLOCK;
    double rescale = 1 / (1 - drop);
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < blocks; b++) {
        struct rng r = rng_at(stream, (uint64_t)b, p);
        int64_t end = (b + 1) * BLOCK < n ? (b + 1) * BLOCK : n;
        for (int64_t i = b * BLOCK; i < end; i++)
            tau[i] = (double)rng_uniform(&r) < drop ? 0 : (float)(rescale * (double)tau[i]);
    }
}
