/* The stage pseudolabel: the chosen public images, labelled as evaluate would predict them with the same
 * expert; which are chosen; the client's images are not looked at; refusals. */
#include "base/json.h"
#include "stages/model/peft.h"

#include "tests/unit/moe_stages.h"

extern const struct stage stage_pseudolabel, stage_evaluate;

static void randomise(void *arg, const char *name, struct mat *w)
{
    for (int64_t i = 0; i < mat_size(w); i++)
        w->w[i] = 0.4f * rng_normal(arg);
}
/* The public images as noise, in which an expert sees different things. */
static void write_noise(void)
{
    struct rng r = rng_at(rng_stream(4, "test.pseudolabel"), 0, 0);
    for (int i = 0; i < 4 * 5; i++) {
        uint8_t rgb[12 * 12 * 3], *png;
        size_t n;
        uint32_t low[3], span = 1 + rng_u32(&r) % 100;
        for (int c = 0; c < 3; c++)
            low[c] = rng_u32(&r) % 156;
        for (int k = 0; k < 12 * 12 * 3; k++)
            rgb[k] = (uint8_t)(low[k % 3] + rng_u32(&r) % span);
        assert_true(image_encode_png(rgb, 12, 12, &png, &n, NULL));
        assert_true(fs_write_file(
            arena_printf(&arena, "%s/%s/%d.png", path("public/source"), colour[i / 5], i % 5), png, n, NULL));
        free(png);
    }
}
static int make(void **state)
{
    AUTO(clip) struct clip *m = NULL;
    struct adapter_set *a;
    struct rng r = rng_at(rng_stream(6, "test.pseudolabel"), 0, 0);
    make_world(state);
    write_noise();
    assert_true(clip_open(path("seed"), &m, NULL));
    assert_true(adapter_new(m, 2, 4, 0, false, &arena, &a, NULL));
    adapter_each(a, randomise, &r);
    assert_true(peft_save(a, NULL, folder("adapter"), NULL));
    write_set("client", 0, 6, 1);
    write_selection("all",
                    "{\"ids\": [\"yellow/3.png\", \"red/1.png\", \"green/4.png\", \"blue/2.png\", "
                    "\"red/0.png\", \"green/2.png\", \"blue/0.png\", \"yellow/0.png\", \"green/0.png\"]}");
    return 0;
}
static void begin_labels(struct stage_run *r, const char *selection)
{
    begin(r, &stage_pseudolabel, 2);
    stage_run_connect(r, "model", path("seed"));
    stage_run_connect(r, "adapter", path("adapter"));
    stage_run_connect(r, "data", path("public"));
    stage_run_connect(r, "selection", path(selection));
    stage_run_connect(r, "classes", path("client"));
    stage_run_set(r, "batch", "4");
}
static struct dataset *made(struct stage_run *r)
{
    struct dataset *d;
    if (!dataset_open(r->outputs[0], &d, &r->err))
        fail_msg("%s", r->err.text);
    return d;
}
static void has(const struct dataset *d, const char *const *id, int n)
{
    assert_int_equal(dataset_count(d), n);
    for (int i = 0; i < n; i++)
        assert_string_equal(dataset_id(d, i), id[i]);
}

/* ---- tests ---- */
/* What evaluate predicts of the same images with the same expert, other labels on them. */
static void as_predicted(void **state)
{
    struct stage_run r, again;
    begin_labels(&r, "all");
    go(&r);
    AUTO(dataset) struct dataset *d = made(&r);
    AUTO(dataset) struct dataset *client = NULL;
    assert_true(dataset_open(path("client"), &client, NULL));
    assert_int_equal(dataset_count(d), 9);
    assert_int_equal(dataset_classes(d), 6);
    for (int c = 0; c < 6; c++)
        assert_string_equal(dataset_class(d, c), dataset_class(client, c));
    int other = 0;
    for (int i = 1; i < 9; i++)
        other += dataset_label(d, i) != dataset_label(d, 0);
    assert_true(other > 0); /* else any rule would do */
    begin(&again, &stage_evaluate, 1);
    stage_run_connect(&again, "model", path("seed"));
    stage_run_connect(&again, "adapter", path("adapter"));
    stage_run_connect(&again, "data", r.outputs[0]);
    go(&again);
    AUTO_JSON m = stage_run_json(&again, "metrics", "metrics.json");
    assert_int_equal(json_int_or(json_array_get(json_object_get(m, "rows"), 0), "correct", 0), 9);
    stage_run_end(&again);
    stage_run_end(&r);
}
static void which(void **state)
{
    static const char *const left[] = {"blue/2.png", "green/0.png",  "green/4.png",
                                       "red/0.png",  "yellow/0.png", "yellow/3.png"};
    static const char *const first[] = {"blue/2.png", "green/4.png", "yellow/3.png"};
    for (int some = 0; some < 2; some++) {
        struct stage_run r;
        begin_labels(&r, "all");
        stage_run_connect(&r, "except", path("proxy.one"));
        stage_run_connect(&r, "except", path("proxy.two"));
        stage_run_set(&r, "count", some ? "3" : "0");
        go(&r);
        AUTO(dataset) struct dataset *d = made(&r);
        has(d, some ? first : left, some ? 3 : 6);
        assert_int_equal(r.warnings, 0);
        stage_run_end(&r);
    }
    struct stage_run r;
    begin_labels(&r, "proxy.one");
    stage_run_set(&r, "count", "4");
    go(&r);
    assert_int_equal(r.warnings, 1); /* there are three */
    stage_run_end(&r);
}
/* Another set of the same names, whose images are gone. */
static void names_alone(void **state)
{
    struct stage_run r, other;
    begin_labels(&r, "all");
    go(&r);
    write_set("names", 0, 6, 1);
    fs_remove_tree(path("names/source"), NULL);
    folder("names/source");
    begin_labels(&other, "all");
    other.inputs[stage_port_index(stage_pseudolabel.inputs, "classes")].item[0].dir = path("names");
    go(&other);
    same_file(stage_out_file(&r.ctx, "images", "samples.jsonl"),
              stage_out_file(&other.ctx, "images", "samples.jsonl"));
    stage_run_end(&r);
    stage_run_end(&other);
}
static void refusals(void **state)
{
    struct stage_run r;
    begin_labels(&r, "proxy.bad");
    fails(&r, "'nowhere.png' is not in the public data set");
    begin_labels(&r, "proxy.one");
    stage_run_connect(&r, "except", path("proxy.one"));
    fails(&r, "no image is left");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_predicted), cmocka_unit_test(which),
                                       cmocka_unit_test(names_alone), cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, make, end_world);
}
