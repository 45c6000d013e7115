/* The arithmetic of merged weights against plain references: means, task arithmetic, TIES by sorting, DARE by
 * its frequencies; the same bits on any number of threads. */
#include "stages/algo/soup.h"
#include "stages/algo/ties.h"
#include <math.h>
#include <omp.h>

#include "tests/test.h"

enum { K = 3, N = 5000 };
static float theta[N], tau[K][N], ret[N];
static const float *const all[K] = {tau[0], tau[1], tau[2]};

static void draw(void)
{
    struct rng r = rng_at(rng_stream(3, "test.soup"), 0, 0);
    for (int i = 0; i < N; i++) {
        theta[i] = rng_normal(&r);
        for (int p = 0; p < K; p++)
            tau[p][i] = rng_below(&r, 5) ? 0.1f * rng_normal(&r) : 0;
    }
}
static void near(float got, double want)
{
    if (!(fabs((double)got - want) <= 1e-6 * (fabs(want) + 1)))
        fail_msg("%.9g, wanted %.9g", (double)got, want);
}
static void sums(void **state)
{
    draw();
    soup_mean(all, K, N, ret);
    for (int i = 0; i < N; i++)
        near(ret[i], ((double)tau[0][i] + (double)tau[1][i] + (double)tau[2][i]) / 3);
    soup_add(theta, all, K, N, 0.4, ret);
    for (int i = 0; i < N; i++)
        near(ret[i], (double)theta[i] + 0.4 * ((double)tau[0][i] + (double)tau[1][i] + (double)tau[2][i]));
    soup_add(theta, all, 2, N, -1, ret); /* the first two alone */
    for (int i = 0; i < N; i++)
        near(ret[i], (double)theta[i] - (double)tau[0][i] - (double)tau[1][i]);
}

/* ---- TIES ---- */
static int64_t bins[TIES_BINS];
/* In pieces of `piece` entries. */
static void trim(float *x, int n, int piece, double density)
{
    struct ties_trim t;
    ties_begin(&t, density, bins);
    for (int pass = 0; pass < 3; pass++) {
        for (int at = 0; at < n; at += piece) {
            int m = n - at < piece ? n - at : piece;
            pass < 2 ? ties_count(&t, x + at, m) : ties_cut(&t, x + at, m);
        }
        if (pass < 2)
            ties_next(&t);
    }
}
static const float *sorted;
/* Larger magnitudes first, then lower indices. */
static int by_magnitude(const void *a, const void *b)
{
    int i = *(const int *)a, j = *(const int *)b;
    float x = fabsf(sorted[i]), y = fabsf(sorted[j]);
    return x != y ? (x < y ? 1 : -1) : i - j;
}
static void trimmed_as_sorted(const float *x, int n, int piece, double density)
{
    float got[N], want[N] = {0};
    int order[N];
    for (int i = 0; i < n; i++)
        order[i] = i;
    sorted = x;
    qsort(order, (size_t)n, sizeof *order, by_magnitude);
    for (int i = 0; i < (int)floor(density * n); i++)
        want[order[i]] = x[order[i]];
    memcpy(got, x, (size_t)n * sizeof *x);
    trim(got, n, piece, density);
    for (int i = 0; i < n; i++)
        if (got[i] != want[i])
            fail_msg("density %g, pieces of %d: entry %d is %g, wanted %g", density, piece, i, (double)got[i],
                     (double)want[i]);
}
static void trims(void **state)
{
    static const double density[] = {0, 0.0002, 0.2, 0.25, 0.5, 0.79, 0.9, 1};
    float ties[N];
    draw();
    for (int i = 0; i < N; i++) /* many of equal magnitude, and neighbours of them in float32 */
        ties[i] = (float)(i % 2 ? 1 : -1) * (i % 7 < 3 ? 0.5f : i % 7 == 3 ? nextafterf(0.5f, 1) : 0.25f);
    for (size_t d = 0; d < sizeof density / sizeof *density; d++) {
        trimmed_as_sorted(tau[0], N, N, density[d]);
        trimmed_as_sorted(tau[1], N, 999, density[d]);
        trimmed_as_sorted(ties, N, 13, density[d]);
        trimmed_as_sorted(ties, 1, 1, density[d]);
    }
}
static void elects(void **state)
{
    const float base[6] = {1, 1, 1, 1, 1, 1};
    const float a[6] = {3, -3, 0, 2, 1, 0}, b[6] = {1, 1, 0, -2, 1, -4}, c[6] = {-2, 1, 0, 0, 1, 0};
    const float *const t[K] = {a, b, c};
    const double want[6] = {2, -3, 0, 0, 1, -4};
    float got[6];
    ties_merge(base, t, K, 6, 0.5, got);
    for (int i = 0; i < 6; i++)
        near(got[i], 1 + 0.5 * want[i]);
}

/* ---- DARE ---- */
static void drops(void **state)
{
    float x[N], y[N];
    struct rng_stream s = rng_stream(1, "test.dare");
    int gone = 0, both = 0;
    for (int i = 0; i < N; i++)
        x[i] = y[i] = (float)(i + 1);
    dare_drop(x, N, 0.75, s, 0);
    dare_drop(y, N, 0.75, s, 1);
    for (int i = 0; i < N; i++) {
        assert_true(x[i] == 0 || x[i] == 4 * (float)(i + 1));
        gone += x[i] == 0;
        both += x[i] == 0 && y[i] == 0;
    }
    assert_true(abs(gone - 3750) < 150); /* 5 standard deviations */
    assert_true(abs(both - 2812) < 180); /* experts are independent */
    memcpy(y, x, sizeof y);
    dare_drop(y, N, 0, s, 2);
    assert_memory_equal(x, y, sizeof x);
    for (int i = 0; i < N; i++)
        y[i] = (float)(i + 1);
    dare_drop(y, 1500, 0.75, s, 0); /* a shorter tensor drops the same entries */
    assert_memory_equal(x, y, 1500 * sizeof *x);
}
static void threads(void **state)
{
    float kept[3][N], x[N];
    for (int n = 1; n <= 4; n += 3) {
        omp_set_num_threads(n);
        draw();
        float *out[3] = {ret, x, tau[2]};
        soup_add(theta, all, K, N, 0.3, ret);
        ties_merge(theta, all, K, N, 0.7, x);
        dare_drop(tau[2], N, 0.9, rng_stream(1, "test.dare"), 2);
        for (int i = 0; i < 3; i++) {
            if (n > 1)
                assert_memory_equal(out[i], kept[i], sizeof x);
            memcpy(kept[i], out[i], sizeof x);
        }
    }
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sums), cmocka_unit_test(trims),
                                       cmocka_unit_test(elects), cmocka_unit_test(drops),
                                       cmocka_unit_test(threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
