/* LoRA adapters: initial values, a round trip through a PEFT folder, and what is refused. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/model/peft.h"
#include <math.h>

#include "tests/test.h"

static char dir[] = "/tmp/weft-peft-XXXXXX";
static struct clip *model;
static struct arena arena;
static const struct clip_config tiny = {
    .vision = {.width = 8, .layers = 2, .heads = 2, .mlp = 12, .eps = 1e-5},
    .text = {.width = 6, .layers = 1, .heads = 3, .mlp = 10, .eps = 1e-5},
    .image_size = 8,
    .patch = 4,
    .channels = 3,
    .vocab = 9,
    .context = 7,
    .bos = 7,
    .eos = 8,
    .embed = 5};

static void initial_values(void **state)
{
    struct adapter_set *s;
    assert_true(adapter_new(model, 3, 6, 1, true, &arena, &s, NULL));
    const struct lora *l = &s->layer[1].fc2;
    assert_int_equal(s->layers, 2);
    assert_true(l->a.rows == 3 && l->a.cols == 12 && l->b.rows == 8 && l->b.cols == 3 && l->scale == 2);
    float largest = 0;
    for (int64_t i = 0; i < mat_size(&l->a); i++)
        largest = fmaxf(largest, fabsf(l->a.w[i]));
    assert_true(largest <= 1 / sqrtf(12) && largest > 0.5f / sqrtf(12));
    for (int64_t i = 0; i < mat_size(&l->b); i++)
        assert_true(l->b.w[i] == 0 && l->b.g[i] == 0);
    struct adapter_set *same;
    assert_true(adapter_new(model, 3, 6, 1, false, &arena, &same, NULL));
    assert_memory_equal(same->layer[1].fc2.a.w, l->a.w, (size_t)mat_size(&l->a) * sizeof(float));
    assert_null(same->layer[0].fc1.a.g);
    assert_true(memcmp(same->layer[0].fc1.a.w, same->layer[1].fc1.a.w, 24 * sizeof(float)) != 0);
}
static void see_fill(void *arg, const char *name, struct mat *w)
{
    float *next = arg;
    for (int64_t i = 0; i < mat_size(w); i++)
        w->w[i] = (*next += 0.25f);
}
static void round_trip(void **state)
{
    struct adapter_set *s, *back;
    struct error err = {0};
    float next = 0;
    assert_true(adapter_new(model, 3, 6, 1, false, &arena, &s, NULL));
    adapter_each(s, see_fill, &next);
    assert_true(peft_save(s, "seed", dir, &err));
    if (!peft_load(dir, model, true, &arena, &back, &err))
        fail_msg("%s", err.text);
    assert_true(back->rank == 3 && back->alpha == 6 && back->layer[0].fc1.scale == 2 &&
                back->layer[0].fc1.a.g);
    for (int l = 0; l < 2; l++) {
        const struct lora *x = &s->layer[l].fc1, *y = &back->layer[l].fc1;
        assert_memory_equal(x->a.w, y->a.w, (size_t)mat_size(&x->a) * sizeof(float));
        assert_memory_equal(s->layer[l].fc2.b.w, back->layer[l].fc2.b.w,
                            (size_t)mat_size(&s->layer[l].fc2.b) * sizeof(float));
    }
    clip_attach(model, s);
    assert_ptr_equal(model->vision[1].ffn.lora, &s->layer[1]);
    clip_attach(model, NULL);
    assert_null(model->vision[1].ffn.lora);
}
static void config(const char *text)
{
    AUTO(mem) char *path = xprintf("%s/adapter_config.json", dir);
    assert_true(fs_write_file(path, text, strlen(text), NULL));
}
static void refused(const char *text, const char *why)
{
    struct adapter_set *s;
    struct error err = {0};
    config(text);
    assert_false(peft_load(dir, model, false, &arena, &s, &err));
    char message[4096];
    if (err.code != ERROR_INPUT || !strstr(error_string(&err, message, sizeof message), why))
        fail_msg("'%s' does not say '%s'", message, why);
}
#define GOOD "\"r\":3,\"lora_alpha\":6,\"target_modules\":[\"fc1\",\"fc2\"]"
static void refusals(void **state)
{
    refused("{\"lora_alpha\":6,\"target_modules\":[\"fc1\"]}", "'r'");
    refused("{\"r\":0,\"lora_alpha\":6,\"target_modules\":[\"fc1\"]}", "'r'");
    refused("{\"r\":3,\"lora_alpha\":6}", "target_modules");
    refused("{\"r\":3,\"lora_alpha\":6,\"target_modules\":[\"q_proj\"]}", "target_modules");
    refused("{" GOOD ",\"use_dora\":true}", "DoRA");
    refused("{" GOOD ",\"rank_pattern\":{\"fc1\":4}}", "rank_pattern");
    refused("{" GOOD ",\"bias\":\"all\"}", "bias");
    refused("{" GOOD ",\"peft_type\":\"LOHA\"}", "peft_type");
    refused("{\"r\":4,\"lora_alpha\":6,\"target_modules\":[\"fc1\",\"fc2\"]}",
            "has shape [3, 8], but [4, 8]");
}
static void rslora(void **state)
{
    struct adapter_set *s;
    struct error err = {0};
    config("{" GOOD ",\"use_rslora\":true}");
    if (!peft_load(dir, model, false, &arena, &s, &err))
        fail_msg("%s", err.text);
    assert_true(fabs(s->layer[0].fc1.scale - 6 / sqrt(3)) < 1e-6);
    struct adapter_set *back;
    assert_true(peft_save(s, NULL, dir, &err));
    assert_true(peft_load(dir, model, false, &arena, &back, &err));
    assert_true(back->layer[0].fc1.scale == s->layer[0].fc1.scale);
}
static int setup(void **state)
{
    arena_init(&arena);
    return mkdtemp(dir) && clip_new(&tiny, 1, &model, NULL) ? 0 : 1;
}
static int teardown(void **state)
{
    clip_free(model);
    arena_done(&arena);
    return fs_remove_tree(dir, NULL) ? 0 : 1;
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(initial_values), cmocka_unit_test(round_trip),
                                       cmocka_unit_test(refusals), cmocka_unit_test(rslora)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
