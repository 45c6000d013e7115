/* The stage router's losses on routers: they are told and fall, the same whatever is in memory at once and
 * whatever the threads; what cannot do anything is refused. */
#include "stages/model/unified.h"
#include <math.h>

#include "tests/unit/moe_stages.h"

enum { TOLD = 3 };
static const char *const names[TOLD] = {"balance_loss", "z_loss", "domain_loss"};
static double first[TOLD], last[TOLD];
static int told;
static void keep(struct stage_context *ctx, const char *name, double value, int64_t step)
{
    for (int k = 0; k < TOLD; k++)
        if (!strcmp(name, names[k])) {
            *(step == 1 ? &first[k] : &last[k]) = value;
            told++;
        }
}
static int begin_all(void **state)
{
    struct stage_run r;
    make_world(state);
    make_experts("{'epochs': 1}");
    begin_merge(&r);
    stage_run_set(&r, "init", "\"random\"");
    go(&r);
    keep_folder(&r, 0, "random");
    stage_run_end(&r);
    return 0;
}
static void begin_losses(struct stage_run *r, const char *weight, const char *micro, int threads)
{
    begin_router(r, "random", threads);
    r->ctx.metric = keep;
    for (int k = 0; k < TOLD; k++)
        stage_run_set(r, names[k], weight);
    stage_run_set(r, "micro_batch", micro);
    told = 0;
}
static void losses_fall(void **state)
{
    struct stage_run r;
    for (int threads = 1; threads <= 3; threads += 2) {
        begin_losses(&r, "1", "2", threads);
        stage_run_set(&r, "lr", "0.1");
        go(&r);
        assert_int_equal(told, TOLD * 6);
        if (!(last[1] < first[1] && last[2] < first[2] && last[0] < first[0] && first[0] >= 0.9))
            fail_msg("%g %g, %g %g, %g %g", first[0], last[0], first[1], last[1], first[2], last[2]);
        keep_folder(&r, 0, arena_printf(&arena, "tuned.%d", threads));
        stage_run_end(&r);
    }
    same_file(path("tuned.1/router.safetensors"), path("tuned.3/router.safetensors"));
    begin_losses(&r, "0", "2", 2);
    go(&r);
    assert_int_equal(told, 0);
    stage_run_end(&r);
}
/* A batch of five in one part, and in parts of one and two: the same but for rounding. Every loss alone is
 * so.
 */
static void parts_of_a_batch(void **state)
{
    AUTO(clip) struct clip *start = NULL;
    assert_true(clip_open(path("random"), &start, NULL));
    const char *const micro[] = {"5", "1", "2"};
    for (int loss = 0; loss < TOLD; loss++) {
        float whole[EXPERTS * WIDTH];
        double value = 0;
        for (int i = 0; i < 3; i++) {
            AUTO(clip) struct clip *m = NULL;
            struct stage_run r;
            begin_losses(&r, "0", micro[i], 2);
            stage_run_set(&r, names[loss], "4");
            stage_run_set(&r, "epochs", "1");
            go(&r);
            assert_true(clip_open(r.outputs[0], &m, NULL));
            const float *w = m->moe[0].router.w;
            double moved = 0;
            for (int k = 0; k < EXPERTS * WIDTH; k++) {
                if (i > 0 && !(fabs((double)w[k] - (double)whole[k]) < 1e-5))
                    fail_msg("%s, parts of %s: %g instead of %g", names[loss], micro[i], (double)w[k],
                             (double)whole[k]);
                moved += fabs((double)w[k] - (double)start->moe[0].router.w[k]);
            }
            assert_true(moved > 1e-3 && told == 1);
            if (i == 0) {
                memcpy(whole, w, sizeof whole);
                value = first[loss];
            }
            if (!(fabs(first[loss] - value) < 1e-5 * value))
                fail_msg("%s, parts of %s: %.9g instead of %.9g", names[loss], micro[i], first[loss], value);
            stage_run_end(&r);
        }
    }
}
/* Loss-free balancing: from rows that send everything to one expert, until the other one gets its share. */
static void balancing(void **state)
{
    struct stage_run r;
    double total = 0;
    for (int threads = 1; threads <= 3; threads += 2) {
        AUTO(clip) struct clip *m = NULL;
        begin_router(&r, "random", threads);
        set_all(&r, "{'balance_rate': 0.03, 'lr': 0, 'epochs': 3, 'micro_batch': 2}");
        go(&r);
        assert_true(clip_open(r.outputs[0], &m, NULL));
        for (int l = 0; l < LAYERS; l++) {
            const float *b = m->moe[l].balance.w;
            assert_true(b[0] == -b[1]); /* of two, one is above the mean and the other below, or both at it */
            double steps = (double)fabsf(b[0]) / 0.03;
            assert_true(fabs(steps - round(steps)) < 1e-4 && steps < 3.5);
            total += steps;
        }
        keep_folder(&r, 0, arena_printf(&arena, "balanced.%d", threads));
        stage_run_end(&r);
    }
    assert_true(total > 0);
    same_file(path("balanced.1/router.safetensors"), path("balanced.3/router.safetensors"));
    begin_router(&r, "balanced.1", 1); /* goes on from what there is, or leaves it */
    set_all(&r, "{'epochs': 1, 'lr': 0}");
    go(&r);
    same_file(path("balanced.1/router.safetensors"), stage_out_file(&r.ctx, "model", "router.safetensors"));
    stage_run_end(&r);
}
/* Private images are their client's: the probability of its expert rises, whatever the class. */
static void own_images(void **state)
{
    struct stage_run r;
    begin(&r, &stage_router, 1);
    r.ctx.metric = keep;
    stage_run_connect(&r, "model", path("random"));
    stage_run_connect(&r, "private", path("one"));
    stage_run_connect(&r, "private", path("two"));
    set_all(&r, "{'domain_loss': 1, 'train': 'router', 'lr': 0.1, 'epochs': 8, 'batch': 8}");
    go(&r);
    assert_true(last[2] < 0.9 * first[2]);
    stage_run_connect(&r, "private", path("two"));
    fails(&r, "2 experts and 3 of these");
}
static void refusals(void **state)
{
    struct stage_run r;
    begin_merge(&r);
    stage_run_set(&r, "gate", "\"soft\"");
    go(&r);
    keep_folder(&r, 0, "soft");
    stage_run_end(&r);
    begin_router(&r, "soft", 1);
    stage_run_set(&r, "balance_loss", "0.01");
    fails(&r, "visits all 2 experts");
    begin_router(&r, "soft", 1);
    stage_run_set(&r, "balance_rate", "0.01");
    fails(&r, "'balance_rate' does nothing");
    begin_router(&r, "random", 1);
    set_all(&r, "{'balance_rate': 0.01, 'train': 'experts'}");
    assert_false(stage_router.check(r.params, &r.err));
    stage_run_end(&r);
    begin_router(&r, "random", 1);
    stage_run_connect(&r, "proxies", path("proxy.one"));
    stage_run_set(&r, "domain_loss", "1");
    fails(&r, "2 experts and 3 of these");
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(losses_fall), cmocka_unit_test(parts_of_a_batch),
                                       cmocka_unit_test(balancing), cmocka_unit_test(own_images),
                                       cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, begin_all, end_world);
}
