/* gemm.c against three loops in double; the same bits for any thread count. */
#include "stages/tensor/gemm.h"
#include "tests/ops/check.h"

struct product {
    bool ta, tb;
    int64_t m, n, k, lda, ldb, ldc;
    float alpha, beta;
    struct pair a, b, c;
};
static struct product product_new(int64_t m, int64_t n, int64_t k)
{
    struct product p = {.ta = check_between(0, 1), .tb = check_between(0, 1), .m = m, .n = n, .k = k};
    p.lda = (p.ta ? m : k) + check_between(0, 3);
    p.ldb = (p.tb ? k : n) + check_between(0, 3);
    p.ldc = n + check_between(0, 3);
    p.alpha = check_between(0, 1) ? 1 : 0.5f;
    p.beta = (float)check_between(0, 2) / 2;
    p.a = pair_new((p.ta ? k : m) * p.lda, 0, 1);
    p.b = pair_new((p.tb ? n : k) * p.ldb, 0, 1);
    p.c = pair_new(m * p.ldc, 0, 1);
    return p;
}
static void product_free(struct product *p)
{
    pair_free(&p->a);
    pair_free(&p->b);
    pair_free(&p->c);
}
static void run(void *arg, float *out)
{
    struct product *p = arg;
    memcpy(out, p->c.f, (size_t)p->c.n * sizeof *out);
    gemm(p->ta, p->tb, p->m, p->n, p->k, p->alpha, p->a.f, p->lda, p->b.f, p->ldb, p->beta, out, p->ldc);
}
static void reference(struct product *p)
{
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            double sum = 0, *c = &p->c.d[i * p->ldc + j];
            for (int64_t l = 0; l < p->k; l++)
                sum += p->a.d[p->ta ? l * p->lda + i : i * p->lda + l] *
                       p->b.d[p->tb ? j * p->ldb + l : l * p->ldb + j];
            *c = (double)p->alpha * sum + (double)p->beta * *c;
        }
}

static void shapes(void **state)
{
    (void)state;
    check_seed("gemm.shapes");
    for (int i = 0; i < 120; i++) {
        int64_t top = i < 90 ? 20 : 150;
        struct product p = product_new(check_between(1, top), check_between(1, top), check_between(1, top));
        float *got = floats(p.c.n, 0);
        run(&p, got);
        reference(&p);
        check_close("product", got, p.c.d, p.c.n, 2e-6);
        free(got);
        product_free(&p);
    }
}
/* One side short and K long, as in LoRA and its gradients. */
static void thin(void **state)
{
    (void)state;
    check_seed("gemm.thin");
    for (int i = 0; i < 24; i++) {
        int64_t small = check_between(1, 33), large = check_between(34, 700);
        struct product p = product_new(i % 2 ? small : large, i % 2 ? large : small, check_between(1, 1300));
        float *got = floats(p.c.n, 0);
        run(&p, got);
        check_threads("thin product", run, &p, p.c.n);
        reference(&p);
        check_close("thin product", got, p.c.d, p.c.n, 2e-6);
        free(got);
        product_free(&p);
    }
}
static void threads(void **state)
{
    (void)state;
    check_seed("gemm.threads");
    for (int i = 0; i < 60; i++) {
        int64_t thin = i % 3 ? 300 : 16;
        struct product p = product_new(check_between(1, 300), check_between(1, thin), check_between(1, 800));
        check_threads("product", run, &p, p.c.n);
        product_free(&p);
    }
}
static void empty(void **state)
{
    (void)state;
    float c[6] = {1, 2, 3, 4, 5, 6};
    gemm(false, false, 0, 3, 2, 1, NULL, 2, NULL, 3, 0, c, 3);
    gemm(false, false, 2, 0, 2, 1, NULL, 2, NULL, 1, 0, c, 3);
    assert_true(c[0] == 1 && c[5] == 6);
    gemm(false, true, 2, 2, 0, 1, NULL, 1, NULL, 1, 0.5f, c, 3);
    assert_true(c[0] == 0.5f && c[1] == 1 && c[2] == 3 && c[3] == 2 && c[4] == 2.5f && c[5] == 6);
}
/* beta = 0 writes C whatever was there before. */
static void overwrites(void **state)
{
    (void)state;
    float a[2] = {1, 2}, b[2] = {3, 4}, c[4] = {NAN, INFINITY, NAN, NAN};
    gemm(false, false, 2, 2, 1, 1, a, 1, b, 2, 0, c, 2);
    assert_true(c[0] == 3 && c[1] == 4 && c[2] == 6 && c[3] == 8);
    c[0] = NAN;
    gemm(false, false, 2, 2, 0, 1, a, 1, b, 2, 0, c, 2);
    assert_true(c[0] == 0 && c[3] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes), cmocka_unit_test(thin),
                                       cmocka_unit_test(threads), cmocka_unit_test(empty),
                                       cmocka_unit_test(overwrites)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
