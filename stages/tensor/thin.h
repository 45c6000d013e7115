/* Products with one side no longer than THIN: those of LoRA and of routers. BLIS packs the whole of the large
 * operand for them, which takes longer than the product; here it is read once, from where it is. */
#ifndef STAGES_TENSOR_THIN_H
#define STAGES_TENSOR_THIN_H
#include <stdbool.h>
#include <stdint.h>

#define THIN 32

/* C (m,n) = alpha A (m,k) op(B) + beta C, n <= THIN; op(B) (k,n) is B, or B^T when tb. */
void thin_rows(bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
               const float *b, int64_t ldb, float beta, float *c, int64_t ldc);
/* S (r,n) = alpha A^T B, A (k,r), B (k,n), r <= THIN:  C (r,n) = S + beta C, or C (n,r) = S^T + beta C when
 * transpose. */
void thin_sums(bool transpose, int64_t r, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
               const float *b, int64_t ldb, float beta, float *c, int64_t ldc);
#endif
