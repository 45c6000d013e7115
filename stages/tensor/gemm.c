/* BLIS behind one function. Two of its habits would let the thread count into the bits: the small-matrix
 * ("sup") path chooses its kernels by the threads it has, and a split of K changes the order of the
 * additions. The first is disabled, the second never asked for: threads divide the rows and columns of C. */
#include "stages/tensor/gemm.h"
#include <assert.h>
#include <blis.h>
#include <omp.h>

#define SERIAL_WORK 1e5 /* multiply-adds below which waking a second thread costs more than it gives */

static bool kernels_prefer_rows;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* BLIS tells Xeons with two AVX-512 units from those with one by the model's name, and takes the AVX2 kernels
 * when the name says nothing, as in most virtual machines: half the speed. So the AVX-512 kernels are asked
 * for, unless the user chose, in the only way BLIS has: its environment, read once, here. */
static void choose_kernels(void)
{
    bool asked = false;
#if defined __x86_64__ && defined BLIS_CONFIG_SKX
    if (!getenv("BLIS_ARCH_TYPE") && __builtin_cpu_is("intel") && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl")) {
        char id[16];
        snprintf(id, sizeof id, "%d", (int)BLIS_ARCH_SKX);
        asked = setenv("BLIS_ARCH_TYPE", id, 0) == 0;
    }
#endif
    bli_init();
    kernels_prefer_rows =
        bli_cntx_l3_vir_ukr_prefers_rows_dt(BLIS_FLOAT, BLIS_GEMM_UKR, bli_gks_query_cntx());
    if (asked)
        unsetenv("BLIS_ARCH_TYPE"); /* programs that this one starts choose for themselves */
}

/* Cut C (m,n) into as many pieces as there are threads, the squarer the better. BLIS computes a row-major C
 * as C^T where its kernels prefer columns; "jc" and "ic" then name the sides of C^T. */
static void set_ways(rntm_t *rntm, int64_t m, int64_t n, int64_t k)
{
    int threads = omp_get_max_threads(), best = 1;
    if ((double)m * (double)n * (double)k < SERIAL_WORK)
        threads = 1;
    double least = 0;
    for (int ways = 1; ways <= threads; ways++) {
        double rim = (double)m / ways + (double)n * ways / threads;
        if (threads % ways == 0 && (least == 0 || rim < least)) {
            least = rim;
            best = ways;
        }
    }
    int other = threads / best;
    if (kernels_prefer_rows)
        bli_rntm_set_ways(other, 1, best, 1, 1, rntm);
    else
        bli_rntm_set_ways(best, 1, other, 1, 1, rntm);
}

/* C = beta C, without reading C when beta is 0. */
static void scale_matrix(int64_t m, int64_t n, float beta, float *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            c[i * ldc + j] = beta == 0 ? 0 : beta * c[i * ldc + j];
}

void gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
          const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    assert(!omp_in_parallel());
    if (m <= 0 || n <= 0)
        return;
    if (k <= 0 || alpha == 0) {
        scale_matrix(m, n, beta, c, ldc);
        return;
    }
    pthread_once(&once, choose_kernels);
    rntm_t rntm;
    bli_rntm_init(&rntm);
    bli_rntm_disable_l3_sup(&rntm);
    set_ways(&rntm, m, n, k);
    bli_sgemm_ex(ta ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE, tb ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE, m, n, k,
                 &alpha, (float *)a, lda, 1, (float *)b, ldb, 1, &beta, c, ldc, 1, NULL, &rntm);
}
