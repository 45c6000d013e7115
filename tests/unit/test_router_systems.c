/* The mixtures of the paper and its baselines are settings of expert, merge and router: what each starts
 * from, what its fine-tuning moves and what it leaves. And every option of merge, through the stages. */
#include "stages/model/moe_vectors.h"
#include "stages/model/unified.h"
#include <math.h>

#include "tests/unit/moe_stages.h"

/* What a fine-tuning moved, by unified_each's kinds. */
struct moved {
    bool router, lambda, bias, balance, adapter;
};
struct pair {
    const struct moved *want;
    const char *system;
    json_t *before; /* name -> address of a copy */
    int adapters;   /* matrices that moved: an expert may get no token in a layer */
};
static void keep_copy(void *arg, char kind, const char *name, struct mat *w)
{
    float *copy = arena_floats(&arena, mat_size(w));
    memcpy(copy, w->w, (size_t)mat_size(w) * sizeof *copy);
    json_object_set_new(arg, name, json_integer((json_int_t)(intptr_t)copy));
}
static void compare(void *arg, char kind, const char *name, struct mat *w)
{
    struct pair *p = arg;
    const json_t *at = json_object_get(p->before, name);
    const struct moved *m = p->want;
    bool want = kind == 'r' ? m->router : kind == 'l' ? m->lambda : m->bias;
    if (kind == 's')
        return;
    assert_non_null(at);
    bool same =
        !memcmp((const float *)(intptr_t)json_integer_value(at), w->w, (size_t)mat_size(w) * sizeof *w->w);
    p->adapters += kind == 'a' && !same;
    if (kind != 'a' && same == want)
        fail_msg("%s: %s %s", p->system, name, same ? "stayed" : "moved");
}
static struct clip *open_model(const char *dir)
{
    struct clip *m = NULL;
    struct error err = {0};
    if (!clip_open(dir, &m, &err))
        fail_msg("%s", err.text);
    return m;
}
/* merge, then router; the fine-tuned model is the folder "tuned". */
static void tune(const char *system, const char *merge, const char *router, struct moved want)
{
    struct stage_run r;
    AUTO_JSON copies = json_object();
    struct pair pair = {&want, system, copies, 0};
    begin_merge(&r);
    set_all(&r, merge);
    go(&r);
    keep_folder(&r, 0, "merged");
    stage_run_end(&r);
    begin_router(&r, "merged", 1);
    set_all(&r, "{'epochs': 2, 'lr': 0.05}");
    set_all(&r, router);
    if (!stage_run_go(&r))
        fail_msg("%s: %s", system, r.err.text);
    keep_folder(&r, 0, "tuned");
    stage_run_end(&r);
    AUTO(clip) struct clip *before = open_model(path("merged"));
    AUTO(clip) struct clip *after = open_model(path("tuned"));
    unified_each(before, keep_copy, copies);
    unified_each(after, compare, &pair);
    if ((pair.adapters > 0) != want.adapter)
        fail_msg("%s: %d matrices of adapters moved", system, pair.adapters);
    assert_true(after->moe->gate == before->moe->gate && after->moe->shared == before->moe->shared);
}
static float lambda_of(const char *dir)
{
    AUTO(clip) struct clip *m = open_model(path(dir));
    return m->moe[LAYERS - 1].lambda.w[0];
}
/* Row k of the last layer's router is the mean that the folder of vectors has. */
static void row_is_mean(const char *model, int k, const char *vectors, bool class)
{
    AUTO(clip) struct clip *m = open_model(path(model));
    struct moe_vectors *v;
    const int64_t at = (LAYERS - 1) * WIDTH;
    assert_true(moe_vectors_load(path(vectors), m, &arena, &v, NULL));
    const struct moe *moe = &m->moe[LAYERS - 1];
    for (int j = 0; j < WIDTH; j++)
        assert_true((class ? moe->class_router : moe->router).w[k * WIDTH + j] ==
                    (float)(class ? v->cls : v->mean)[at + j]);
}

