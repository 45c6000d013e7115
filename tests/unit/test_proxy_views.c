/* What looks at a proxy set: the measures of diversity against plain loops, and stages diagnose, map and
 * contact on a small world. */
#include "base/cleanup.h"
#include "base/rng.h"
#include "stages/algo/diversity.h"
#include "stages/io/dataset.h"
#include "stages/io/safetensors.h"
#include "stages/stage.h"
#include <math.h>

#include "tests/test.h"
#include "tests/unit/image_make.h"
#include "tests/unit/stage_run.h"
#include "tests/unit/xml_check.h"

extern const struct stage stage_contact, stage_diagnose, stage_images, stage_map, stage_synthetic;

enum { PUBLIC = 40, PRIVATE = 12, D = 6, CHOSEN = 5 };
static float public[PUBLIC * D], private[PRIVATE * D], relevance[PUBLIC];

static int setup(void **state)
{
    (void)state;
    struct rng r = rng_at(rng_stream(9, "test.views"), 0, 0);
    for (int i = 0; i < PUBLIC * D; i++)
    public[i] = rng_normal(&r);
    for (int i = 0; i < PRIVATE * D; i++)
    private[i] = rng_normal(&r);
    for (int i = 0; i < PUBLIC; i++)
        relevance[i] = 0.1f + 0.8f * (float)((i * 7) % PUBLIC) / PUBLIC;
    return 0;
}
static double dot(const float *a, const float *b)
{
    double s = 0;
    for (int j = 0; j < D; j++)
        s += (double)a[j] * (double)b[j];
    return s;
}
static double cosine(const float *a, const float *b)
{
    return dot(a, b) / sqrt(dot(a, a) * dot(b, b));
}
static void near(double got, double want)
{
    if (fabs(got - want) > 1e-5)
        fail_msg("%.9g, wanted %.9g", got, want);
}
static double naive_pairs(const float *x, const int *row, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            sum += i == j ? 0 : cosine(x + row[i] * D, x + row[j] * D) / (n * (n - 1));
    return sum;
}
static double naive_coverage(const int *row, int n)
{
    double sum = 0;
    for (int i = 0; i < PRIVATE; i++) {
        double best = -1;
        for (int j = 0; j < n; j++)
            best = fmax(best, cosine(private + i * D, public + row[j] * D));
        sum += best / PRIVATE;
    }
    return sum;
}

/* ---- a small world ---- */

static void put_features(struct stage_run *r, const char *port, const char *prefix, const float *x, int n)
{
    const char *dir = stage_run_input(r, port);
    AUTO(buf) struct buf ids = {0};
    for (int i = 0; i < n; i++)
        buf_printf(&ids, "%s\"%s%d\"", i ? ", " : "[", prefix, i);
    buf_puts(&ids, "]");
    stage_run_file(r, dir, "ids.json", buf_str(&ids));
    struct safetensors_writer *w = safetensors_writer_new();
    safetensors_writer_add(w, "features", DTYPE_F32, 2, (int64_t[]){n, D}, x);
    assert_true(safetensors_write(w, arena_printf(&r->arena, "%s/features.safetensors", dir), &r->err));
}
static void put_relevance(struct stage_run *r)
{
    struct safetensors_writer *w = safetensors_writer_new();
    safetensors_writer_add(w, "relevance", DTYPE_F32, 1, (int64_t[]){PUBLIC}, relevance);
    assert_true(safetensors_write(
        w, arena_printf(&r->arena, "%s/relevance.safetensors", stage_run_input(r, "relevance")), &r->err));
}
static void put_selection(struct stage_run *r, const char *port, const char *method, const int *row, int n)
{
    AUTO(buf) struct buf ids = {0};
    AUTO(buf) struct buf indices = {0};
    for (int i = 0; i < n; i++) {
        buf_printf(&ids, "%s\"p%d\"", i ? ", " : "", row[i]);
        buf_printf(&indices, "%s%d", i ? ", " : "", row[i]);
    }
    stage_run_file(r, stage_run_input(r, port), "selection.json",
                   arena_printf(&r->arena, "{\"method\": \"%s\", \"ids\": [%s], \"indices\": [%s]}", method,
                                buf_str(&ids), buf_str(&indices)));
}
static double value(const json_t *metrics, const char *system, const char *metric)
{
    size_t at;
    json_t *row;
    json_array_foreach(json_object_get(metrics, "rows"), at, row)
    {
        if (!strcmp(json_string_or(row, "system", ""), system) &&
            !strcmp(json_string_or(row, "metric", ""), metric))
            return json_real_or(row, "value", NAN);
    }
    fail_msg("no %s of %s", metric, system);
    return 0;
}
static void go(struct stage_run *r)
{
    if (!stage_run_go(r))
        fail_msg("%s: %s", r->ctx.stage->name, r->err.text);
}
static const int chosen[CHOSEN] = {3, 17, 8, 30, 21};

