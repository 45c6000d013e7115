/* norm.c: values, gradients by differences, rows that are hard to normalise, thread counts. */
#include "tests/ops/check.h"
#include "tests/ops/reference.h"

#define EPS 1e-3f

struct layer {
    int64_t rows, c;
    struct pair x, w, b, dy;
};
static struct layer layer_new(int64_t rows, int64_t c, double mean)
{
    return (struct layer){.rows = rows,
                          .c = c,
                          .x = pair_new(rows * c, mean, 1),
                          .w = pair_new(c, 1, 0.3),
                          .b = pair_new(c, 0, 1),
                          .dy = pair_new(rows * c, 0, 1)};
}
static void layer_free(struct layer *l)
{
    pair_free(&l->x);
    pair_free(&l->w);
    pair_free(&l->b);
    pair_free(&l->dy);
}
static struct norm layer_norm(const struct layer *l, float *wg, float *bg)
{
    return (struct norm){{l->w.f, wg, l->c, 1}, {l->b.f, bg, l->c, 1}, EPS};
}
static double loss(void *arg)
{
    struct layer *l = arg;
    double *y = doubles(l->x.n), sum = 0;
    ref_layernorm(l->x.d, l->w.d, l->b.d, (double)EPS, l->rows, l->c, y);
    for (int64_t i = 0; i < l->x.n; i++)
        sum += y[i] * l->dy.d[i];
    free(y);
    return sum;
}
/* out: y, dx, dw, db, mean, rstd */
static void run(void *arg, float *out)
{
    struct layer *l = arg;
    float *y = out, *dx = y + l->x.n, *wg = dx + l->x.n, *bg = wg + l->c, *mean = bg + l->c,
          *rstd = mean + l->rows;
    struct norm n = layer_norm(l, wg, bg);
    layernorm_forward(&n, l->x.f, l->rows, y, mean, rstd);
    layernorm_backward(&n, l->x.f, mean, rstd, l->dy.f, l->rows, dx);
}
static int64_t run_floats(const struct layer *l)
{
    return 2 * l->x.n + 2 * l->c + 2 * l->rows;
}

static void values(void **state)
{
    (void)state;
    check_seed("norm.values");
    for (int i = 0; i < 12; i++) {
        struct layer l = layer_new(check_between(1, 40), i ? check_between(1, 150) : 1, i % 3 * 10);
        struct norm n = layer_norm(&l, NULL, NULL);
        double *want = doubles(l.x.n);
        float *y = floats(l.x.n, NAN);
        ref_layernorm(l.x.d, l.w.d, l.b.d, (double)EPS, l.rows, l.c, want);
        layernorm_forward(&n, l.x.f, l.rows, y, NULL, NULL);
        check_close("y", y, want, l.x.n, 3e-6);
        free(want);
        free(y);
        layer_free(&l);
    }
}
static void gradients(void **state)
{
    (void)state;
    check_seed("norm.gradients");
    for (int i = 0; i < 8; i++) {
        struct layer l = layer_new(check_between(1, 70), check_between(2, 20), 0.5);
        float *out = floats(run_floats(&l), 0);
        double *want = doubles(l.x.n);
        run(&l, out);
        check_differences(loss, &l, l.x.d, l.x.n, want);
        check_close("dx", out + l.x.n, want, l.x.n, 1e-5);
        check_differences(loss, &l, l.w.d, l.c, want);
        check_close("dw", out + 2 * l.x.n, want, l.c, 1e-5);
        check_differences(loss, &l, l.b.d, l.c, want);
        check_close("db", out + 2 * l.x.n + l.c, want, l.c, 1e-5);
        free(out);
        free(want);
        layer_free(&l);
    }
}
/* A row without variance, of many entries or of one, becomes b, and its gradient stays finite. */
static void constant_row(void **state)
{
    (void)state;
    check_seed("norm.constant");
    for (int64_t c = 1; c <= 33; c += 32) {
        struct layer l = layer_new(1, c, 0);
        float *out = floats(run_floats(&l), 0);
        for (int64_t i = 0; i < c; i++)
            l.x.f[i] = 3;
        run(&l, out);
        for (int64_t i = 0; i < c; i++) {
            assert_true(fabsf(out[i] - l.b.f[i]) < 1e-4f);
            assert_true(isfinite(out[c + i]));
        }
        free(out);
        layer_free(&l);
    }
}
static void threads(void **state)
{
    (void)state;
    check_seed("norm.threads");
    struct layer l = layer_new(333, 131, 0);
    check_threads("layer norm", run, &l, run_floats(&l));
    layer_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(gradients),
                                       cmocka_unit_test(constant_row), cmocka_unit_test(threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
