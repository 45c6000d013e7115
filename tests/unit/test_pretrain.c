/* Stages pretrain and model: it learns, its bits do not depend on threads, its folder opens and can be
 * imported. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/dataset.h"
#include "stages/model/prompt.h"
#include <math.h>

#include "tests/test.h"
#include "tests/unit/stage_run.h"

extern const struct stage stage_pretrain, stage_model;
struct pretrain_params { /* as in stages/job/pretrain.c */
    int64_t image_size, patch, width, layers, heads, embed, text_width, text_layers, text_heads, context;
    int64_t epochs, batch, texts, seed;
    double mlp_ratio, lr, weight_decay, warmup;
    struct prompt_params prompt;
    bool augment;
};
struct model_params { /* as in stages/job/model.c */
    const char *path;
};
static const char *const colour[] = {"red", "green", "blue", "Dark_Grey"};
static const uint8_t rgb_of[4][3] = {{220, 20, 20}, {20, 220, 20}, {20, 20, 220}, {40, 40, 40}};

static double last_loss, first_loss;
static void keep_loss(struct stage_context *ctx, const char *name, double value, int64_t step)
{
    assert_string_equal(name, "loss");
    *(step == 1 ? &first_loss : &last_loss) = value;
}
static void write_image(struct stage_run *r, const char *dir, struct dataset_writer *w, int c, int k)
{
    uint8_t rgb[16 * 16 * 3], *png;
    size_t n;
    const char *id = arena_printf(&r->arena, "%s/%d.png", colour[c], k);
    for (int i = 0; i < 16 * 16 * 3; i++)
        rgb[i] = (uint8_t)(rgb_of[c][i % 3] + (i * 7 + k * 13) % 16);
    assert_true(image_encode_png(rgb, 16, 16, &png, &n, NULL));
    assert_true(fs_mkdirs(arena_printf(&r->arena, "%s/source/%s", dir, colour[c]), NULL));
    assert_true(fs_write_file(arena_printf(&r->arena, "%s/source/%s", dir, id), png, n, NULL));
    free(png);
    dataset_writer_add(w, id, dataset_writer_class(w, colour[c]), -1, 0);
}
/* Small settings, to be changed further. */
static struct pretrain_params *begin(struct stage_run *r, int classes)
{
    stage_run_begin(r, &stage_pretrain);
    struct pretrain_params *p = r->params;
    r->ctx.metric = keep_loss;
    const char *dir = stage_run_input(r, "public");
    struct dataset_writer *w = dataset_writer_new(dir);
    for (int c = 0; c < classes; c++)
        for (int k = 0; k < 6; k++)
            write_image(r, dir, w, c, k);
    assert_true(dataset_writer_finish(w, "train", 0, false, NULL));
    p->image_size = 8, p->patch = 4, p->width = 16, p->layers = 2, p->heads = 2, p->embed = 8,
    p->text_width = 8;
    p->text_layers = 1, p->text_heads = 2, p->context = 40, p->epochs = 6, p->batch = 5, p->lr = 0.01;
    assert_true(stage_pretrain.check(p, NULL));
    return p;
}
static void run(struct stage_run *r)
{
    if (!stage_run_go(r))
        fail_msg("%s", r->err.text);
}
/* All output bytes of a run with these settings; malloc'd. */
static char *output(int threads, int64_t texts, int64_t seed, size_t *n)
{
    struct stage_run r;
    struct pretrain_params *p = begin(&r, 4);
    char *bytes;
    r.ctx.threads = threads;
    p->texts = texts, p->epochs = 2, p->seed = seed;
    run(&r);
    assert_true(fs_read_file(stage_out_file(&r.ctx, "model", "model.safetensors"), &bytes, n, NULL));
    stage_run_end(&r);
    return bytes;
}
static void bits_do_not_depend_on_threads(void **state)
{
    size_t n, m;
    AUTO(mem) char *one = output(1, 128, 0, &n);
    for (int threads = 2; threads <= 3; threads++) {
        AUTO(mem) char *more = output(threads, 128, 0, &m);
        assert_true(m == n && !memcmp(one, more, n));
    }
    AUTO(mem) char *few = output(2, 2, 0, &m); /* some classes' texts a step */
    assert_true(m == n && memcmp(one, few, n));
    AUTO(mem) char *few_one = output(1, 2, 0, &m);
    assert_memory_equal(few, few_one, n);
    AUTO(mem) char *seed = output(2, 128, 1, &m);
    assert_true(m == n && memcmp(one, seed, n));
}
/* One of several templates is drawn for each step and class; two that are the same are as good as one. */
static void templates_are_drawn(void **state)
{
    static const char *const two[] = {"a {}", "a {}\na {}", "a {}\nb {}", "b {}"};
    size_t n, m;
    char *bytes[4];
    for (int i = 0; i < 4; i++) {
        struct stage_run r;
        struct pretrain_params *p = begin(&r, 4);
        p->epochs = 2, p->prompt.template = two[i];
        run(&r);
        assert_true(
            fs_read_file(stage_out_file(&r.ctx, "model", "model.safetensors"), &bytes[i], i ? &m : &n, NULL));
        assert_true(!i || m == n);
        stage_run_end(&r);
    }
    assert_memory_equal(bytes[0], bytes[1], n);
    assert_true(memcmp(bytes[0], bytes[2], n) && memcmp(bytes[3], bytes[2], n));
    for (int i = 0; i < 4; i++)
        free(bytes[i]);
}
/* Zero-shot accuracy of the trained folder on its own images. */
static double accuracy(struct stage_run *r, const char *folder)
{
    AUTO(clip) struct clip *m = NULL;
    AUTO(tokenizer) struct tokenizer *t = NULL;
    AUTO(dataset) struct dataset *d = NULL;
    struct error err = {0};
    const struct prompt_params photo = {"This is a photo of a {}", "refined", "files", "error"};
    float text[4 * 8], logits[4], embeds[8], pixels[3 * 8 * 8];
    int64_t right = 0;
    if (!clip_open(folder, &m, &err) || !tokenizer_open(folder, &t, &err) ||
        !dataset_open(stage_in(&r->ctx, "public", 0), &d, &err) ||
        !prompt_features(m, t, &photo, dataset_class_names(d), dataset_classes(d), text, &err))
        fail_msg("%s", err.text);
    struct transform tr = transform_eval(8);
    for (int64_t i = 0; i < dataset_count(d); i++) {
        int best = 0;
        struct pass p = {.batch = 1, .arena = &r->arena};
        assert_true(loader_batch(d, &i, 1, &tr, rng_stream(0, "x"), 0, 1, pixels, &err));
        assert_true(clip_image_forward(m, &p, pixels, embeds, NULL, NULL, &err));
        assert_true(clip_classify(embeds, text, 1, NULL, 1, dataset_classes(d), 8, &r->arena, logits, NULL,
                                  NULL, &err));
        for (int c = 1; c < dataset_classes(d); c++)
            best = logits[c] > logits[best] ? c : best;
        right += best == dataset_label(d, i);
    }
    return (double)right / (double)dataset_count(d);
}
static void learns_and_imports(void **state)
{
    struct stage_run r, import;
    begin(&r, 3)->epochs = 20;
    run(&r);
    assert_true(first_loss > 0.8 && last_loss < 0.5 * first_loss);
    assert_true(accuracy(&r, r.outputs[0]) >= 0.9);
    assert_true(fs_write_file(stage_out_file(&r.ctx, "model", "README.md"), "x", 1, NULL));

    stage_run_begin(&import, &stage_model);
    ((struct model_params *)import.params)->path = r.outputs[0];
    run(&import);
    assert_int_equal(import.warnings, 0);
    assert_true(accuracy(&r, import.outputs[0]) >= 0.9);
    char **list;
    size_t n;
    assert_true(fs_list_tree(import.outputs[0], &list, &n, NULL));
    assert_int_equal(n, 3); /* config.json, model.safetensors, tokenizer.json, not README.md */
    fs_list_free(list, n);
    stage_run_end(&import);

    stage_run_begin(&import, &stage_model);
    struct model_params *q = import.params;
    q->path = r.inputs[0].item[0].dir; /* no model */
    assert_false(stage_run_go(&import));
    assert_int_equal(import.err.code, ERROR_INPUT);
    q->path = "/nowhere";
    assert_false(stage_run_go(&import));
    assert_non_null(strstr(import.err.text, "/nowhere"));
    stage_run_end(&import);
    stage_run_end(&r);
}
static void refusals(void **state)
{
    struct stage_run r;
    begin(&r, 1);
    assert_false(stage_run_go(&r));
    assert_non_null(strstr(r.err.text, "at least two classes"));
    stage_run_end(&r);
    struct pretrain_params *p = begin(&r, 4);
    p->context = 24;
    assert_false(stage_run_go(&r));
    assert_non_null(strstr(r.err.text, "'context'"));
    p->patch = 3;
    assert_false(stage_pretrain.check(p, &r.err));
    p->patch = 4, p->heads = 3;
    assert_false(stage_pretrain.check(p, &r.err));
    p->heads = 2, p->prompt.template = "a photo";
    assert_false(stage_pretrain.check(p, &r.err));
    stage_run_end(&r);
}
static void costs(void **state)
{
    struct stage_run r;
    struct cost c = {0};
    stage_run_begin(&r, &stage_pretrain);
    stage_pretrain.cost(r.params, &(struct cost_input){.samples = 3000, .bytes = 1 << 20}, &c);
    assert_true(c.flops > 1e11 && c.flops < 1e14 && c.peak > 1 << 26 && c.peak < (int64_t)1 << 31);
    stage_run_end(&r);
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bits_do_not_depend_on_threads),
                                       cmocka_unit_test(learns_and_imports), cmocka_unit_test(refusals),
                                       cmocka_unit_test(templates_are_drawn), cmocka_unit_test(costs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
