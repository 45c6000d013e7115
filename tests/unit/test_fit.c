/* Laws that were planted in noisy runs, some of them disturbed, are found again; and what few runs say. */
#include "engine/exec/fit.h"
#include "tests/test.h"
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define RUNS 32
static const int width[] = {1, 2, 4, 8};

static double uniform(uint64_t seed, int i)
{
    uint64_t x = (seed * 1000003u + (uint64_t)i + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 31)) * 0xbf58476d1ce4e5b9u;
    return (double)((x ^ (x >> 29)) >> 11) * 0x1p-53;
}

/* fixed + slope w seconds on one core, the serial share, 10 % of noise; one run in eight takes 5 times as
 * long. */
static void plant(struct fit_point *p, double serial, double fixed, double slope, bool sizes, uint64_t seed)
{
    for (int i = 0; i < RUNS; i++) {
        double w = sizes ? 1 + 9 * uniform(seed, i) : 3;
        int cores = width[i % 4];
        double t =
            (fixed + slope * w) * (serial + (1 - serial) / cores) * (0.95 + 0.1 * uniform(seed + 77, i));
        p[i] = (struct fit_point){
            .seconds = i % 8 == 5 ? 5 * t : t, .cores = cores, .work = w, .task = sizes ? i : 0};
    }
}

static void near(double got, double want, double by, const char *what)
{
    if (!(fabs(got - want) <= by))
        fail_msg("%s: %g, wanted %g", what, got, want);
}

static void laws(void **state)
{
    static const double serial[] = {0, 0.1, 0.3, 0.7, 1};
    struct fit_point p[RUNS];
    struct fit f;
    for (int s = 0; s < 5; s++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            plant(p, serial[s], 1, 2, false, seed);
            fit_points(p, RUNS, -1, &f);
            near(f.serial, serial[s], 0.06, "serial share of one task");
            assert_true(f.pairs > 100 && f.fixed == 0); /* its works are all the same: no line */
            plant(p, serial[s], 0, 2, true, seed);
            fit_points(p, RUNS, -1, &f);
            near(f.serial, serial[s], 0.08, "serial share over tasks of any size");
            near(fit_scale(&f, 2, 8), 4, 0.5, "proportional");
            plant(p, 0, 10, 2, true, seed);
            for (int i = 0; i < RUNS; i++) {
                p[i].seconds *= p[i].cores;
                p[i].cores = 1;
            }
            fit_points(p, RUNS, -1, &f);
            near(fit_scale(&f, 1, 10), 30. / 12, 0.3, "a line"); /* not 10 */
        }
}

static void one_core(struct fit_point *p, int n, const double *seconds, const double *work)
{
    for (int i = 0; i < n; i++)
        p[i] = (struct fit_point){.seconds = seconds[i], .cores = 1, .work = work[i], .task = i};
}

static void few(void **state)
{
    struct fit_point p[8] = {{0}};
    struct fit f;
    fit_points(p, 0, -1, &f);
    assert_true(f.serial == FIT_SERIAL && !f.pairs && f.fixed == 0);
    one_core(p, 5, (const double[]){3, 4, 5, 6, 7}, (const double[]){1, 2, 3, 4, 5});
    fit_points(p, 5, -1, &f);
    near(f.fixed, 2, 1e-12, "exact line"); /* 2 + w */
    assert_true(f.serial == FIT_SERIAL);   /* one width */
    fit_points(p, 5, 2, &f);
    assert_true(f.fixed == 0); /* without one of them there are four: too few */
    one_core(p, 5, (const double[]){3, 4, 5, 6, 7}, (const double[]){10, 12, 13, 14, 15});
    fit_points(p, 5, -1, &f);
    assert_true(f.fixed == 0); /* too close */
    one_core(p, 5, (const double[]){3, 4, 5, 6, 7}, (const double[]){1, 2, 0, 4, 5});
    fit_points(p, 5, -1, &f);
    assert_true(f.fixed == 0); /* one is not known */
    one_core(p, 6, (const double[]){4, 4, 4, 4, 4, 4}, (const double[]){1, 2, 3, 4, 5, 6});
    fit_points(p, 6, -1, &f);
    near(fit_scale(&f, 1, 60), 1, 1e-4, "work that makes no difference");
    one_core(p, 5, (const double[]){1, 4, 7, 10, 13}, (const double[]){2, 3, 4, 5, 6});
    fit_points(p, 5, -1, &f);
    assert_true(f.fixed == 0); /* -5 + 3 w: nothing takes less than no time */
    assert_true(fit_scale(&f, 0, 7) == 1 && fit_scale(&f, 7, 0) == 1);
    /* two widths of one task, exactly; and times that no share explains */
    p[0] = (struct fit_point){.seconds = 10, .cores = 1};
    p[1] = (struct fit_point){.seconds = 6, .cores = 2};
    fit_points(p, 2, -1, &f);
    near(f.serial, 0.2, 1e-12, "10 s on one core, 6 s on two");
    assert_true(f.pairs == 1);
    near(fit_share(&f, 4), 0.4, 1e-12, "on four");
    fit_points(p, 2, 1, &f);
    assert_true(f.pairs == 0);
    p[1].seconds = 3;
    fit_points(p, 2, -1, &f);
    assert_true(f.serial == 0);
    p[1].seconds = 30;
    fit_points(p, 2, -1, &f);
    assert_true(f.serial == 1);
    /* tasks of equal name count where there are such: other tasks need not be comparable */
    p[1] = (struct fit_point){.seconds = 6, .cores = 2, .work = 1};
    p[0].work = 1;
    p[2] = (struct fit_point){.seconds = 1000, .cores = 4, .work = 1, .task = 1};
    fit_points(p, 3, -1, &f);
    near(f.serial, 0.2, 1e-12, "with another task");
    assert_true(f.pairs == 1);
    p[1].task = 2; /* none: all that have work */
    fit_points(p, 3, -1, &f);
    assert_true(f.pairs == 3);
}

static void order(void **state)
{
    double x[] = {5, 1, 4, 2, 3}, y[] = {2, 1, 4, 3}, z[20];
    assert_true(fit_median(x, 5) == 3 && fit_median(y, 4) == 2.5 && fit_median(y, 0) == 0);
    assert_true(fit_nearly_all(x, 5) == 5 && fit_nearly_all(x, 0) == 0);
    for (int i = 0; i < 20; i++)
        z[i] = (i * 7) % 20;
    assert_true(fit_nearly_all(z, 20) == 17); /* 18 and 19 are above: one in ten */
    assert_true(fit_nearly_all(z, 9) == 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(laws), cmocka_unit_test(few),
                                       cmocka_unit_test(order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
