/* probe.c: gradients against finite differences, separable data, thread-count independence. */
#include "base/rng.h"
#include "stages/algo/probe.h"
#include "tests/test.h"
#include <math.h>
#include <omp.h>
#include <string.h>

#define N 60
#define D 7
static float x[N * D], w[2 * D], gw[2 * D], b[1], gb[1];
static int64_t label[N], order[3 * N];

/* Client rows lean along the first axis. */
static struct probe make(enum probe_loss loss)
{
    struct rng r = rng_at(rng_stream(5, "test.probe"), 0, 0);
    for (int i = 0; i < N; i++) {
        label[i] = i % 3 == 0;
        for (int c = 0; c < D; c++)
            x[i * D + c] = rng_normal(&r) + (c > 0 ? 0 : label[i] ? 5 : -5);
    }
    for (int i = 0; i < 3 * N; i++)
        order[i] = (i * 7) % N;
    for (int c = 0; c < 2 * D; c++)
        w[c] = 0.3f * rng_normal(&r);
    b[0] = 0.1f;
    memset(gw, 0, sizeof gw);
    memset(gb, 0, sizeof gb);
    int64_t rows = loss == PROBE_BCE ? 1 : 2;
    struct probe p = {loss, D, {w, gw, rows, D}, {0}};
    if (loss == PROBE_BCE)
        p.b = (struct mat){b, gb, 1, 1};
    return p;
}
/* Mean loss in double from the definition. */
static double loss_of(const struct probe *p)
{
    double sum = 0;
    for (int i = 0; i < N; i++) {
        double z[2] = {0, 0};
        for (int64_t k = 0; k < p->w.rows; k++)
            for (int c = 0; c < D; c++)
                z[k] += (double)p->w.w[k * D + c] * x[i * D + c];
        if (p->loss == PROBE_BCE) {
            double s = 1 / (1 + exp(-(z[0] + p->b.w[0])));
            sum -= label[i] ? log(s) : log(1 - s);
        } else {
            sum -= z[label[i]] - log(exp(z[0]) + exp(z[1]));
        }
    }
    return sum / N;
}
static void check_derivative(const struct probe *p, float *value, float got)
{
    float keep = *value, h = 1e-3f;
    *value = keep + h;
    double up = loss_of(p), hi = *value;
    *value = keep - h;
    double down = loss_of(p), lo = *value;
    *value = keep;
    double want = (up - down) / (hi - lo);
    if (!(fabs(got - want) < 2e-5 * (1 + fabs(want))))
        fail_msg("gradient %g, finite difference %g", (double)got, want);
}
static void test_gradient(void **state)
{
    (void)state;
    for (int loss = PROBE_BCE; loss <= PROBE_SOFTMAX; loss++) {
        struct probe p = make((enum probe_loss)loss);
        float got = probe_gradient(&p, x, label, order, N);
        assert_true(fabs(got - loss_of(&p)) < 1e-5);
        for (int64_t i = 0; i < mat_size(&p.w); i++)
            check_derivative(&p, w + i, gw[i]);
        if (loss == PROBE_BCE)
            check_derivative(&p, b, gb[0]);
    }
}
static void test_learns(void **state)
{
    (void)state;
    struct optim_config c = {.kind = OPTIM_ADAM, .lr = 0.1, .beta1 = .9, .beta2 = .999, .eps = 1e-8};
    for (int loss = PROBE_BCE; loss <= PROBE_SOFTMAX; loss++) {
        struct probe p = make((enum probe_loss)loss);
        p.w.g = p.b.g = NULL;
        struct arena a;
        arena_init(&a);
        float losses[3 * 8], score[N];
        assert_true(probe_train(&p, x, label, order, N, 8, 3, &c, &a, losses, NULL));
        assert_true(losses[23] < losses[0]);
        probe_score(&p, x, N, score);
        for (int i = 0; i < N; i++)
            assert_true(score[i] > 0 && score[i] < 1 && (score[i] > 0.5f) == (label[i] == 1));
        arena_done(&a);
    }
}
static void test_threads(void **state)
{
    (void)state;
    enum { ROWS = 20000 };
    static float big[ROWS * D], one[ROWS], many[ROWS];
    struct probe p = make(PROBE_BCE);
    for (int i = 0; i < ROWS * D; i++)
        big[i] = x[i % (N * D)];
    omp_set_num_threads(1);
    probe_score(&p, big, ROWS, one);
    omp_set_num_threads(3);
    probe_score(&p, big, ROWS, many);
    assert_memory_equal(one, many, sizeof one);
}
/* Extreme margins give 0 < loss < inf, no NaN. */
static void test_extreme(void **state)
{
    (void)state;
    struct probe p = make(PROBE_BCE);
    w[0] = 1e4f;
    float loss = probe_gradient(&p, x, label, order, N);
    assert_true(isfinite(loss) && loss >= 0);
    for (int c = 0; c < D; c++)
        assert_true(isfinite(gw[c]));
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gradient), cmocka_unit_test(test_learns),
                                       cmocka_unit_test(test_threads), cmocka_unit_test(test_extreme)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