static void aligned_systems(void **state)
{
    const struct moved all = {true, true, true, true, true};
    tune("HarmoMoE", "{}", "{}", all);
    row_is_mean("merged", 1, "vectors.2", false);
    tune("without context", "{'lambda': 0}", "{'lr_lambda': 0}",
         (struct moved){.router = true, .bias = true, .adapter = true});
    assert_true(lambda_of("tuned") == 0);
    tune("without final fine-tuning", "{}", "{'epochs': 0}", (struct moved){0});
    /* routes whole images, and learns whose they are */
    tune("MoA", "{'lambda': 1, 'gate': 'renorm'}",
         "{'lr_lambda': 0, 'train': 'router', 'domain_loss': 1, 'optimizer': 'adamw', 'weight_decay': 0.1}",
         (struct moved){.router = true, .bias = true});
    assert_true(lambda_of("tuned") == 1);
    /* the code's: a constant weight, the seed's context, domains in order; weight decay alone would move it
     */
    tune("code", "{'gate': 'renorm', 'context': 'seed'}",
         "{'nesterov': true, 'order': 'given', 'weight_decay': 0, 'lr_lambda': 0.1}",
         (struct moved){.adapter = true});
}
static void isolated_systems(void **state)
{
    make_experts("{'epochs': 1, 'labels': 'private', 'e_data': 'private'}");
    AUTO_JSON info = json_read(path("vectors.1/router.json"), NULL);
    assert_int_equal(json_int_or(info, "samples", 0), 12);
    tune("BTX", "{'init': 'random', 'lambda': 0, 'seed': 3}", "{'lr_lambda': 0, 'balance_loss': 0.01}",
         (struct moved){.router = true, .adapter = true});
    tune("FlexOlmo", "{'lambda': 0}", "{'lr_lambda': 0}", (struct moved){.router = true, .adapter = true});
    row_is_mean("merged", 0, "vectors.1", false);
    tune("FlexOlmo with its bias",
         "{'lambda': 0, 'negative_bias': true, 'seed_expert': 'competes', 'top_k': 2}",
         "{'lr_lambda': 0, 'z_loss': 0.001, 'train': 'router'}",
         (struct moved){.router = true, .bias = true});
    AUTO(clip) struct clip *m = open_model(path("tuned"));
    assert_true(m->moe->experts == 3 && m->moe->negative.w[0] == 0);
}

