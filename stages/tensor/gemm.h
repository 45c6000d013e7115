/* Matrix multiplication on BLIS; gemm.c alone includes it. All matrices are row-major float32.
 * Threads: omp_get_max_threads(), or the calling thread alone inside a parallel region. BLIS' small-matrix
 * path is off and K is never split, so that the same bits come out for any thread count. */
#ifndef STAGES_TENSOR_GEMM_H
#define STAGES_TENSOR_GEMM_H
#include <stdbool.h>
#include <stdint.h>

/* C (m,n) = alpha op(A) op(B) + beta C. op(A) is (m,k): A (m,k), or A (k,m) when ta; op(B) is (k,n) likewise.
 * ld*: elements from a row to the next. */
void gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
          const float *b, int64_t ldb, float beta, float *c, int64_t ldc);
/* Of BLIS: which machine's kernels it uses here ("skx"), and its version. */
const char *gemm_kernels(void);
const char *gemm_version(void);
#endif
