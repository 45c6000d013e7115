/* Both kinds are cut into blocks of a fixed size that threads take one at a time; every element of C is
 * summed over k in the same order wherever the cuts fall. */
#include "stages/tensor/thin.h"
#include "base/mem.h"
#include "stages/tensor/tile.h"
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#define ROWS     48  /* rows of A a thread takes at a time: a multiple of all heights of tiles */
#define COLUMNS  64  /* columns of B likewise */
#define DEPTH    512 /* terms summed before the sum joins the total: less rounding, and a small block of B */
#define PARALLEL 1e5 /* multiply-adds below which waking a second thread costs more than it gives */

static inline float blend(float alpha, float sum, float beta, float c)
{
    return beta == 0 ? alpha * sum : alpha * sum + beta * c;
}

static bool worth_threads(int64_t m, int64_t n, int64_t k)
{
    return (double)m * (double)n * (double)k > PARALLEL && !omp_in_parallel();
}

/* (k, wide) with op(B)'s columns and zeros after them */
static float *pack(bool tb, int64_t n, int64_t k, const float *b, int64_t ldb, int64_t wide)
{
    float *to = xmalloc((size_t)(k * wide) * sizeof *to);
    for (int64_t p = 0; p < k; p++)
        for (int64_t j = 0; j < wide; j++)
            to[p * wide + j] = j >= n ? 0 : tb ? b[j * ldb + p] : b[p * ldb + j];
    return to;
}

void thin_rows(bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
               const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    int64_t wide = tile_pad(n);
    float *packed = pack(tb, n, k, b, ldb, wide);
#pragma omp parallel for schedule(static) if (worth_threads(m, n, k))
    for (int64_t top = 0; top < m; top += ROWS) {
        float sum[ROWS * THIN];
        int64_t rows = m - top < ROWS ? m - top : ROWS;
        for (int64_t p = 0; p < k; p += DEPTH)
            tile_product(rows, wide, k - p < DEPTH ? k - p : DEPTH, a + top * lda + p, lda, 1,
                         packed + p * wide, wide, p > 0, sum, wide);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < n; j++) {
                float *to = &c[(top + i) * ldc + j];
                *to = blend(alpha, sum[i * wide + j], beta, *to);
            }
    }
    free(packed);
}

/* sum (r,COLUMNS) of `width` columns of B; the last vector of a row, where it is not whole, is copied
 * together. */
static void sum_columns(int64_t r, int64_t width, int64_t k, const float *a, int64_t lda, const float *b,
                        int64_t ldb, float *sum)
{
    int64_t whole = width / TILE_LANES * TILE_LANES, rest = width - whole;
    for (int64_t p = 0; p < k; p += DEPTH) {
        int64_t deep = k - p < DEPTH ? k - p : DEPTH;
        const float *ap = a + p * lda, *bp = b + p * ldb;
        tile_product(r, whole, deep, ap, 1, lda, bp, ldb, p > 0, sum, COLUMNS);
        if (rest) {
            float edge[DEPTH * TILE_LANES] = {0};
            for (int64_t i = 0; i < deep; i++)
                memcpy(edge + i * TILE_LANES, bp + i * ldb + whole, (size_t)rest * sizeof *edge);
            tile_product(r, TILE_LANES, deep, ap, 1, lda, edge, TILE_LANES, p > 0, sum + whole, COLUMNS);
        }
    }
}

void thin_sums(bool transpose, int64_t r, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
               const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    int64_t step =
        n < 8 * COLUMNS ? TILE_LANES : COLUMNS; /* few columns: narrow blocks, so that there are enough */
#pragma omp parallel for schedule(static) if (worth_threads(r, n, k))
    for (int64_t left = 0; left < n; left += step) {
        float sum[THIN * COLUMNS];
        int64_t width = n - left < step ? n - left : step;
        sum_columns(r, width, k, a, lda, b + left, ldb, sum);
        for (int64_t i = 0; i < r; i++)
            for (int64_t j = 0; j < width; j++) {
                float *to = transpose ? &c[(left + j) * ldc + i] : &c[i * ldc + left + j];
                *to = blend(alpha, sum[i * COLUMNS + j], beta, *to);
            }
    }
}
