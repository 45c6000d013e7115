/* The mixture of experts: forward against the equations written out in double precision, gradients against
 * central differences of those, for every gate, both contexts, one and several rows a sequence; threads
 * change no bit; the router's gradient is exactly zero where the weight is a constant. */
#include <omp.h>
#include <stdlib.h>

#include "tests/ops/moe_slopes.h"

static void gates_and_contexts(void **state)
{
    for (int gate = MOE_GATE_RAW; gate <= MOE_GATE_SOFT; gate++)
        for (int top_k = 1; top_k <= K; top_k++)
            for (int kind = 0; kind < 8; kind++) {
                struct setup s;
                begin(&s, (enum moe_gate)gate, top_k, kind & 1 ? MOE_CONTEXT_SEED : MOE_CONTEXT_SELF,
                      kind & 2, kind & 4);
                check_mixture(&s);
                arena_done(&s.arena);
            }
}
/* One forward and backward over all rows; y (B,T,C). */
static void pass_once(struct setup *s, float *y, float *dz)
{
    struct error err = {0};
    struct moe_tape *tape;
    struct pass p = pass_of(s, true);
    assert_true(moe_forward(&s->m, &s->f, &p, 0, T, s->z, s->z_all, y, &tape, &err));
    assert_true(moe_backward(&s->m, &s->f, &p, 0, T, s->z, s->z_all, tape, s->dy, dz, NULL, &err));
}
/* Both ends of [0,1] let the gradient through, the outside does not. */
static void lambda_is_clamped(void **state)
{
    const float values[] = {-0.5f, 0, 1, 1.3f};
    for (int i = 0; i < 4; i++) {
        struct setup s;
        struct fixed x;
        float y[B * T * C];
        begin(&s, MOE_GATE_RAW, 2, MOE_CONTEXT_SELF, false, false);
        s.m.lambda.w[0] = values[i];
        pass_once(&s, y, s.dz);
        fix(&s, &x);
        double at = loss(&s, &x), got = (double)s.m.lambda.g[0];
        s.m.lambda.w[0] += values[i] == 1 ? -1e-4f : 1e-4f;
        double one_sided = (loss(&s, &x) - at) / ((double)s.m.lambda.w[0] - (double)values[i]);
        if (i == 0 || i == 3)
            assert_true(got == 0 && one_sided == 0);
        else
            assert_true(fabs(one_sided) > 1e-3 && fabs(got - one_sided) < 3e-3 * (1 + fabs(one_sided)));
        arena_done(&s.arena);
    }
}
static void constant_weight_has_no_gradient(void **state)
{
    struct setup s;
    float y[B * T * C];
    begin(&s, MOE_GATE_RENORM, 1, MOE_CONTEXT_SELF, false, false);
    pass_once(&s, y, NULL);
    for (int i = 0; i < K * C; i++)
        assert_true(s.m.router.g[i] == 0);
    for (int k = 0; k < K; k++)
        assert_true(s.m.bias.g[k] == 0);
    assert_true(s.m.lambda.g[0] == 0);
    arena_done(&s.arena);
}
struct watching {
    double selected, probs;
    int calls;
};
static void watch(void *arg, const char *what, int layer, const float *x, int64_t batch, int64_t t, int64_t c)
{
    struct watching *w = arg;
    assert_int_equal(layer, 5);
    assert_true(batch == B && t == T && c == (strcmp(what, "moe_out") ? K : C));
    w->calls++;
    for (int64_t i = 0; i < batch * t * c; i++) {
        w->selected += strcmp(what, "moe_selected") ? 0 : (double)x[i];
        w->probs += strcmp(what, "moe_probs") ? 0 : (double)x[i];
    }
}
static void ties_and_observers(void **state)
{
    struct setup s;
    struct error err = {0};
    struct watching w = {0};
    struct observer o = {watch, &w};
    float y[B * T * C];
    double want[C];
    begin(&s, MOE_GATE_RAW, 1, MOE_CONTEXT_SELF, false, false);
    for (int i = 0; i < K * C; i++) /* all experts alike: the first one wins */
        s.m.router.w[i] = 0;
    for (int k = 0; k < K; k++)
        s.m.bias.w[k] = 0;
    struct pass p = pass_of(&s, false);
    p.observer = &o;
    assert_true(moe_forward(&s.m, &s.f, &p, 5, T, s.z, s.z_all, y, NULL, &err));
    assert_true(w.calls == 3 && w.selected == B * T && fabs(w.probs - B * T) < 1e-5);
    expert_row(&s, 0, s.z, want);
    for (int i = 0; i < C; i++)
        near((double)y[i], want[i] / K, "y", i);
    s.m.context = MOE_CONTEXT_SEED;
    p.context = NULL;
    assert_false(moe_forward(&s.m, &s.f, &p, 5, T, s.z, s.z_all, y, NULL, &err));
    arena_done(&s.arena);
}
/* All outputs and gradients of a batch large enough for every parallel path; malloc'd. */
static float *bits(int threads, enum moe_gate gate, size_t *ret)
{
    enum { b = 9, t = 21, c = 40, f = 160 };
    struct setup s = {0};
    struct error err = {0};
    struct moe_tape *tape;
    rng = rng_at(rng_stream(4, "test.moe"), 0, 0);
    arena_init(&s.arena);
    omp_set_num_threads(threads);
    fill(&s, &s.f.fc1.w, f, c);
    fill(&s, &s.f.fc2.w, c, f);
    for (int k = 0; k < K; k++) {
        s.expert[k].fc1.scale = s.expert[k].fc2.scale = 1;
        fill(&s, &s.expert[k].fc1.a, 4, c);
        fill(&s, &s.expert[k].fc1.b, f, 4);
        fill(&s, &s.expert[k].fc2.a, 4, f);
        fill(&s, &s.expert[k].fc2.b, c, 4);
    }
    s.m = (struct moe){.experts = K, .expert = s.expert, .top_k = 1, .gate = gate, .temperature = 1};
    fill(&s, &s.m.router, K, c);
    fill(&s, &s.m.lambda, 1, 1);
    s.m.lambda.w[0] = 0.3f;
    float *z = random_floats(&s.arena, b * t * c, 1), *dy = random_floats(&s.arena, b * t * c, 1);
    struct pass p = {.batch = b, .t = t, .width = c, .arena = &s.arena, .train = true};
    int64_t n = 2 * b * t * c, at = n;
    for (int k = 0; k < s.mats; k++)
        n += mat_size(s.mat[k]);
    float *all = malloc((size_t)n * sizeof *all);
    assert_true(moe_forward(&s.m, &s.f, &p, 0, t, z, z, all, &tape, &err));
    assert_true(moe_backward(&s.m, &s.f, &p, 0, t, z, z, tape, dy, all + b * t * c, NULL, &err));
    for (int k = 0; k < s.mats; at += mat_size(s.mat[k++]))
        memcpy(all + at, s.mat[k]->g, (size_t)mat_size(s.mat[k]) * sizeof *all);
    *ret = (size_t)n * sizeof *all;
    arena_done(&s.arena);
    return all;
}
static void threads_change_nothing(void **state)
{
    for (int gate = MOE_GATE_RAW; gate <= MOE_GATE_SOFT; gate += MOE_GATE_SOFT) {
        size_t n, m;
        float *one = bits(1, (enum moe_gate)gate, &n);
        for (int threads = 2; threads <= 4; threads++) {
            float *more = bits(threads, (enum moe_gate)gate, &m);
            assert_true(n == m && !memcmp(one, more, n));
            free(more);
        }
        free(one);
    }
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gates_and_contexts), cmocka_unit_test(lambda_is_clamped),
        cmocka_unit_test(constant_weight_has_no_gradient), cmocka_unit_test(ties_and_observers),
        cmocka_unit_test(threads_change_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
