/* The product is cut into tiles of a few rows by a few vectors, as many as the registers hold. The vectors
 * are gcc's and clang's own: whatever the machine has is used, and every lane does one multiply-add for each
 * p. */
#include "stages/tensor/tile.h"
#include <string.h>

typedef float lanes
    __attribute__((vector_size(TILE_LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

#if defined __AVX512F__
#define ROWS 6 /* 6 x 4 sums, 4 of B, 1 of A: 29 of 32 registers */
#define COLS 4
#else
#define ROWS 3 /* a vector is two of the machine's: 3 x 2 x 2 sums, 2 x 2 halves of B in turn */
#define COLS 2
#endif

/* rows x cols vectors of C; both are constants where it is called, so that the loops unroll and the sums stay
 * in registers. */
static inline __attribute__((always_inline)) void tile(const int rows, const int cols, int64_t k,
                                                       const float *a, int64_t row, int64_t col,
                                                       const float *b, int64_t ldb, float *c, int64_t ldc)
{
    lanes sum[ROWS][COLS];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < cols; j++)
            sum[i][j] = (lanes){0};
    for (int64_t p = 0; p < k; p++) {
        lanes bp[COLS];
#pragma GCC unroll 8
        for (int j = 0; j < cols; j++)
            bp[j] = *(const lanes *)(b + p * ldb + j * TILE_LANES);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            float ap = a[i * row + p * col];
#pragma GCC unroll 8
            for (int j = 0; j < cols; j++)
                sum[i][j] += ap * bp[j];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < cols; j++)
            *(lanes *)(c + i * ldc + j * TILE_LANES) = sum[i][j];
}

/* One band of cols vectors, all rows. */
static inline __attribute__((always_inline)) void band(const int cols, int64_t m, int64_t k, const float *a,
                                                       int64_t row, int64_t col, const float *b, int64_t ldb,
                                                       float *c, int64_t ldc)
{
    int64_t i = 0;
    for (; i + ROWS <= m; i += ROWS)
        tile(ROWS, cols, k, a + i * row, row, col, b, ldb, c + i * ldc, ldc);
    for (; i + 2 <= m; i += 2)
        tile(2, cols, k, a + i * row, row, col, b, ldb, c + i * ldc, ldc);
    if (i < m)
        tile(1, cols, k, a + i * row, row, col, b, ldb, c + i * ldc, ldc);
}

void tile_product(int64_t m, int64_t n, int64_t k, const float *a, int64_t row, int64_t col, const float *b,
                  int64_t ldb, float *c, int64_t ldc)
{
    int64_t j = 0;
    for (; j + COLS * TILE_LANES <= n; j += COLS * TILE_LANES)
        band(COLS, m, k, a, row, col, b + j, ldb, c + j, ldc);
    for (; j < n; j += TILE_LANES)
        band(1, m, k, a, row, col, b + j, ldb, c + j, ldc);
}
