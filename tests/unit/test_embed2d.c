/* Points on a plane: principal components against the covariance, t-SNE against its own definition. */
#include "base/rng.h"
#include "stages/algo/embed2d.h"
#include <math.h>
#include <omp.h>
#include <string.h>

#include "tests/test.h"

enum { N = 60, D = 10 };
static struct arena arena;
static float x[N * D];

/* Three clusters of 20 in 10 dimensions. */
static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    for (int i = 0; i < N; i++) {
        struct rng r = rng_at(rng_stream(5, "test.embed2d"), (uint64_t)i, 0);
        for (int j = 0; j < D; j++)
            x[i * D + j] = 0.3f * rng_normal(&r) + (j == i / 20 ? 3.0f : 0) + (float)j;
    }
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

/* The columns' directions are eigenvectors: variance along them is the covariance's eigenvalue, they do not
 * correlate, and no direction drawn at random has more than the first. */
static void test_pca(void **state)
{
    (void)state;
    static double y[N * 2], one[N * 2];
    omp_set_num_threads(1);
    assert_true(embed2d_pca(x, N, D, &arena, one, NULL));
    omp_set_num_threads(3);
    assert_true(embed2d_pca(x, N, D, &arena, y, NULL));
    assert_memory_equal(y, one, sizeof y);
    double mean[D] = {0}, load[2][D] = {{0}}, var[2] = {0}, cross = 0;
    for (int i = 0; i < N * D; i++)
        mean[i % D] += (double)x[i] / N;
    for (int i = 0; i < N; i++) {
        cross += y[2 * i] * y[2 * i + 1];
        for (int c = 0; c < 2; c++) {
            var[c] += y[2 * i + c] * y[2 * i + c];
            for (int j = 0; j < D; j++)
                load[c][j] += y[2 * i + c] * ((double)x[i * D + j] - mean[j]);
        }
    }
    assert_true(var[0] > var[1] && var[1] > 0 && fabs(cross) < 1e-6 * var[0]);
    for (int c = 0; c < 2; c++) { /* X^T y = var * direction, and the direction has length 1 */
        double square = 0, peak = 0;
        for (int j = 0; j < D; j++) {
            load[c][j] /= var[c];
            square += load[c][j] * load[c][j];
            peak = fabs(load[c][j]) > fabs(peak) ? load[c][j] : peak;
        }
        assert_true(fabs(square - 1) < 1e-9 && peak > 0);
        for (int i = 0; i < N; i++) {
            double s = 0;
            for (int j = 0; j < D; j++)
                s += load[c][j] * ((double)x[i * D + j] - mean[j]);
            assert_true(fabs(s - y[2 * i + c]) < 1e-6);
        }
    }
    for (int turn = 0; turn < 200; turn++) { /* Courant and Fischer: two directions hold no more than these */
        struct rng r = rng_at(rng_stream(6, "test.embed2d"), (uint64_t)turn, 0);
        double v[D], length = 0, sum = 0;
        for (int j = 0; j < D; j++) {
            v[j] = (double)rng_normal(&r);
            length += v[j] * v[j];
        }
        for (int i = 0; i < N; i++) {
            double s = 0;
            for (int j = 0; j < D; j++)
                s += v[j] * ((double)x[i * D + j] - mean[j]);
            sum += s * s / length;
        }
        assert_true(sum <= var[0] * (1 + 1e-9));
    }
}
/* Fewer dimensions than a plane has, and points that are all the same. */
static void test_pca_poor(void **state)
{
    (void)state;
    const float line[4] = {1, 2, 3, 6}, same[6] = {2, 5, 2, 5, 2, 5};
    double y[8];
    assert_true(embed2d_pca(line, 4, 1, &arena, y, NULL));
    for (int i = 0; i < 4; i++)
        assert_true(fabs(y[2 * i] - ((double)line[i] - 3)) < 1e-12 && y[2 * i + 1] == 0);
    assert_true(embed2d_pca(same, 3, 2, &arena, y, NULL));
    for (int i = 0; i < 6; i++)
        assert_true(y[i] == 0);
}

