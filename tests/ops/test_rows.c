/* softmax.c, unit.c and elementwise.c: values, gradients by differences, thread counts. */
#include "tests/ops/check.h"
#include "tests/ops/reference.h"

struct rows {
    int64_t rows, n;
    struct pair x, dy;
    int64_t *label;
};
static struct rows rows_new(int64_t rows, int64_t n, double spread)
{
    struct rows r = {.rows = rows, .n = n, .label = xmalloc((size_t)rows * sizeof *r.label)};
    r.x = pair_new(rows * n, 0, spread);
    r.dy = pair_new(rows * n, 0, 1);
    for (int64_t i = 0; i < rows; i++)
        r.label[i] = check_between(0, n - 1);
    return r;
}
static void rows_free(struct rows *r)
{
    pair_free(&r->x);
    pair_free(&r->dy);
    free(r->label);
}
static void ref_softmax(const double *x, int64_t n, double *y)
{
    double sum = 0, max = x[0];
    for (int64_t i = 0; i < n; i++)
        max = fmax(max, x[i]);
    for (int64_t i = 0; i < n; i++)
        sum += y[i] = exp(x[i] - max);
    for (int64_t i = 0; i < n; i++)
        y[i] /= sum;
}
static double entropy(void *arg)
{
    struct rows *r = arg;
    double *p = doubles(r->n), sum = 0;
    for (int64_t i = 0; i < r->rows; i++) {
        ref_softmax(r->x.d + i * r->n, r->n, p);
        sum -= log(p[r->label[i]]) / (double)r->rows;
    }
    free(p);
    return sum;
}
static double unit_loss(void *arg)
{
    struct rows *r = arg;
    double sum = 0;
    for (int64_t i = 0; i < r->rows; i++) {
        double square = 0, dot = 0;
        for (int64_t j = 0; j < r->n; j++) {
            square += r->x.d[i * r->n + j] * r->x.d[i * r->n + j];
            dot += r->x.d[i * r->n + j] * r->dy.d[i * r->n + j];
        }
        sum += dot / sqrt(square);
    }
    return sum;
}

