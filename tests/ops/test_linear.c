/* linear.c: values, gradients by differences, thread counts. */
#include "tests/ops/check.h"
#include "tests/ops/reference.h"

struct layer {
    int64_t rows, in, out;
    struct pair x, w, b, dy;
    bool bias;
};
static struct layer layer_new(int64_t rows, int64_t in, int64_t out, bool bias)
{
    return (struct layer){.rows = rows,
                          .in = in,
                          .out = out,
                          .x = pair_new(rows * in, 0, 1),
                          .w = pair_new(out * in, 0, 1),
                          .b = pair_new(out, 0, 1),
                          .dy = pair_new(rows * out, 0, 1),
                          .bias = bias};
}
static void layer_free(struct layer *l)
{
    pair_free(&l->x);
    pair_free(&l->w);
    pair_free(&l->b);
    pair_free(&l->dy);
}
static struct linear layer_linear(const struct layer *l, float *wg, float *bg)
{
    return (struct linear){{l->w.f, wg, l->out, l->in},
                           {l->bias ? l->b.f : NULL, l->bias ? bg : NULL, l->out, 1}};
}
static double loss(void *arg)
{
    struct layer *l = arg;
    double *y = doubles(l->rows * l->out), sum = 0;
    ref_linear(l->x.d, l->w.d, l->bias ? l->b.d : NULL, l->rows, l->in, l->out, y);
    for (int64_t i = 0; i < l->rows * l->out; i++)
        sum += y[i] * l->dy.d[i];
    free(y);
    return sum;
}

static void values(void **state)
{
    (void)state;
    check_seed("linear.values");
    for (int i = 0; i < 20; i++) {
        struct layer l = layer_new(check_between(1, 70), check_between(1, 40), check_between(1, 40), i % 2);
        struct linear w = layer_linear(&l, NULL, NULL);
        int64_t n = l.rows * l.out;
        double *want = doubles(n);
        float *y = floats(n, NAN);
        ref_linear(l.x.d, l.w.d, l.bias ? l.b.d : NULL, l.rows, l.in, l.out, want);
        linear_forward(&w, l.x.f, l.rows, y, false);
        check_close("y", y, want, n, 2e-6);
        linear_forward(&w, l.x.f, l.rows, y, true);
        for (int64_t j = 0; j < n; j++)
            want[j] *= 2;
        check_close("y accumulated", y, want, n, 2e-6);
        free(want);
        free(y);
        layer_free(&l);
    }
}

/* Gradients join what is there already: every buffer starts at 1. */
static void compare(const char *what, struct layer *l, struct pair *p, const float *got)
{
    double *want = doubles(p->n);
    check_differences(loss, l, p->d, p->n, want);
    for (int64_t i = 0; i < p->n; i++)
        want[i] += 1;
    check_close(what, got, want, p->n, 2e-6);
    free(want);
}
static void gradients(void **state)
{
    (void)state;
    check_seed("linear.gradients");
    for (int i = 0; i < 8; i++) {
        struct layer l = layer_new(check_between(1, 37), check_between(1, 9), check_between(1, 9), i % 2);
        float *wg = floats(l.w.n, 1), *bg = floats(l.b.n, 1), *dx = floats(l.x.n, 1);
        struct linear w = layer_linear(&l, wg, bg);
        linear_backward(&w, l.x.f, l.dy.f, l.rows, dx);
        compare("dx", &l, &l.x, dx);
        compare("dw", &l, &l.w, wg);
        if (l.bias)
            compare("db", &l, &l.b, bg);
        linear_input_gradient(&w, l.dy.f, l.rows, dx, false);
        for (int64_t j = 0; j < l.x.n; j++)
            dx[j] += 1;
        compare("dx alone", &l, &l.x, dx);
        linear_backward(&w, NULL, l.dy.f, l.rows, NULL); /* neither x nor dx: only db moves */
        compare("dw unmoved", &l, &l.w, wg);
        free(wg);
        free(bg);
        free(dx);
        layer_free(&l);
    }
}

static void run(void *arg, float *out)
{
    struct layer *l = arg;
    float *wg = out, *bg = wg + l->w.n, *dx = bg + l->b.n, *y = dx + l->x.n;
    struct linear w = layer_linear(l, wg, bg);
    linear_forward(&w, l->x.f, l->rows, y, false);
    linear_backward(&w, l->x.f, l->dy.f, l->rows, dx);
}
static void threads(void **state)
{
    (void)state;
    check_seed("linear.threads");
    struct layer l = layer_new(513, 130, 97, true);
    check_threads("linear", run, &l, l.w.n + l.b.n + l.x.n + l.dy.n);
    layer_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(gradients),
                                       cmocka_unit_test(threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
