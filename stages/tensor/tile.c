/* The product is cut into tiles of a few rows by a few vectors, as many as the registers hold. The vectors
 * are gcc's and clang's own: whatever the machine has is used, and every lane does one multiply-add for each
 * p. */
#include "stages/tensor/tile.h"

typedef float lanes
    __attribute__((vector_size(TILE_LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

/* Rows of a tile of 1, 2, 3 or 4 vectors: with AVX-512 24 sums and what multiplies them fill 32 registers;
 * without, a vector takes two or four registers of 16. */
#if defined __AVX512F__
#define WIDEST 4
static const int rows_of[WIDEST + 1] = {0, 12, 12, 8, 6};
#else
#define WIDEST 2
static const int rows_of[WIDEST + 1] = {0, 4, 3};
#endif
#define TALLEST 12

/* rows x cols vectors of C; both are constants where it is called, so that the loops unroll and the sums stay
 * in registers. */
static inline __attribute__((always_inline)) void tile(const int rows, const int cols, int64_t k,
                                                       const float *a, int64_t row, int64_t col,
                                                       const float *b, int64_t ldb, bool add, float *c,
                                                       int64_t ldc)
{
    lanes sum[TALLEST][WIDEST];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 16
        for (int j = 0; j < cols; j++)
            sum[i][j] = (lanes){0};
    for (int64_t p = 0; p < k; p++) {
        lanes bp[WIDEST];
#pragma GCC unroll 16
        for (int j = 0; j < cols; j++)
            bp[j] = *(const lanes *)(b + p * ldb + j * TILE_LANES);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            float ap = a[i * row + p * col];
#pragma GCC unroll 16
            for (int j = 0; j < cols; j++)
                sum[i][j] += ap * bp[j];
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 16
        for (int j = 0; j < cols; j++) {
            lanes *to = (lanes *)(c + i * ldc + j * TILE_LANES);
            if (add)
                sum[i][j] += *to;
            *to = sum[i][j];
        }
}

/* One band of cols vectors, all rows. */
static inline __attribute__((always_inline)) void band(const int cols, int64_t m, int64_t k, const float *a,
                                                       int64_t row, int64_t col, const float *b, int64_t ldb,
                                                       bool add, float *c, int64_t ldc)
{
    const int rows = rows_of[cols];
    int64_t i = 0;
    for (; i + rows <= m; i += rows)
        tile(rows, cols, k, a + i * row, row, col, b, ldb, add, c + i * ldc, ldc);
    for (; i + 4 <= m; i += 4)
        tile(4, cols, k, a + i * row, row, col, b, ldb, add, c + i * ldc, ldc);
    for (; i + 2 <= m; i += 2)
        tile(2, cols, k, a + i * row, row, col, b, ldb, add, c + i * ldc, ldc);
    if (i < m)
        tile(1, cols, k, a + i * row, row, col, b, ldb, add, c + i * ldc, ldc);
}

void tile_product(int64_t m, int64_t n, int64_t k, const float *a, int64_t row, int64_t col, const float *b,
                  int64_t ldb, bool add, float *c, int64_t ldc)
{
    for (; n >= WIDEST * TILE_LANES;
         n -= WIDEST * TILE_LANES, b += WIDEST * TILE_LANES, c += WIDEST * TILE_LANES)
        band(WIDEST, m, k, a, row, col, b, ldb, add, c, ldc);
#if WIDEST == 4
    if (n >= 3 * TILE_LANES)
        band(3, m, k, a, row, col, b, ldb, add, c, ldc);
    else if (n >= 2 * TILE_LANES)
        band(2, m, k, a, row, col, b, ldb, add, c, ldc);
    else
#endif
        if (n >= TILE_LANES)
        band(1, m, k, a, row, col, b, ldb, add, c, ldc);
}
