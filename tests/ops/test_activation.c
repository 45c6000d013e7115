/* vexp.h against the library's double exp; activation.c: values, slopes by differences, thread counts. */
#include "stages/tensor/vexp.h"
#include "tests/ops/check.h"
#include "tests/ops/reference.h"

#define MANY 20001

static void exponential(void **state)
{
    (void)state;
    double worst = 0;
    for (int64_t i = 0; i <= 2000000; i++) {
        float x = -87.3f + (float)i * (175.6f / 2000000);
        double want = exp((double)(x < 88.3f ? x : 88.3f)), error = fabs((double)vexp(x) - want) / want;
        worst = error > worst ? error : worst;
    }
    if (worst > 2 * 0x1p-23)
        fail_msg("relative error %.3g", worst);
    assert_true(vexp(0) == 1);
    assert_true(vexp(-1000) < 2e-38f && vexp(-INFINITY) > 0 && isfinite(vexp(INFINITY)));
    assert_true(isnan(vexp(NAN)));
}
static void values_and_slopes(void **state)
{
    (void)state;
    check_seed("activation");
    struct pair x = pair_new(MANY, 0, 4), dy = pair_new(MANY, 0, 1);
    float *y = floats(MANY, NAN), *dx = floats(MANY, NAN), *again = floats(MANY, NAN);
    double *want = doubles(MANY), *slope = doubles(MANY);
    for (enum activation act = ACT_QUICK_GELU; act <= ACT_SILU; act++) {
        for (int64_t i = 0; i < MANY; i++) {
            double up = ref_activation(act, x.d[i] + 1e-5), down = ref_activation(act, x.d[i] - 1e-5);
            want[i] = ref_activation(act, x.d[i]);
            slope[i] = dy.d[i] * (up - down) / 2e-5;
        }
        activation_forward(act, x.f, MANY, y);
        check_close("y", y, want, MANY, 1e-6);
        activation_backward(act, x.f, dy.f, MANY, dx);
        check_close("dx", dx, slope, MANY, 2e-6);
        memcpy(dx, dy.f, MANY * sizeof *dx);
        activation_backward_again(act, x.f, dx, MANY, dx, again);
        check_close("dx in place", dx, slope, MANY, 2e-6);
        assert_memory_equal(again, y, MANY * sizeof *y);
    }
    free(y);
    free(dx);
    free(again);
    free(want);
    free(slope);
    pair_free(&x);
    pair_free(&dy);
}
static void bias(void **state)
{
    (void)state;
    check_seed("activation.bias");
    int64_t rows = 77, n = 53;
    struct pair x = pair_new(rows * n, 0, 1), b = pair_new(n, 0, 1);
    double *sum = doubles(x.n), *want = doubles(x.n);
    for (int64_t i = 0; i < x.n; i++) {
        sum[i] = x.d[i] + b.d[i % n];
        want[i] = ref_activation(ACT_QUICK_GELU, sum[i]);
    }
    float *y = floats(x.n, NAN);
    bias_activation(ACT_QUICK_GELU, x.f, b.f, rows, n, y);
    check_close("x + bias", x.f, sum, x.n, 1e-6);
    check_close("act(x + bias)", y, want, x.n, 1e-6);
    bias_activation(ACT_QUICK_GELU, x.f, NULL, rows, n, x.f);
    assert_memory_equal(x.f, y, (size_t)x.n * sizeof *y);
    free(sum);
    free(want);
    free(y);
    pair_free(&x);
    pair_free(&b);
}
/* Far out the functions are 0 or x, never NaN. */
static void extremes(void **state)
{
    (void)state;
    const float x[4] = {-1e4f, 1e4f, -100, 100}, dy[4] = {1, 1, 1, 1};
    for (enum activation act = ACT_QUICK_GELU; act <= ACT_SILU; act++) {
        float y[4], dx[4];
        activation_forward(act, x, 4, y);
        activation_backward(act, x, dy, 4, dx);
        for (int i = 0; i < 4; i++) {
            assert_true(fabsf(y[i] - (i % 2 ? x[i] : 0)) < 1e-20f);
            assert_true(fabsf(dx[i] - (float)(i % 2)) < 1e-20f);
        }
    }
}
static void run(void *arg, float *out)
{
    struct pair *x = arg;
    for (enum activation act = ACT_QUICK_GELU; act <= ACT_SILU; act++, out += 4 * x->n) {
        activation_forward(act, x->f, x->n, out);
        activation_backward(act, x->f, x->f, x->n, out + x->n);
        memcpy(out + 2 * x->n, x->f, (size_t)x->n * sizeof *out);
        bias_activation(act, out + 2 * x->n, x->f, 3, x->n / 3, out + 3 * x->n);
    }
}
static void threads(void **state)
{
    (void)state;
    check_seed("activation.threads");
    struct pair x = pair_new(MANY, 0, 2);
    check_threads("activation", run, &x, 12 * MANY);
    pair_free(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(exponential), cmocka_unit_test(values_and_slopes),
                                       cmocka_unit_test(bias), cmocka_unit_test(extremes),
                                       cmocka_unit_test(threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
