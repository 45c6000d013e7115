/* The mixture's options against the equations in double precision and their slopes: the gate smear, contexts,
 * a shared expert, rows of their own for class tokens, biases; what cannot go together is refused. */
#include <omp.h>

#include "tests/ops/moe_slopes.h"

static void smear(void **state)
{
    for (int context = MOE_CONTEXT_SELF; context <= MOE_CONTEXT_PATCHES; context++)
        for (int kind = 0; kind < 4; kind++) {
            struct setup s;
            begin(&s, MOE_GATE_SMEAR, 1, (enum moe_context)context, kind & 1, kind & 2);
            check_mixture(&s);
            arena_done(&s.arena);
        }
}
static void contexts(void **state)
{
    for (int context = MOE_CONTEXT_CLASS; context <= MOE_CONTEXT_BATCH; context++)
        for (int kind = 0; kind < 4; kind++) {
            struct setup s;
            begin(&s, kind & 2 ? MOE_GATE_STRAIGHT : MOE_GATE_RAW, 1 + (kind & 1), (enum moe_context)context,
                  kind & 1, false);
            check_mixture(&s);
            if (kind & 1 && context != MOE_CONTEXT_PATCHES) { /* which do not look at other tokens */
                s.z_all = s.z;
                for (int k = 0; k < s.mats; k++)
                    memset(s.mat[k]->g, 0, (size_t)mat_size(s.mat[k]) * sizeof(float));
                check_mixture(&s);
            }
            arena_done(&s.arena);
        }
}
static void shared_expert(void **state)
{
    for (int gate = MOE_GATE_RAW; gate <= MOE_GATE_SOFT; gate++)
        for (int kind = 0; kind < 8; kind++) {
            struct setup s;
            struct fixed x;
            begin(&s, (enum moe_gate)gate, 1 + (kind & 1), MOE_CONTEXT_SELF, kind & 2, kind & 4);
            s.m.shared = gate == MOE_GATE_RAW && kind & 1 ? MOE_SHARED_REST : MOE_SHARED_ADDED;
            check_mixture(&s);
            fix(&s, &x);
            assert_false(x.chosen[0][0]);
            for (int i = 0; i < C; i++) /* it has no score */
                assert_true(s.m.router.g[i] == 0);
            arena_done(&s.arena);
        }
}
static void class_tokens(void **state)
{
    for (int context = MOE_CONTEXT_SELF; context <= MOE_CONTEXT_PATCHES; context++)
        for (int kind = 0; kind < 4; kind++) {
            struct setup s;
            double other[K], own[K];
            begin(&s, kind & 2 ? MOE_GATE_SOFT : MOE_GATE_RENORM, 2, (enum moe_context)context, kind & 1,
                  false);
            logits(&s, 0, other);
            fill(&s, &s.m.class_router, K, C);
            fill(&s, &s.m.class_bias, K, 1);
            logits(&s, 0, own);
            assert_true(fabs(own[0] - other[0]) > 1e-3);
            check_mixture(&s);
            arena_done(&s.arena);
        }
}
static void biases(void **state)
{
    for (int kind = 0; kind < 4; kind++) {
        struct setup s;
        struct fixed before, after;
        const float balance[K] = {-0.6f, 0.1f, 0.5f}, negative[K] = {-0.5f, 0.7f, -1};
        int changed = 0;
        begin(&s, kind & 2 ? MOE_GATE_RENORM : MOE_GATE_RAW, 2, MOE_CONTEXT_SELF, kind & 1, false);
        fill(&s, &s.m.negative, K, 1);
        memcpy(s.m.negative.w, negative, sizeof negative);
        fix(&s, &before);
        s.m.balance = (struct mat){.w = (float[K]){balance[0], balance[1], balance[2]}, .rows = K, .cols = 1};
        fix(&s, &after);
        for (int64_t r = 0; r < B * s.t; r++)
            changed += memcmp(before.chosen[r], after.chosen[r], sizeof before.chosen[r]) != 0;
        assert_true(changed > 0);
        check_mixture(&s);
        assert_true(s.m.negative.g[0] != 0 && s.m.negative.g[1] == 0);
        arena_done(&s.arena);
    }
}
/* Losses with the options: rows are sequences, or there is an expert without a score. */
static void losses(void **state)
{
    for (int kind = 0; kind < 2; kind++) {
        struct setup s;
        float target[B * K] = {0, 1, 0, 0, 0.5f, 0.5f};
        struct moe_loss loss = {.weight = {1, 0.5, 2}, .target = target, .layers = 3, .sequences = B};
        begin(&s, kind ? MOE_GATE_RAW : MOE_GATE_SMEAR, 1, MOE_CONTEXT_SELF, false, false);
        s.m.shared = kind ? MOE_SHARED_REST : MOE_SHARED_NONE;
        s.loss = &loss;
        check_mixture(&s);
        arena_done(&s.arena);
    }
}
/* Outputs and gradients of z and of an adapter, from a batch large enough for every parallel path. */
static void bits(int threads, enum moe_gate gate, enum moe_shared shared, float *out)
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
    s.m = (struct moe){.experts = K, .expert = s.expert, .top_k = 1, .gate = gate, .shared = shared};
    s.m.temperature = 1;
    s.m.context = gate == MOE_GATE_SMEAR ? MOE_CONTEXT_PATCHES : MOE_CONTEXT_CAUSAL;
    fill(&s, &s.m.router, K, c);
    fill(&s, &s.m.lambda, 1, 1);
    float *z = random_floats(&s.arena, b * t * c, 1), *dy = random_floats(&s.arena, b * t * c, 1);
    struct pass p = {.batch = b, .t = t, .width = c, .arena = &s.arena, .train = true};
    assert_true(moe_forward(&s.m, &s.f, &p, 0, t, z, z, out, &tape, &err));
    assert_true(moe_backward(&s.m, &s.f, &p, 0, t, z, z, tape, dy, out + b * t * c, NULL, &err));
    memcpy(out + 2 * b * t * c, s.expert[1].fc1.a.g, 4 * c * sizeof *out);
    arena_done(&s.arena);
}
static void threads_change_nothing(void **state)
{
    enum { n = 2 * 9 * 21 * 40 + 4 * 40 };
    static float one[n], more[n];
    for (int kind = 0; kind < 2; kind++)
        for (int threads = 1; threads <= 4; threads++) {
            bits(threads, kind ? MOE_GATE_RAW : MOE_GATE_SMEAR, kind ? MOE_SHARED_REST : MOE_SHARED_NONE,
                 more);
            if (threads == 1)
                memcpy(one, more, sizeof one);
            assert_memory_equal(one, more, sizeof one);
        }
}
static void refused(struct setup *s, const char *message)
{
    struct error err = {0};
    assert_false(moe_check(&s->m, &err));
    if (err.code != ERROR_INPUT || !strstr(err.text, message))
        fail_msg("no word of '%s' in: %s", message, err.text);
    arena_done(&s->arena);
}
static void refusals(void **state)
{
    struct setup s;
    begin(&s, MOE_GATE_SMEAR, 1, MOE_CONTEXT_CAUSAL, false, false);
    refused(&s, "one expert a sequence");
    begin(&s, MOE_GATE_SMEAR, 1, MOE_CONTEXT_SELF, false, false);
    s.m.shared = MOE_SHARED_ADDED;
    refused(&s, "cannot be shared");
    begin(&s, MOE_GATE_SMEAR, 1, MOE_CONTEXT_SELF, false, false);
    fill(&s, &s.m.class_router, K, C);
    refused(&s, "class tokens");
    begin(&s, MOE_GATE_RENORM, 1, MOE_CONTEXT_SELF, false, false);
    s.m.shared = MOE_SHARED_REST;
    refused(&s, "gate raw");
    begin(&s, MOE_GATE_RAW, 1, MOE_CONTEXT_BATCH, false, false);
    fill(&s, &s.m.class_router, K, C);
    refused(&s, "one vector a sequence");
    begin(&s, MOE_GATE_SOFT, 1, MOE_CONTEXT_SELF, false, false);
    fill(&s, &s.m.balance, K, 1);
    refused(&s, "visits all");
    begin(&s, MOE_GATE_RAW, K, MOE_CONTEXT_SELF, false, false);
    s.m.shared = MOE_SHARED_ADDED;
    refused(&s, "2 experts to select from");
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(smear),
                                       cmocka_unit_test(contexts),
                                       cmocka_unit_test(shared_expert),
                                       cmocka_unit_test(class_tokens),
                                       cmocka_unit_test(biases),
                                       cmocka_unit_test(losses),
                                       cmocka_unit_test(threads_change_nothing),
                                       cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
