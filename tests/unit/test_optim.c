/* optim.c against steps written out in double arithmetic, term by term as PyTorch documents them. */
#include "stages/tensor/optim.h"
#include "tests/test.h"
#include <math.h>
#include <omp.h>
#include <string.h>

#define N 5
static const double start[N] = {1.0, -2.0, 0.5, 0.0, 3.0};
static double gradient(int step, int i)
{
    return 0.1 * (i + 1) * (step % 2 ? 1 : -0.5) + 0.01 * step;
}
static void near(double got, double want)
{
    if (!(fabs(got - want) <= 2e-7 * (1 + fabs(want))))
        fail_msg("got %.9g, want %.9g", got, want);
}
/* One scalar's course under the rule, in double. */
static void reference(const struct optim_config *c, double scale, int steps, int i, double *p)
{
    double v = 0, m = 0;
    for (int t = 1; t <= steps; t++) {
        double g = gradient(t, i), lr = c->lr * scale;
        if (c->kind == OPTIM_SGD) {
            g += c->weight_decay * *p;
            v = t == 1 ? g : c->momentum * v + g;
            *p -= lr * (c->momentum == 0 ? g : c->nesterov ? g + c->momentum * v : v);
            continue;
        }
        if (c->kind == OPTIM_ADAMW)
            *p -= lr * c->weight_decay * *p;
        else
            g += c->weight_decay * *p;
        m = c->beta1 * m + (1 - c->beta1) * g;
        v = c->beta2 * v + (1 - c->beta2) * g * g;
        double mh = m / (1 - pow(c->beta1, t)), vh = v / (1 - pow(c->beta2, t));
        *p -= lr * mh / (sqrt(vh) + c->eps);
    }
}
static void compare(const struct optim_config *c, double scale)
{
    struct arena a;
    arena_init(&a);
    float w[N], g[N];
    struct mat m = {w, g, N, 1};
    for (int i = 0; i < N; i++)
        w[i] = (float)start[i];
    struct optim *o = optim_new(c, &a);
    assert_true(optim_add(o, &m, scale, NULL));
    for (int t = 1; t <= 4; t++) {
        for (int i = 0; i < N; i++)
            g[i] = (float)gradient(t, i);
        optim_step(o, c->lr);
        for (int i = 0; i < N; i++)
            assert_true(g[i] == 0);
    }
    for (int i = 0; i < N; i++) {
        double p = start[i];
        reference(c, scale, 4, i, &p);
        near(w[i], p);
    }
    arena_done(&a);
}
static void test_sgd(void **state)
{
    (void)state;
    compare(&(struct optim_config){.kind = OPTIM_SGD, .lr = 0.1}, 1);
    compare(&(struct optim_config){.kind = OPTIM_SGD, .lr = 0.1, .weight_decay = 0.01}, 0.5);
    compare(&(struct optim_config){.kind = OPTIM_SGD, .lr = 0.1, .momentum = 0.9, .weight_decay = 0.01}, 1);
    compare(&(struct optim_config){.kind = OPTIM_SGD, .lr = 0.1, .momentum = 0.9, .nesterov = true}, 2);
}
static void test_adam(void **state)
{
    (void)state;
    struct optim_config c = {.kind = OPTIM_ADAM, .lr = 1e-2, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    compare(&c, 1);
    c.weight_decay = 0.1;
    compare(&c, 1);
    c.kind = OPTIM_ADAMW;
    compare(&c, 1);
    c.beta1 = 0.8;
    compare(&c, 3);
}
/* Two steps by hand: p = 1, g = 2 then 1, lr .1, momentum .5: v = 2, p = .8; v = 2, p = .6. */
static void test_by_hand(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    float w = 1, g = 2;
    struct mat m = {&w, &g, 1, 1};
    struct optim *o = optim_new(&(struct optim_config){.kind = OPTIM_SGD, .lr = 0.1, .momentum = 0.5}, &a);
    assert_true(optim_add(o, &m, 1, NULL));
    optim_step(o, 0.1);
    near(w, 0.8);
    g = 1;
    optim_step(o, 0.1);
    near(w, 0.6);
    /* A step at rate 0 moves nothing but feeds the momentum: v = 1 + 3 = 4, then v = 2 + 0, p = .6 - .2. */
    g = 3;
    optim_step(o, 0);
    near(w, 0.6);
    optim_step(o, 0.1);
    near(w, 0.4);
    arena_done(&a);
}
/* An untouched Adam parameter (gradient exactly 0 throughout) stays where it is. */
static void test_zero_gradient(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    float w = 1.25f, g = 0;
    struct mat m = {&w, &g, 1, 1};
    struct optim *o = optim_new(
        &(struct optim_config){.kind = OPTIM_ADAMW, .lr = 1, .beta1 = .9, .beta2 = .999, .eps = 1e-8}, &a);
    assert_true(optim_add(o, &m, 1, NULL));
    for (int t = 0; t < 3; t++)
        optim_step(o, 1);
    assert_true(w == 1.25f);
    arena_done(&a);
}
static void test_clip(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    float w[3] = {0}, g[2] = {3, 0}, h[1] = {4};
    struct mat m = {w, g, 2, 1}, k = {w + 2, h, 1, 1};
    struct optim *o = optim_new(&(struct optim_config){.kind = OPTIM_SGD, .lr = 1}, &a);
    assert_true(optim_add(o, &m, 1, NULL) && optim_add(o, &k, 1, NULL));
    near(optim_grad_norm(o), 5);
    optim_clip(o, 0);
    optim_clip(o, 6);
    assert_true(g[0] == 3 && h[0] == 4);
    optim_clip(o, 1);
    near(g[0], 3 / (5 + 1e-6));
    near(h[0], 4 / (5 + 1e-6));
    optim_zero(o);
    assert_true(g[0] == 0 && h[0] == 0);
    arena_done(&a);
}

#define BIG 100003
static void train_big(enum optim_kind kind, int threads, float *w, float *g, double *norm)
{
    struct arena a;
    arena_init(&a);
    omp_set_num_threads(threads);
    struct mat m = {w, g, BIG, 1};
    struct optim_config c = {kind, 1e-2, 1e-3, .9, true, .9, .999, 1e-8};
    struct optim *o = optim_new(&c, &a);
    assert_true(optim_add(o, &m, 1, NULL));
    for (int i = 0; i < BIG; i++)
        w[i] = sinf((float)i);
    for (int t = 1; t <= 3; t++) {
        for (int i = 0; i < BIG; i++)
            g[i] = cosf((float)(i * t));
        optim_clip(o, 100);
        *norm = optim_grad_norm(o);
        optim_step(o, 1e-2);
    }
    arena_done(&a);
}
static void test_threads(void **state)
{
    (void)state;
    static float w[2][BIG], g[BIG];
    double norm[2];
    for (int kind = OPTIM_SGD; kind <= OPTIM_ADAMW; kind++) {
        train_big((enum optim_kind)kind, 1, w[0], g, &norm[0]);
        for (int threads = 2; threads <= 5; threads++) {
            train_big((enum optim_kind)kind, threads, w[1], g, &norm[1]);
            assert_memory_equal(w[0], w[1], sizeof w[0]);
            assert_true(norm[0] == norm[1]);
        }
    }
}
static void test_memory(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    a.limit = 4096;
    static float w[4096], g[4096];
    struct mat m = {w, g, 4096, 1};
    struct optim *o = optim_new(&(struct optim_config){.kind = OPTIM_ADAM, .beta1 = .9, .beta2 = .999}, &a);
    struct error err;
    assert_false(optim_add(o, &m, 1, &err));
    assert_non_null(strstr(err.text, "out of memory"));
    arena_done(&a);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sgd),           cmocka_unit_test(test_adam), cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_zero_gradient), cmocka_unit_test(test_clip), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
