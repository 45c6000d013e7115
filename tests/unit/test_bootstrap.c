/* Bootstrap draws against what theory says of their means and variances. */
#include "stages/algo/bootstrap.h"
#include <math.h>

#include "tests/test.h"

enum { DRAWS = 4000 };

struct moments {
    double mean, variance;
};
static struct moments moments(const double *v, int n)
{
    struct moments m = {0};
    for (int i = 0; i < n; i++)
        m.mean += v[i] / n;
    for (int i = 0; i < n; i++)
        m.variance += (v[i] - m.mean) * (v[i] - m.mean) / n;
    return m;
}
static void near(double got, double want, double tolerance)
{
    if (fabs(got - want) > tolerance)
        fail_msg("%g, wanted %g", got, want);
}

/* 40 samples; run 0 has 30 right, run 1 20, both 15: their difference has the variance of the pairs, which
 * is that of independent runs less twice the covariance. */
static void samples(void **state)
{
    (void)state;
    enum { N = 40 };
    uint32_t mask[N];
    static double a[DRAWS], d[DRAWS], c[DRAWS];
    for (int i = 0; i < N; i++)
        mask[i] = i < 15 ? 3 : i < 30 ? 1 : i < 35 ? 2 : 0;
    for (int b = 0; b < DRAWS; b++) {
        int64_t right[2];
        struct rng r = rng_at(rng_stream(1, "test"), (uint64_t)b, 0),
                   q = rng_at(rng_stream(1, "t"), (uint64_t)b, 0);
        bootstrap_samples(&r, mask, N, 2, right);
        a[b] = (double)right[0] / N;
        d[b] = (double)(right[0] - right[1]) / N;
        c[b] = (double)bootstrap_count(&q, 30, N) / N;
    }
    struct moments own = moments(a, DRAWS), diff = moments(d, DRAWS), count = moments(c, DRAWS);
    near(own.mean, .75, .005);
    near(own.variance, .75 * .25 / N, .0004);
    near(count.mean, .75, .005);
    near(count.variance, .75 * .25 / N, .0004);
    near(diff.mean, .25, .006);
    near(diff.variance, (20. / N - .25 * .25) / N, .0008);
}
/* The mean of drawn runs varies as the mean of so many independent runs does. */
static void runs(void **state)
{
    (void)state;
    const double value[3] = {1, 2, 6};
    static double v[DRAWS];
    double weight[3], sum;
    for (int b = 0; b < DRAWS; b++) {
        struct rng r = rng_at(rng_stream(2, "test"), (uint64_t)b, 0);
        bootstrap_runs(&r, 3, weight);
        v[b] = sum = 0;
        for (int i = 0; i < 3; i++) {
            v[b] += weight[i] * value[i];
            sum += weight[i];
        }
        near(sum, 1, 1e-12);
    }
    struct moments m = moments(v, DRAWS);
    near(m.mean, 3, .08);
    near(m.variance, 7. / 3, .12); /* sample variance 7 over 3 runs */
    struct rng r = rng_at(rng_stream(2, "test"), 0, 0);
    bootstrap_runs(&r, 1, weight);
    assert_true(weight[0] == 1);
}
static void interval(void **state)
{
    (void)state;
    double v[200];
    for (int i = 0; i < 200; i++)
        v[i] = i * 7 % 200;
    struct bootstrap_interval x = bootstrap_interval(v, 200, .95);
    assert_true(x.low == 5 && x.high == 194);
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(samples), cmocka_unit_test(runs),
                                       cmocka_unit_test(interval)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
