/* Small matrix products inside one thread, for operators that are parallel over something else (attention:
 * over heads). Everything lies in the first two caches; what counts is that sums stay in registers. */
#ifndef STAGES_TENSOR_TILE_H
#define STAGES_TENSOR_TILE_H
#include <stdbool.h>
#include <stdint.h>

#define TILE_LANES 16 /* n and the row lengths of B and C are multiples of it */

/* A row length that B and C may have. */
static inline int64_t tile_pad(int64_t n)
{
    return (n + TILE_LANES - 1) / TILE_LANES * TILE_LANES;
}
/* C (m,n) = A (m,k) B (k,n), added to C when add; element (i,p) of A is a[i row + p col]. Each element of C
 * is one sum over p in order, whatever m and n are. */
void tile_product(int64_t m, int64_t n, int64_t k, const float *a, int64_t row, int64_t col, const float *b,
                  int64_t ldb, bool add, float *c, int64_t ldc);
#endif
