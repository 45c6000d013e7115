/* Rows of length one: y = x / |x|,  dx = (dy - y (y . dy)) / |x|. */
#include "stages/tensor/ops.h"
#include <math.h>

#define PARALLEL (1 << 14) /* below this many elements threads cost more than they give */

void unit_forward(const float *x, int64_t rows, int64_t n, float *y, float *norm)
{
#pragma omp parallel for schedule(static) if (rows * n > PARALLEL)
    for (int64_t r = 0; r < rows; r++) {
        const float *from = x + r * n;
        float *to = y + r * n, length = (float)sqrt(dot_double(from, from, n));
        float factor = length > 0 ? 1 / length : 0;
        for (int64_t i = 0; i < n; i++)
            to[i] = from[i] * factor;
        if (norm)
            norm[r] = length;
    }
}

void unit_backward(const float *y, const float *norm, const float *dy, int64_t rows, int64_t n, float *dx)
{
#pragma omp parallel for schedule(static) if (rows * n > PARALLEL)
    for (int64_t r = 0; r < rows; r++) {
        const float *yr = y + r * n, *g = dy + r * n;
        float *to = dx + r * n, along = (float)dot_double(yr, g, n);
        float factor = norm[r] > 0 ? 1 / norm[r] : 0;
        for (int64_t i = 0; i < n; i++)
            to[i] = (g[i] - yr[i] * along) * factor;
    }
}
