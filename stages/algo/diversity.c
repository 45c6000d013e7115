#include "stages/algo/diversity.h"
#include "stages/tensor/gemm.h"
#include <math.h>

#define BLOCK 256 /* rows of y at once */

void diversity_unit(float *x, int64_t n, int64_t d)
{
    for (int64_t i = 0; i < n; i++, x += d) {
        double s = 0;
        for (int64_t j = 0; j < d; j++)
            s += (double)x[j] * (double)x[j];
        for (int64_t j = 0; s > 0 && j < d; j++)
            x[j] = (float)((double)x[j] / sqrt(s));
    }
}

/* Sum over pairs = (|sum of rows|^2 - sum of |row|^2) / 2: no n x n matrix. */
double diversity_cosine(const float *x, int64_t n, int64_t d)
{
    double all = 0, own = 0;
    for (int64_t j = 0; j < d; j++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++) {
            double v = (double)x[i * d + j];
            sum += v;
            own += v * v;
        }
        all += sum * sum;
    }
    return (all - own) / ((double)n * (double)(n - 1));
}

bool diversity_coverage(const float *x, int64_t n, const float *y, int64_t m, int64_t d, struct arena *a,
                        double *ret, struct error *err)
{
    struct arena_mark mark = arena_mark(a);
    float *cosine = arena_floats(a, BLOCK * n);
    if (!cosine)
        return error_set(err, NULL, ERROR_TASK, "out of memory for the cosines to %lld rows", (long long)n);
    *ret = 0;
    for (int64_t first = 0; first < m; first += BLOCK) {
        int64_t rows = m - first < BLOCK ? m - first : BLOCK;
        gemm(false, true, rows, n, d, 1, y + first * d, d, x, d, 0, cosine, n);
        for (int64_t i = 0; i < rows; i++) {
            float best = cosine[i * n];
            for (int64_t j = 1; j < n; j++)
                best = cosine[i * n + j] > best ? cosine[i * n + j] : best;
            *ret += (double)best / (double)m;
        }
    }
    arena_release(a, mark);
    return true;
}