/* log det of diag(r) cos diag(r) by elimination. */
static double naive_logdet(const int *row, int n)
{
    double m[CHOSEN][CHOSEN], sum = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            m[i][j] = (double)relevance[row[i]] * (double)relevance[row[j]] *
                      cosine(public + row[i] * D, public + row[j] * D);
    for (int k = 0; k < n; k++) {
        sum += log(m[k][k]);
        for (int i = k + 1; i < n; i++)
            for (int j = n - 1; j >= k; j--)
                m[i][j] -= m[i][k] / m[k][k] * m[k][j];
    }
    return sum;
}
static void test_diagnose(void **state)
{
    (void)state;
    struct stage_run r;
    int top[CHOSEN] = {0}, taken[PUBLIC] = {0};
    double mean = 0, log_r = 0;
    stage_run_begin(&r, &stage_diagnose);
    stage_run_set(&r, "domain", "\"pets\"");
    put_features(&r, "features", "p", public, PUBLIC);
    put_features(&r, "private", "c", private, PRIVATE);
    put_relevance(&r);
    put_selection(&r, "selection", "dpp", chosen, CHOSEN);
    go(&r);
    AUTO_JSON m = stage_run_json(&r, "metrics", "metrics.json");
    for (int k = 0; k < CHOSEN; k++) { /* the most relevant ones */
        for (int i = 1; i < PUBLIC; i++)
            if (!taken[i] && (taken[top[k]] || relevance[i] > relevance[top[k]]))
                top[k] = i;
        taken[top[k]] = 1;
        mean += (double)relevance[chosen[k]] / CHOSEN;
        log_r += log((double)relevance[chosen[k]]);
    }
    near(value(m, "selected", "logdet"), naive_logdet(chosen, CHOSEN));
    near(value(m, "selected", "relevance"), mean);
    near(value(m, "selected", "log_relevance"), log_r);
    near(value(m, "selected", "cosine"), naive_pairs(public, chosen, CHOSEN));
    near(value(m, "selected", "coverage"), naive_coverage(chosen, CHOSEN));
    near(value(m, "selected", "rank"), CHOSEN);
    near(value(m, "selected", "duplicates"), 0);
    near(value(m, "most relevant", "cosine"), naive_pairs(public, top, CHOSEN));
    near(value(m, "most relevant", "coverage"), naive_coverage(top, CHOSEN));
    assert_true(value(m, "random", "relevance") < value(m, "most relevant", "relevance"));
    stage_run_end(&r);
}
/* Twice the same sample, without private features. */
static void test_duplicates(void **state)
{
    (void)state;
    const int twice[3] = {3, 17, 3};
    struct stage_run r;
    stage_run_begin(&r, &stage_diagnose);
    put_features(&r, "features", "p", public, PUBLIC);
    put_relevance(&r);
    put_selection(&r, "selection", "dpp", twice, 3);
    go(&r);
    AUTO_JSON m = stage_run_json(&r, "metrics", "metrics.json");
    near(value(m, "selected", "duplicates"), 1);
    near(value(m, "selected", "rank"), 2);
    AUTO(mem) char *text = stage_run_text(&r, "metrics", "metrics.json");
    assert_null(strstr(text, "coverage"));
    stage_run_end(&r);
    stage_run_begin(&r, &stage_diagnose);
    put_features(&r, "features", "other", public, PUBLIC);
    put_relevance(&r);
    put_selection(&r, "selection", "dpp", twice, 3);
    assert_false(stage_run_go(&r));
    assert_non_null(strstr(r.err.text, "selection[0] is no selection of samples of the features"));
    stage_run_end(&r);
}