/* ---- t-SNE ---- */

static double square_distance(const float *a, const float *b)
{
    double s = 0;
    for (int j = 0; j < D; j++)
        s += ((double)a[j] - (double)b[j]) * ((double)a[j] - (double)b[j]);
    return s;
}
/* p (N,N) by the definition, each width by plain bisection. */
static void naive_p(double *p, double perplexity)
{
    static double c[N][N];
    for (int i = 0; i < N; i++) {
        double low = 1e-6, high = 1e6;
        for (int turn = 0; turn < 200; turn++) {
            double beta = sqrt(low * high), sum = 0, h = 0;
            for (int j = 0; j < N; j++)
                sum += c[i][j] = j == i ? 0 : exp(-beta * square_distance(x + i * D, x + j * D));
            for (int j = 0; j < N; j++) {
                c[i][j] = sum > 0 ? c[i][j] / sum : 0;
                h -= c[i][j] > 0 ? c[i][j] * log(c[i][j]) : 0;
            }
            if (sum > 0 && h > log(perplexity))
                low = beta;
            else
                high = beta;
        }
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            p[i * N + j] = fmax((c[i][j] + c[j][i]) / (2 * N), 1e-12);
}
static double naive_kl(const double *p, const double *y)
{
    double z = 0, kl = 0;
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                double u = y[2 * i] - y[2 * j], v = y[2 * i + 1] - y[2 * j + 1], w = 1 / (1 + u * u + v * v);
                if (i != j && turn == 0)
                    z += w;
                else if (i != j)
                    kl += p[i * N + j] * log(p[i * N + j] / (w / z));
            }
    return kl;
}
static void test_tsne(void **state)
{
    (void)state;
    static double y[N * 2], again[N * 2], p[N * N];
    double kl, kl_again, kl_few;
    struct tsne_options o = {.perplexity = 8, .iterations = 300};
    omp_set_num_threads(2);
    assert_true(embed2d_tsne(x, N, D, &o, &arena, y, &kl_few, NULL));
    o.iterations = 1500;
    assert_true(embed2d_tsne(x, N, D, &o, &arena, y, &kl, NULL));
    omp_set_num_threads(1);
    assert_true(embed2d_tsne(x, N, D, &o, &arena, again, &kl_again, NULL));
    assert_memory_equal(y, again, sizeof y);
    assert_true(kl == kl_again && kl < kl_few);
    naive_p(p, 8);
    if (fabs(naive_kl(p, y) - kl) > 1e-4 * kl)
        fail_msg("KL %g, by the definition %g", kl, naive_kl(p, y));
    /* A minimum: moving any point makes it worse. */
    for (int k = 0; k < 2 * N; k++)
        for (int sign = -1; sign <= 1; sign += 2) {
            double keep = y[k];
            y[k] += sign * 0.05;
            assert_true(naive_kl(p, y) > kl - 1e-6);
            y[k] = keep;
        }
    for (int i = 0; i < N; i++) { /* the nearest point is of the same cluster */
        int best = -1;
        double least = INFINITY;
        for (int j = 0; j < N; j++) {
            double far = hypot(y[2 * i] - y[2 * j], y[2 * i + 1] - y[2 * j + 1]);
            if (j != i && far < least)
                least = far, best = j;
        }
        assert_int_equal(best / 20, i / 20);
    }
}
static void test_tsne_refuses(void **state)
{
    (void)state;
    double y[N * 2], kl;
    struct error err;
    struct tsne_options o = {.perplexity = 30, .iterations = 10};
    assert_false(embed2d_tsne(x, N, D, &o, &arena, y, &kl, &err));
    assert_non_null(strstr(err.text, "a perplexity of 30 needs more than 90 points, there are 60"));
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pca), cmocka_unit_test(test_pca_poor),
                                       cmocka_unit_test(test_tsne), cmocka_unit_test(test_tsne_refuses)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