/* ---- options ---- */
static void seed_experts(void **state)
{
    struct stage_run r;
    const struct moved all = {true, true, true, true, true};
    tune("competes", "{'seed_expert': 'competes'}", "{}", all);
    AUTO(clip) struct clip *m = open_model(path("merged"));
    assert_true(m->moe->experts == 3 && !m->moe->expert[0].fc1.a.w && m->moe->expert[2].fc1.a.w);
    for (int j = 0; j < WIDTH; j++) { /* what the clients share */
        const float *w = m->moe[1].router.w;
        assert_true(fabsf(w[j] - (w[WIDTH + j] + w[2 * WIDTH + j]) / 2) < 1e-5f);
    }
    row_is_mean("merged", 2, "vectors.2", false);
    /* the seed's own vectors: of public images, without training */
    begin(&r, &stage_expert, 1);
    stage_run_connect(&r, "model", path("seed"));
    stage_run_connect(&r, "private", path("public"));
    set_all(&r, "{'epochs': 0}");
    go(&r);
    keep_folder(&r, 1, "vectors.seed");
    stage_run_end(&r);
    begin_merge(&r);
    set_all(&r, "{'seed_expert': 'competes'}");
    stage_run_connect(&r, "seed_vectors", path("vectors.seed"));
    go(&r);
    keep_folder(&r, 0, "merged");
    stage_run_end(&r);
    row_is_mean("merged", 0, "vectors.seed", false);
    tune("shared", "{'seed_expert': 'shared', 'gate': 'straight'}", "{}", all);
    tune("rest", "{'seed_expert': 'rest', 'top_k': 2}", "{'domain_loss': 0.1}", all);
    begin_merge(&r);
    set_all(&r, "{'seed_expert': 'rest'}");
    stage_run_connect(&r, "seed_vectors", path("vectors.seed"));
    fails(&r, "no router row");
    begin_merge(&r);
    set_all(&r, "{'seed_expert': 'rest', 'gate': 'soft'}");
    fails(&r, "gate raw");
}
static void kinds_and_contexts(void **state)
{
    const struct moved all = {true, true, true, true, true};
    static const char *const contexts[] = {"class", "patches", "causal", "batch"};
    AUTO(clip) struct clip *seed = open_model(path("seed"));
    struct moe_vectors *v;
    assert_true(moe_vectors_load(path("vectors.1"), seed, &arena, &v, NULL));
    tune("kinds", "{'kinds': 'separate', 'vectors': 'distance'}", "{}", all);
    row_is_mean("merged", 1, "vectors.2", true);
    AUTO(clip) struct clip *m = open_model(path("merged"));
    assert_true(m->moe->class_bias.w != NULL);
    for (int j = 0; j < WIDTH; j++) { /* five tokens */
        double patches = (5 * v->mean[j] - v->cls[j]) / 4;
        assert_true(fabs((double)m->moe[0].router.w[j] - patches) < 1e-5);
    }
    for (int i = 0; i < 4; i++)
        tune(contexts[i], arena_printf(&arena, "{'context': '%s', 'gate': 'soft'}", contexts[i]), "{}", all);
    tune("smear", "{'gate': 'smear'}", "{'domain_loss': 0.5, 'weight_decay': 0}",
         (struct moved){.router = true, .bias = true, .adapter = true});
    tune("smear of the seed's context", "{'gate': 'smear', 'context': 'seed', 'vectors': 'centred'}",
         "{'weight_decay': 0}", (struct moved){.router = true, .bias = true, .adapter = true});
}
/* Expert and router over samples in the order in which they come, and means without the last ones. */
static void orders(void **state)
{
    struct stage_run r;
    begin_expert(&r, "one", "proxy.one", 1);
    set_all(&r, "{'epochs': 1, 'e_drop_last': true}"); /* of 15 samples 8 */
    go(&r);
    AUTO_JSON info = stage_run_json(&r, "router", "router.json");
    assert_int_equal(json_int_or(info, "samples", 0), 8);
    assert_true(progressed == 1);
    stage_run_end(&r);
    begin_expert(&r, "one", "proxy.one", 1);
    set_all(&r, "{'epochs': 0, 'e_drop_last': true, 'batch': 64}");
    fails(&r, "leaves nothing");
    for (int i = 0; i < 3; i++) {
        begin_router(&r, "merged", 1);
        set_all(&r, i ? "{'order': 'given', 'epochs': 1, 'batch': 2}" : "{'epochs': 1, 'batch': 2}");
        if (i == 2) { /* the clients the other way round: it matters, for they come one after the other */
            struct stage_inputs *in = &r.inputs[stage_port_index(stage_router.inputs, "proxies")];
            struct stage_input first = in->item[0];
            in->item[0] = in->item[1];
            in->item[1] = first;
        }
        go(&r);
        keep_folder(&r, 0, arena_printf(&arena, "order.%d", i));
        stage_run_end(&r);
    }
    size_t n[3];
    AUTO(mem) char *a = file_bytes(path("order.0/expert_1/adapter_model.safetensors"), &n[0]);
    AUTO(mem) char *b = file_bytes(path("order.1/expert_1/adapter_model.safetensors"), &n[1]);
    AUTO(mem) char *c = file_bytes(path("order.2/expert_1/adapter_model.safetensors"), &n[2]);
    assert_true(n[0] == n[1] && n[1] == n[2]);
    assert_true(memcmp(a, b, n[0]) != 0 && memcmp(b, c, n[0]) != 0);
}
static int begin_all(void **state)
{
    make_world(state);
    make_experts("{'epochs': 1}");
    return 0;
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(aligned_systems), cmocka_unit_test(seed_experts),
                                       cmocka_unit_test(kinds_and_contexts), cmocka_unit_test(orders),
                                       cmocka_unit_test(isolated_systems)};
    return cmocka_run_group_tests(tests, begin_all, end_world);
}
