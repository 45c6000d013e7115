/* attention.c and tile.c: values, gradients by differences, thread counts; all tokens or the first ones
 * asking. */
#include "stages/tensor/tile.h"
#include "tests/ops/check.h"
#include "tests/ops/reference.h"

struct heads {
    int64_t batch, tq, t, heads, dim;
    bool causal;
    struct pair q, k, v, dy;
    int64_t np; /* probabilities */
};
static struct heads heads_new(int64_t batch, int64_t tq, int64_t t, int64_t heads, int64_t dim, bool causal)
{
    int64_t nq = batch * tq * heads * dim, n = batch * t * heads * dim;
    struct heads h = {batch, tq, t, heads, dim, causal, .np = batch * heads * tq * t};
    h.q = pair_new(nq, 0, 1);
    h.k = pair_new(n, 0, 1);
    h.v = pair_new(n, 0, 1);
    h.dy = pair_new(nq, 0, 1);
    return h;
}
static void heads_free(struct heads *h)
{
    pair_free(&h->q);
    pair_free(&h->k);
    pair_free(&h->v);
    pair_free(&h->dy);
}
static double loss(void *arg)
{
    struct heads *h = arg;
    double *y = doubles(h->q.n), sum = 0;
    ref_attention(h->q.d, h->k.d, h->v.d, h->batch, h->tq, h->t, h->heads, h->dim, h->causal, y, NULL);
    for (int64_t i = 0; i < h->q.n; i++)
        sum += y[i] * h->dy.d[i];
    free(y);
    return sum;
}
/* out: y, probs, dq, dk, dv */
static void run(void *arg, float *out)
{
    struct heads *h = arg;
    float *y = out, *probs = y + h->q.n, *dq = probs + h->np, *dk = dq + h->q.n, *dv = dk + h->k.n;
    attention_forward(h->q.f, h->k.f, h->v.f, h->batch, h->tq, h->t, h->heads, h->dim, h->causal, y, probs);
    attention_backward(h->q.f, h->k.f, h->v.f, probs, h->dy.f, h->batch, h->tq, h->t, h->heads, h->dim,
                       h->causal, dq, dk, dv);
}
static int64_t run_floats(const struct heads *h)
{
    return h->np + 2 * h->q.n + 2 * h->k.n;
}
static void check_values(struct heads *h)
{
    float *y = floats(h->q.n, NAN), *probs = floats(h->np, NAN);
    double *want = doubles(h->q.n), *want_probs = doubles(h->np);
    ref_attention(h->q.d, h->k.d, h->v.d, h->batch, h->tq, h->t, h->heads, h->dim, h->causal, want,
                  want_probs);
    attention_forward(h->q.f, h->k.f, h->v.f, h->batch, h->tq, h->t, h->heads, h->dim, h->causal, y, probs);
    check_close("y", y, want, h->q.n, 2e-6);
    check_close("probs", probs, want_probs, h->np, 2e-6);
    for (int64_t i = 0; i < h->np; i++)
        assert_true(want_probs[i] != 0 || probs[i] == 0);
    memset(y, 0xff, (size_t)h->q.n * sizeof *y);
    attention_forward(h->q.f, h->k.f, h->v.f, h->batch, h->tq, h->t, h->heads, h->dim, h->causal, y, NULL);
    check_close("y without probs", y, want, h->q.n, 2e-6);
    free(y);
    free(probs);
    free(want);
    free(want_probs);
}
static int64_t some_queries(int i, int64_t t)
{
    return i % 3 == 0 ? t : i % 3 == 1 ? 1 : check_between(1, t);
}
static void values(void **state)
{
    (void)state;
    check_seed("attention.values");
    for (int i = 0; i < 24; i++) {
        int64_t t = i < 2 ? 1 : check_between(1, 40), tq = some_queries(i, t);
        struct heads h =
            heads_new(check_between(1, 3), tq, t, check_between(1, 3), check_between(1, 40), i % 2);
        check_values(&h);
        heads_free(&h);
    }
    struct heads h = heads_new(2, 50, 50, 3, 64, false);
    check_values(&h);
    heads_free(&h);
}
static void gradients(void **state)
{
    (void)state;
    check_seed("attention.gradients");
    for (int i = 0; i < 12; i++) {
        int64_t t = check_between(2, 19), tq = some_queries(i, t);
        struct heads h =
            heads_new(check_between(1, 2), tq, t, check_between(1, 2), check_between(1, 18), i % 2);
        float *out = floats(run_floats(&h), NAN), *dq = out + h.q.n + h.np;
        double *want = doubles(h.k.n);
        bool flat = h.causal && tq == 1; /* one key seen: its probability is 1 whatever q and k are */
        run(&h, out);
        check_differences(loss, &h, h.q.d, h.q.n, want);
        check_close("dq", dq, want, h.q.n, flat ? 1e30 : 2e-5);
        check_differences(loss, &h, h.k.d, h.k.n, want);
        check_close("dk", dq + h.q.n, want, h.k.n, flat ? 1e30 : 2e-5);
        check_differences(loss, &h, h.v.d, h.v.n, want);
        check_close("dv", dq + h.q.n + h.k.n, want, h.v.n, 2e-5);
        free(out);
        free(want);
        heads_free(&h);
    }
}
static void threads(void **state)
{
    (void)state;
    check_seed("attention.threads");
    for (int i = 0; i < 3; i++) {
        struct heads h = heads_new(3, i ? 37 : 1, 37, 5, 24, i == 2);
        check_threads("attention", run, &h, run_floats(&h));
        heads_free(&h);
    }
}
/* Scores far apart: the softmax becomes a choice, not a NaN. One token sees itself only. */
static void sure(void **state)
{
    (void)state;
    float q[2] = {1e4f, 0}, k[6] = {1, 0, 2, 0, -1e4f, 0}, v[6] = {1, 2, 3, 4, 5, 6}, y[2], probs[3];
    attention_forward(q, k, v, 1, 1, 3, 1, 2, false, y, probs);
    assert_true(y[0] == 3 && y[1] == 4 && probs[1] == 1);
    float dy[2] = {1, 2}, dq[2], dk[2], dv[2];
    attention_forward(q, k, v, 1, 1, 1, 1, 2, true, y, probs);
    attention_backward(q, k, v, probs, dy, 1, 1, 1, 1, 2, true, dq, dk, dv);
    assert_true(y[0] == 1 && y[1] == 2 && dv[0] == 1 && dv[1] == 2);
    assert_true(dq[0] == 0 && dk[0] == 0);
}
static void tiles(void **state)
{
    (void)state;
    check_seed("attention.tiles");
    for (int i = 0; i < 60; i++) {
        int64_t m = check_between(1, 30), n = TILE_LANES * check_between(1, 6), k = check_between(1, 30);
        bool across = i % 2;
        int64_t row = across ? 1 : k + 1, col = across ? m + 2 : 1;
        struct pair a = pair_new(m * (k + 1) + k * (m + 2), 0, 1), b = pair_new(k * n, 0, 1);
        double *want = doubles(m * n);
        float *c = floats(m * n, NAN);
        for (int64_t r = 0; r < m * n; r++)
            for (int64_t p = 0; p < k; p++)
                want[r] += a.d[r / n * row + p * col] * b.d[p * n + r % n];
        tile_product(m, n, k, a.f, row, col, b.f, n, false, c, n);
        check_close("tile", c, want, m * n, 2e-6);
        tile_product(m, n, k, a.f, row, col, b.f, n, true, c, n);
        for (int64_t r = 0; r < m * n; r++)
            want[r] *= 2;
        check_close("tile added", c, want, m * n, 2e-6);
        free(want);
        free(c);
        pair_free(&a);
        pair_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tiles), cmocka_unit_test(values),
                                       cmocka_unit_test(gradients), cmocka_unit_test(sure),
                                       cmocka_unit_test(threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