/* Of the 20 most relevant ones 4 are selected: at most 16 are left as candidates. */
static void map_with(const char *most, int want)
{
    const int other[2] = {3, 39};
    struct stage_run r;
    int private_points = 0, selected = 0, candidates = 0, first = 0, second = 0;
    stage_run_begin(&r, &stage_map);
    stage_run_set(&r, "pool", "20");
    stage_run_set(&r, "candidates", most);
    stage_run_set(&r, "private", "9");
    stage_run_set(&r, "perplexity", "5");
    stage_run_set(&r, "iterations", "50");
    stage_run_set(&r, "title", "\"A & B\"");
    put_features(&r, "features", "p", public, PUBLIC);
    put_features(&r, "private", "c", private, PRIVATE);
    put_relevance(&r);
    put_selection(&r, "selections", "dpp", chosen, CHOSEN);
    put_selection(&r, "selections", "similarity", other, 2);
    go(&r);
    AUTO_JSON j = stage_run_json(&r, "picture", "picture.json");
    size_t at;
    json_t *point;
    json_array_foreach(json_object_get(j, "points"), at, point)
    {
        const char *kind = json_string_or(point, "kind", ""), *id = json_string_or(point, "id", "");
        const json_t *panels = json_object_get(point, "panels");
        int row = (int)strtol(id + 1, NULL, 10);
        private_points += !strcmp(kind, "private");
        candidates += !strcmp(kind, "candidate");
        selected += !strcmp(kind, "selected");
        assert_int_equal(id[0], strcmp(kind, "private") ? 'p' : 'c');
        for (size_t k = 0; k < json_array_size(panels); k++)
            *(json_integer_value(json_array_get(panels, k)) ? &second : &first) += 1;
        if (!strcmp(kind, "candidate")) { /* of the 20 most relevant */
            int above = 0;
            for (int i = 0; i < PUBLIC; i++)
                above += relevance[i] > relevance[row];
            assert_true(above < 20);
        }
        assert_true(isfinite(json_real_or(point, "x", NAN)) && isfinite(json_real_or(point, "y", NAN)));
    }
    assert_true(private_points == 9 && candidates == want && selected == 6 && first == 5 && second == 2);
    assert_true(json_real_or(j, "kl", -1) > 0);
    AUTO(mem) char *svg = stage_run_text(&r, "picture", "picture.svg");
    check_xml(svg);
    int dots = 0;
    for (const char *c = svg; (c = strstr(c, "<circle")); c++)
        dots++;
    assert_int_equal(dots, 2 * (15 + want) + 3); /* two panels of all points, and the legend */
    assert_false(stage_map.outputs[0].releases); /* a picture of private samples stays theirs */
    stage_run_end(&r);
}

static void test_map(void **state)
{
    (void)state;
    map_with("7", 7);
    map_with("100", 16);
}