static void softmax(void **state)
{
    (void)state;
    check_seed("rows.softmax");
    for (int i = 0; i < 12; i++) {
        struct rows r = rows_new(check_between(1, 30), check_between(2, 60), i % 2 ? 8 : 1);
        double *want = doubles(r.x.n), *grad = doubles(r.x.n);
        float *d = floats(r.x.n, NAN);
        double loss = entropy(&r);
        check_differences(entropy, &r, r.x.d, r.x.n, grad);
        float got = cross_entropy(r.x.f, r.label, r.rows, r.n, d);
        assert_true(fabs((double)got - loss) <= 1e-6 * (1 + loss));
        check_close("dlogits", d, grad, r.x.n, 1e-5);
        for (int64_t j = 0; j < r.rows; j++)
            ref_softmax(r.x.d + j * r.n, r.n, want + j * r.n);
        assert_true(cross_entropy(r.x.f, r.label, r.rows, r.n, NULL) == got);
        softmax_rows(r.x.f, r.rows, r.n);
        check_close("softmax", r.x.f, want, r.x.n, 2e-6);
        free(want);
        free(grad);
        free(d);
        rows_free(&r);
    }
}
/* One class is certain; logits far apart give a large loss, not an infinite one. */
static void entropy_edges(void **state)
{
    (void)state;
    float one[2] = {5, -7}, d[2];
    const int64_t none[2] = {0, 0}, second[1] = {1};
    assert_true(cross_entropy(one, none, 2, 1, d) == 0 && d[0] == 0 && d[1] == 0);
    softmax_rows(one, 2, 1);
    assert_true(one[0] == 1 && one[1] == 1);
    float far[2] = {1e4f, -1e4f};
    assert_true(cross_entropy(far, second, 1, 2, d) == 2e4f && d[0] == 1 && d[1] == -1);
}
static void entropy_in_place(void **state)
{
    (void)state;
    check_seed("rows.place");
    struct rows r = rows_new(7, 11, 2);
    float *d = floats(r.x.n, NAN);
    float loss = cross_entropy(r.x.f, r.label, r.rows, r.n, d);
    assert_true(cross_entropy(r.x.f, r.label, r.rows, r.n, r.x.f) == loss);
    assert_memory_equal(d, r.x.f, (size_t)r.x.n * sizeof *d);
    free(d);
    rows_free(&r);
}
static void unit(void **state)
{
    (void)state;
    check_seed("rows.unit");
    for (int i = 0; i < 10; i++) {
        struct rows r = rows_new(check_between(1, 20), check_between(2, 40), 3);
        float *y = floats(r.x.n, NAN), *norm = floats(r.rows, NAN), *d = floats(r.x.n, NAN);
        double *grad = doubles(r.x.n);
        unit_forward(r.x.f, r.rows, r.n, y, norm);
        for (int64_t j = 0; j < r.rows; j++) {
            assert_true(fabs(sqrt(dot_double(y + j * r.n, y + j * r.n, r.n)) - 1) < 1e-6);
            for (int64_t k = 0; k < r.n; k++)
                assert_true(fabsf(y[j * r.n + k] * norm[j] - r.x.f[j * r.n + k]) <= 1e-6f * norm[j]);
        }
        check_differences(unit_loss, &r, r.x.d, r.x.n, grad);
        unit_backward(y, norm, r.dy.f, r.rows, r.n, d);
        check_close("dx", d, grad, r.x.n, 1e-5);
        unit_backward(y, norm, r.dy.f, r.rows, r.n, r.dy.f);
        assert_memory_equal(d, r.dy.f, (size_t)r.x.n * sizeof *d);
        free(y);
        free(norm);
        free(d);
        free(grad);
        rows_free(&r);
    }
    float zero[3] = {0}, y[3], norm[1], dy[3] = {1, 2, 3};
    unit_forward(zero, 1, 3, y, norm);
    unit_backward(y, norm, dy, 1, 3, dy);
    for (int i = 0; i < 3; i++)
        assert_true(y[i] == 0 && dy[i] == 0);
}
static void elementwise(void **state)
{
    (void)state;
    check_seed("rows.elementwise");
    for (int i = 0; i < 6; i++) {
        int64_t rows = i ? check_between(1, 300) : 1, n = i ? check_between(1, 200) : 1;
        struct pair x = pair_new(rows * n, 0, 1), y = pair_new(rows * n, 0, 1), acc = pair_new(n, 0, 1);
        double dot = 0;
        for (int64_t j = 0; j < x.n; j++) {
            dot += x.d[j] * y.d[j];
            acc.d[j % n] += x.d[j];
        }
        assert_true(fabs(dot_double(x.f, y.f, x.n) - dot) <= 1e-9 * (double)x.n);
        column_sums(x.f, rows, n, acc.f);
        check_close("column sums", acc.f, acc.d, n, 1e-6);
        add_into(y.f, x.f, x.n);
        scale_into(y.f, 0.5f, x.n);
        add_row(y.f, acc.f, rows, n);
        for (int64_t j = 0; j < x.n; j++)
            y.d[j] = (y.d[j] + x.d[j]) * 0.5 + acc.d[j % n];
        check_close("add, scale, add row", y.f, y.d, x.n, 1e-6);
        pair_free(&x);
        pair_free(&y);
        pair_free(&acc);
    }
}

static void run(void *arg, float *out)
{
    struct rows *r = arg;
    int64_t n = r->x.n;
    float *d = out, *p = d + n, *y = p + n, *du = y + n, *norm = du + n, *sums = norm + r->rows;
    sums[r->n] = cross_entropy(r->x.f, r->label, r->rows, r->n, d);
    memcpy(p, r->x.f, (size_t)n * sizeof *p);
    softmax_rows(p, r->rows, r->n);
    add_into(p, r->x.f, n);
    scale_into(p, 0.7f, n);
    add_row(p, r->dy.f, r->rows, r->n);
    unit_forward(r->x.f, r->rows, r->n, y, norm);
    unit_backward(y, norm, r->dy.f, r->rows, r->n, du);
    column_sums(p, r->rows, r->n, sums);
}
static void threads(void **state)
{
    (void)state;
    check_seed("rows.threads");
    struct rows r = rows_new(301, 137, 2);
    check_threads("rows", run, &r, 4 * r.x.n + r.rows + r.n + 1);
    rows_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(softmax),          cmocka_unit_test(entropy_edges),
                                       cmocka_unit_test(entropy_in_place), cmocka_unit_test(unit),
                                       cmocka_unit_test(elementwise),      cmocka_unit_test(threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
