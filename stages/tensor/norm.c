/* LayerNorm over the C entries of each row:
 *   xhat = (x - mean) rstd,  rstd = 1 / sqrt(var + eps),  y = xhat w + b
 *   dx = rstd (g - mean(g) - xhat mean(g xhat)),  g = dy w;   dw = sum dy xhat;   db = sum dy */
#include "stages/tensor/ops.h"
#include <math.h>

#define PARALLEL (1 << 14) /* below this many elements threads cost more than they give */
#define COLUMNS  64        /* columns a thread takes at a time in the weights' gradients */
#define ROWS     32        /* rows summed before the sum joins the total: keeps rounding errors small */

static void row_statistics(const float *x, int64_t c, float eps, float *mean, float *rstd)
{
    float sum = 0, square = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < c; i++)
        sum += x[i];
    float m = sum / (float)c;
#pragma omp simd reduction(+ : square)
    for (int64_t i = 0; i < c; i++)
        square += (x[i] - m) * (x[i] - m);
    *mean = m;
    *rstd = 1 / sqrtf(square / (float)c + eps);
}

void layernorm_forward(const struct norm *n, const float *x, int64_t rows, float *y, float *mean, float *rstd)
{
    int64_t c = n->w.rows;
    const float *w = n->w.w, *b = n->b.w;
#pragma omp parallel for schedule(static) if (rows * c > PARALLEL)
    for (int64_t r = 0; r < rows; r++) {
        const float *from = x + r * c;
        float *to = y + r * c, m, s;
        row_statistics(from, c, n->eps, &m, &s);
#pragma omp simd
        for (int64_t i = 0; i < c; i++)
            to[i] = (from[i] - m) * s * w[i] + b[i];
        if (mean)
            mean[r] = m;
        if (rstd)
            rstd[r] = s;
    }
}

static void row_backward(const float *x, const float *w, const float *dy, int64_t c, float m, float s,
                         float *dx)
{
    float mean_g = 0, mean_gx = 0;
#pragma omp simd reduction(+ : mean_g, mean_gx)
    for (int64_t i = 0; i < c; i++) {
        float g = dy[i] * w[i];
        mean_g += g;
        mean_gx += g * (x[i] - m);
    }
    mean_g /= (float)c;
    mean_gx *= s / (float)c;
#pragma omp simd
    for (int64_t i = 0; i < c; i++)
        dx[i] += s * (dy[i] * w[i] - mean_g - (x[i] - m) * s * mean_gx);
}

/* Columns from .. from+width of dw and db, added in the order of the rows. */
static void columns_backward(const struct norm *n, const float *x, const float *mean, const float *rstd,
                             const float *dy, int64_t rows, int64_t from, int64_t width)
{
    int64_t c = n->w.rows;
    for (int64_t top = 0; top < rows; top += ROWS) {
        float dw[COLUMNS] = {0}, db[COLUMNS] = {0};
        for (int64_t r = top; r < rows && r < top + ROWS; r++) {
            const float *xr = x + r * c + from, *g = dy + r * c + from;
            for (int64_t i = 0; i < width; i++) {
                dw[i] += g[i] * ((xr[i] - mean[r]) * rstd[r]);
                db[i] += g[i];
            }
        }
        for (int64_t i = 0; i < width && n->w.g; i++)
            n->w.g[from + i] += dw[i];
        for (int64_t i = 0; i < width && n->b.g; i++)
            n->b.g[from + i] += db[i];
    }
}

void layernorm_backward(const struct norm *n, const float *x, const float *mean, const float *rstd,
                        const float *dy, int64_t rows, float *dx)
{
    int64_t c = n->w.rows;
    if (n->w.g || n->b.g) {
#pragma omp parallel for schedule(static) if (rows * c > PARALLEL)
        for (int64_t from = 0; from < c; from += COLUMNS)
            columns_backward(n, x, mean, rstd, dy, rows, from, c - from < COLUMNS ? c - from : COLUMNS);
    }
    if (!dx)
        return;
#pragma omp parallel for schedule(static) if (rows * c > PARALLEL)
    for (int64_t r = 0; r < rows; r++)
        row_backward(x + r * c, n->w.w, dy + r * c, c, mean[r], rstd[r], dx + r * c);
}