/* A sheet of three generated images: their middles, where picture.json says. */
static void test_contact(void **state)
{
    (void)state;
    struct stage_run world, r;
    stage_run_begin(&world, &stage_synthetic);
    stage_run_set(&world, "domain", "\"stripes\"");
    stage_run_set(&world, "per_class", "1");
    stage_run_set(&world, "size", "16");
    go(&world);
    AUTO(dataset) struct dataset *d = NULL;
    assert_true(dataset_open(world.outputs[0], &d, &world.err));
    const int64_t pick[3] = {4, 0, 2};
    stage_run_begin(&r, &stage_contact);
    stage_run_set(&r, "columns", "2");
    stage_run_set(&r, "cell", "16");
    stage_run_connect(&r, "data", world.outputs[0]);
    stage_run_file(&r, stage_run_input(&r, "selection"), "selection.json",
                   arena_printf(&r.arena, "{\"ids\": [\"%s\", \"%s\", \"%s\"]}", dataset_id(d, pick[0]),
                                dataset_id(d, pick[1]), dataset_id(d, pick[2])));
    go(&r);
    AUTO(mem) char *png = NULL;
    size_t n;
    AUTO(image) struct image sheet = {0};
    assert_true(fs_read_file(stage_out_file(&r.ctx, "picture", "picture.png"), &png, &n, &r.err));
    assert_true(image_decode((const uint8_t *)png, n, &sheet, &r.err));
    assert_true(sheet.width == 2 + 2 * 18 && sheet.height == 2 + 2 * 18);
    AUTO_JSON j = stage_run_json(&r, "picture", "picture.json");
    for (int i = 0; i < 3; i++) {
        const json_t *cell = json_array_get(json_object_get(j, "cells"), (size_t)i);
        AUTO(image) struct image want = {0};
        assert_string_equal(json_string_or(cell, "id", ""), dataset_id(d, pick[i]));
        assert_int_equal(json_int_or(cell, "row", -1), i / 2);
        assert_int_equal(json_int_or(cell, "column", -1), i % 2);
        assert_true(dataset_decode(d, pick[i], &want, &r.err));
        for (int y = 0; y < 16; y++)
            assert_memory_equal(want.rgb + y * 16 * 3,
                                sheet.rgb + ((2 + i / 2 * 18 + y) * sheet.width + 2 + i % 2 * 18) * 3,
                                16 * 3);
    }
    for (int k = 0; k < 3; k++) /* the empty cell and the gaps are white */
        assert_true(sheet.rgb[((size_t)30 * (size_t)sheet.width + 30) * 3 + (size_t)k] == 255 &&
                    sheet.rgb[k] == 255);
    stage_run_end(&r);
    stage_run_begin(&r, &stage_contact);
    stage_run_connect(&r, "data", world.outputs[0]);
    stage_run_file(&r, stage_run_input(&r, "selection"), "selection.json", "{\"ids\": [\"nowhere\"]}");
    assert_false(stage_run_go(&r));
    assert_non_null(strstr(r.err.text, "'nowhere' is not in the data set"));
    stage_run_end(&r);
    stage_run_end(&world);
}
/* Of an image that is wider than high the middle is cut out. */
static void test_contact_wide(void **state)
{
    (void)state;
    struct stage_run world, r;
    char *folder = make_folder();
    size_t n;
    AUTO(mem) uint8_t *png = make_png(20, 12, 3, &n);
    make_file(folder, "train/cat/a.png", png, n);
    stage_run_begin(&world, &stage_images);
    AUTO(mem) char *path = xprintf("\"%s\"", folder);
    stage_run_set(&world, "path", path);
    go(&world);
    AUTO(dataset) struct dataset *d = NULL;
    AUTO(image) struct image full = {0};
    AUTO(image) struct image small = {0};
    AUTO(image) struct image sheet = {0};
    assert_true(dataset_open(world.outputs[0], &d, &world.err) && dataset_decode(d, 0, &full, &world.err));
    assert_true(image_resize_short(&full, 8, IMAGE_BICUBIC, &small, &world.err));
    assert_true(small.width == 13 && small.height == 8);
    stage_run_begin(&r, &stage_contact);
    stage_run_set(&r, "cell", "8");
    stage_run_connect(&r, "data", world.outputs[0]);
    stage_run_file(&r, stage_run_input(&r, "selection"), "selection.json",
                   arena_printf(&r.arena, "{\"ids\": [\"%s\"]}", dataset_id(d, 0)));
    go(&r);
    AUTO(mem) char *text = NULL;
    assert_true(fs_read_file(stage_out_file(&r.ctx, "picture", "picture.png"), &text, &n, &r.err));
    assert_true(image_decode((const uint8_t *)text, n, &sheet, &r.err) && sheet.width == 12);
    for (int y = 0; y < 8; y++)
        assert_memory_equal(small.rgb + (y * 13 + 2) * 3, sheet.rgb + ((y + 2) * 12 + 2) * 3, 8 * 3);
    stage_run_end(&r);
    stage_run_end(&world);
    fs_remove_tree(folder, NULL);
    free(folder);
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_diagnose), cmocka_unit_test(test_duplicates),
                                       cmocka_unit_test(test_map), cmocka_unit_test(test_contact),
                                       cmocka_unit_test(test_contact_wide)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
