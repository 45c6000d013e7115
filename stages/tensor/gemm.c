/* BLIS behind one function, as a serial library: its own threads meet at barriers that spin, which costs
 * several times the work itself when something else has a core for a moment, so the threads here are
 * OpenMP's. Each takes one piece of C, cut between rows and columns only and at multiples of BLIS' register
 * tile: every element of C goes through the same instructions whatever the cut, and the thread count stays
 * out of the bits. For the same reason BLIS' small-matrix ("sup") path is off: its kernels do depend on the
 * size of the piece. */
#include "stages/tensor/gemm.h"
#include "stages/tensor/thin.h"
#include <blis.h>
#include <omp.h>

#define SERIAL_WORK 1e5 /* multiply-adds below which waking a second thread costs more than it gives */

static int64_t unit_rows, unit_cols; /* BLIS' register tile on a row-major C */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* BLIS tells Xeons with two AVX-512 units from those with one by the model's name, and takes the AVX2 kernels
 * when the name says nothing, as in most virtual machines: half the speed. Of processors younger than itself
 * it knows nothing, and takes plain C: a fifth (BLIS 0.9 on Zen 5). So the AVX-512 kernels are asked for
 * wherever they run, unless the user chose, in the only way BLIS has: its environment, read once, here. */
static bool asks_for_avx512(void)
{
#if defined __x86_64__ && defined BLIS_CONFIG_SKX
    return !getenv("BLIS_ARCH_TYPE") && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

static void choose_kernels(void)
{
    bool asked = false;
    if (asks_for_avx512()) {
        char id[16];
        snprintf(id, sizeof id, "%d", (int)BLIS_ARCH_SKX);
        asked = setenv("BLIS_ARCH_TYPE", id, 0) == 0;
    }
    bli_init();
    cntx_t *kernels = bli_gks_query_cntx();
    int64_t mr = bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_MR, kernels);
    int64_t nr = bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_NR, kernels);
    /* Kernels that prefer columns compute a row-major C as C^T. */
    bool rows = bli_cntx_l3_vir_ukr_prefers_rows_dt(BLIS_FLOAT, BLIS_GEMM_UKR, kernels);
    unit_rows = rows ? mr : nr;
    unit_cols = rows ? nr : mr;
    if (asked)
        unsetenv("BLIS_ARCH_TYPE"); /* programs that this one starts choose for themselves */
}

struct product { /* the arguments of gemm */
    bool ta, tb;
    int64_t m, n, k;
    float alpha;
    const float *a;
    int64_t lda;
    const float *b;
    int64_t ldb;
    float beta;
    float *c;
    int64_t ldc;
};

/* The piece of C that begins at (i,j), of at most rows x cols. */
static void piece(const struct product *p, int64_t i, int64_t j, int64_t rows, int64_t cols)
{
    const float *a = p->a + (p->ta ? i : i * p->lda), *b = p->b + (p->tb ? j * p->ldb : j);
    float alpha = p->alpha, beta = p->beta;
    rntm_t rntm;
    bli_rntm_init(&rntm);
    bli_rntm_disable_l3_sup(&rntm);
    bli_rntm_set_ways(1, 1, 1, 1, 1, &rntm);
    bli_sgemm_ex(p->ta ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE, p->tb ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE,
                 p->m - i < rows ? p->m - i : rows, p->n - j < cols ? p->n - j : cols, p->k, &alpha,
                 (float *)a, p->lda, 1, (float *)b, p->ldb, 1, &beta, p->c + i * p->ldc + j, p->ldc, 1, NULL,
                 &rntm);
}

/* n / parts, rounded up to whole units. */
static int64_t share(int64_t n, int64_t parts, int64_t unit)
{
    return (n + parts * unit - 1) / (parts * unit) * unit;
}

/* How many ways to cut the rows, the columns being cut threads / ways: the cut with the least of A and B to
 * pack for each thread. */
static int row_ways(const struct product *p, int threads)
{
    int64_t least = INT64_MAX;
    int best = 1;
    for (int ways = 1; ways <= threads; ways++) {
        if (threads % ways)
            continue;
        int64_t rim = share(p->m, ways, unit_rows) + share(p->n, threads / ways, unit_cols);
        if (rim < least) {
            least = rim;
            best = ways;
        }
    }
    return best;
}

static void multiply(const struct product *p)
{
    bool serial = (double)p->m * (double)p->n * (double)p->k < SERIAL_WORK || omp_in_parallel();
    int threads = serial ? 1 : omp_get_max_threads(), ways = row_ways(p, threads);
    int64_t rows = share(p->m, ways, unit_rows), cols = share(p->n, threads / ways, unit_cols);
    int64_t down = (p->m + rows - 1) / rows, across = (p->n + cols - 1) / cols;
#pragma omp parallel for schedule(static, 1) num_threads(threads) if (down * across > 1)
    for (int64_t i = 0; i < down * across; i++)
        piece(p, i / across * rows, i % across * cols, rows, cols);
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
    if (m <= 0 || n <= 0)
        return;
    if (k <= 0 || alpha == 0) {
        scale_matrix(m, n, beta, c, ldc);
        return;
    }
    if (!ta && n <= THIN) {
        thin_rows(tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        return;
    }
    if (ta && !tb && (m <= THIN || n <= THIN)) {
        if (m <= THIN)
            thin_sums(false, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        else
            thin_sums(true, n, m, k, alpha, b, ldb, a, lda, beta, c, ldc);
        return;
    }
    pthread_once(&once, choose_kernels);
    multiply(&(struct product){ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc});
}

const char *gemm_kernels(void)
{
    return bli_arch_string(asks_for_avx512() ? BLIS_ARCH_SKX : bli_arch_query_id());
}

const char *gemm_version(void)
{
    return bli_info_get_version_str();
}
