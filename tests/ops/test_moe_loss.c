/* The losses on a router's distribution: values and gradients against the equations in double precision,
 * alone and together, for every gate; a batch in two parts is the batch in one; what is counted. */
#include "tests/ops/moe_slopes.h"

static const double coefficients[K] = {0.5, 1, 2.5};
static void begin_loss(struct setup *s, struct moe_loss *loss, float *target)
{
    *loss = (struct moe_loss){.layers = 2, .sequences = B};
    for (int k = 0; k < K; k++) {
        target[k] = k == 1 ? 0.25f : k == 2 ? 0.75f : 0; /* the first sequence has two owners */
        target[K + k] = 0;                               /* the second none that is known */
    }
    loss->target = target;
    s->loss = loss;
}
/* One forward and backward of sequences from .. from+n-1. */
static void run_part(struct setup *s, int64_t from, int64_t n)
{
    struct error err = {0};
    struct moe_tape *tape;
    struct pass p = pass_of(s, true);
    float y[B * T * C];
    const float *context[1] = {s->context[0] + from * C};
    p.batch = n;
    p.context = context;
    int64_t row = from * s->t * C, all = from * T * C;
    assert_true(moe_forward(&s->m, &s->f, &p, 0, s->t, s->z + row, s->z_all + all, y, &tape, &err));
    assert_true(moe_backward(&s->m, &s->f, &p, 0, s->t, s->z + row, s->z_all + all, tape, s->dy + row,
                             s->dz + row, s->dz_all + all, &err));
}
static void check(struct setup *s)
{
    struct fixed x;
    double want[MOE_LOSSES];
    run_part(s, 0, B);
    fix(s, &x);
    router_losses(s, &x, want);
    for (int k = 0; k < MOE_LOSSES; k++)
        near(s->loss->value[k], s->loss->weight[k] != 0 ? want[k] : 0, "value", k);
    check_gradients(s, &x);
}
static void each_loss(void **state)
{
    for (int gate = MOE_GATE_RAW; gate <= MOE_GATE_SOFT; gate++)
        for (int top_k = 1; top_k <= 2; top_k++)
            for (int kind = 0; kind < 8; kind++) { /* each of three alone, all, and all with row0 */
                struct setup s;
                struct moe_loss loss;
                float target[B * K];
                begin(&s, (enum moe_gate)gate, top_k, kind & 1 ? MOE_CONTEXT_SEED : MOE_CONTEXT_SELF,
                      kind == 4, kind == 5);
                begin_loss(&s, &loss, target);
                for (int k = 0; k < MOE_LOSSES; k++)
                    loss.weight[k] = kind >= MOE_LOSSES || kind == k ? 0.7 + k : 0;
                loss.coefficient = kind & 2 ? coefficients : NULL;
                check(&s);
                arena_done(&s.arena);
            }
}
/* The visits of a pass, and the gradients of a batch that is cut in two. */
static void parts(void **state)
{
    struct setup one, two;
    struct moe_loss whole, part;
    float target[B * K];
    double count[K] = {0}, load[K], visits = 0;
    begin(&one, MOE_GATE_RAW, 2, MOE_CONTEXT_SELF, false, false);
    begin(&two, MOE_GATE_RAW, 2, MOE_CONTEXT_SELF, false, false);
    begin_loss(&one, &whole, target);
    for (int k = 0; k < MOE_LOSSES; k++)
        whole.weight[k] = 1 + k;
    whole.count = count;
    run_part(&one, 0, B);
    for (int k = 0; k < K; k++)
        visits += count[k];
    assert_true(visits == 2 * B * T && count[0] != count[1]);
    part = whole;
    memset(part.value, 0, sizeof part.value);
    for (int k = 0; k < K; k++)
        load[k] = count[k] / visits;
    part.load = load;
    part.count = NULL;
    two.loss = &part;
    for (int64_t b = 0; b < B; b++) {
        part.target = target + b * K;
        run_part(&two, b, 1);
    }
    for (int k = 0; k < MOE_LOSSES; k++)
        near(part.value[k], whole.value[k], "value", k);
    for (int k = 0; k < one.mats; k++)
        for (int64_t i = 0; i < mat_size(one.mat[k]); i++)
            near((double)two.mat[k]->g[i], (double)one.mat[k]->g[i], "gradient", k * 1000 + i);
    for (int64_t i = 0; i < B * T * C; i++)
        near((double)two.dz[i], (double)one.dz[i], "dz", i);
    arena_done(&one.arena);
    arena_done(&two.arena);
}
/* One balanced layer has the least balance loss, 1; all in one place E. */
static void balance_is_one_when_even(void **state)
{
    struct setup s;
    struct moe_loss loss;
    float target[B * K];
    double even[K] = {1. / K, 1. / K, 1. / K};
    begin(&s, MOE_GATE_RAW, 1, MOE_CONTEXT_SELF, false, false);
    begin_loss(&s, &loss, target);
    loss.layers = 1;
    loss.weight[MOE_LOSS_BALANCE] = 1;
    loss.load = even;
    run_part(&s, 0, B);
    near(loss.value[MOE_LOSS_BALANCE], 1, "even", 0);
    loss.value[MOE_LOSS_BALANCE] = 0;
    loss.load = NULL;
    s.m.bias.w[1] = 60;
    run_part(&s, 0, B);
    near(loss.value[MOE_LOSS_BALANCE], K, "collapsed", 0);
    arena_done(&s.arena);
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_loss), cmocka_unit_test(parts),
                                       cmocka_unit_test(balance_is_one_when_even)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
