/* Writing and opening image data sets, and every way in which one can be wrong. */
#include "base/cleanup.h"
#include "stages/io/dataset.h"
#include "stages/io/dataset_cache.h"
#include "stages/io/safetensors.h"
#include "stages/samples.h"
#include "tests/test.h"
#include "tests/unit/image_make.h"
#include <string.h>

static char *dir;

static int setup(void **state)
{
    dir = make_folder();
    return 0;
}
static int teardown(void **state)
{
    fs_remove_tree(dir, NULL);
    free(dir);
    return 0;
}

/* Three PNG images of 4 x 4, 5 x 4, 6 x 4 in one file, added out of order. */
static void write_packed(bool keep_order)
{
    struct buf all = {0};
    struct dataset_writer *w = dataset_writer_new(dir);
    const char *id[] = {"train/dog/b.png", "train/cat/z.png", "train/dog/a.png"},
               *name[] = {"dog", "cat", "dog"};
    for (int i = 0; i < 3; i++) {
        size_t n;
        AUTO(mem) uint8_t *png = make_png(4 + i, 4, i, &n);
        dataset_writer_add(w, id[i], dataset_writer_class(w, name[i]), (int64_t)all.len, (int64_t)n);
        buf_add(&all, png, n);
    }
    make_file(dir, "source", all.data, all.len);
    dataset_writer_ignored(w, 5);
    struct error e = {0};
    assert_true(dataset_writer_finish(w, "train", 2, keep_order, &e));
    buf_done(&all);
}

static void round_trip(void **state)
{
    write_packed(false);
    AUTO(dataset) struct dataset *d = NULL;
    struct error e = {0};
    assert_true(dataset_open(dir, &d, &e));
    assert_int_equal(dataset_count(d), 3);
    assert_int_equal(dataset_classes(d), 2);
    assert_string_equal(dataset_class(d, 0), "cat");
    assert_string_equal(dataset_class_names(d)[1], "dog");
    assert_string_equal(dataset_id(d, 0), "train/cat/z.png");
    assert_string_equal(dataset_id(d, 1), "train/dog/a.png");
    assert_int_equal(dataset_label(d, 0), 0);
    assert_int_equal(dataset_label(d, 2), 1);
    for (int64_t i = 0; i < 3; i++)
        assert_int_equal(dataset_find(d, dataset_id(d, i)), i);
    assert_int_equal(dataset_find(d, "train/cat/a.png"), -1);
    const int width[] = {5, 6, 4};
    for (int64_t i = 0; i < 3; i++) {
        AUTO(image) struct image im = {0};
        assert_true(dataset_decode(d, i, &im, &e));
        assert_int_equal(im.width, width[i]);
    }
}

/* The heads of data sets' files tell how many samples there are; what is no data set has none. */
static void counted(void **state)
{
    write_packed(false);
    assert_int_equal(samples_in(ARTIFACT_IMAGES, dir), 3);
    assert_int_equal(samples_in(ARTIFACT_MODEL, dir), 0);
    assert_int_equal(samples_in(ARTIFACT_FEATURES, dir), 0); /* no such file */
    AUTO(mem) char *path = xprintf("%s/features.safetensors", dir);
    struct safetensors_writer *w = safetensors_writer_new();
    static const float x[10];
    safetensors_writer_add(w, "features", DTYPE_F32, 2, (const int64_t[]){5, 2}, x);
    assert_true(safetensors_write(w, path, NULL));
    assert_int_equal(samples_in(ARTIFACT_FEATURES, dir), 5);
    static const struct port in[] = {{.name = "a", .type = ARTIFACT_IMAGES},
                                     {.name = "b", .type = ARTIFACT_MODEL, .also = ARTIFACT_FEATURES},
                                     {0}};
    static const struct stage s = {.inputs = in};
    struct stage_input item = {.dir = dir, .also_dir = dir};
    assert_int_equal(samples_of_inputs(&s, (struct stage_inputs[]){{&item, 1}, {&item, 1}}), 5);
    assert_int_equal(samples_of_inputs(&s, (struct stage_inputs[]){{&item, 1}, {NULL, 0}}), 3);
    assert_int_equal(samples_of_inputs(&s, (struct stage_inputs[]){{NULL, 0}, {NULL, 0}}), 0);
    make_file(dir, "features.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    assert_int_equal(samples_in(ARTIFACT_FEATURES, dir), 0);
    make_file(dir, "features.safetensors", "\x20\0\0\0\0\0\0\0{}", 10); /* cut */
    assert_int_equal(samples_in(ARTIFACT_FEATURES, dir), 0);
    assert_int_equal(samples_in(ARTIFACT_SELECTION, dir), 0); /* no such file */
    make_file(dir, "selection.json", "{\"size\": 7}", 11);
    assert_int_equal(samples_in(ARTIFACT_SELECTION, dir), 7);
    make_file(dir, "dataset.json", "{\"count\": -3}", 13);
    assert_int_equal(samples_in(ARTIFACT_IMAGES, dir), 0);
}

static void class_order_kept(void **state)
{
    write_packed(true);
    AUTO(dataset) struct dataset *d = NULL;
    assert_true(dataset_open(dir, &d, NULL));
    assert_string_equal(dataset_class(d, 0), "dog");
    assert_int_equal(dataset_label(d, 0), 1); /* train/cat/z.png */
}

static void folder_source(void **state)
{
    size_t n;
    AUTO(mem) uint8_t *png = make_png(4, 4, 0, &n);
    make_file(dir, "source/cat/1.png", png, n);
    make_file(dir, "source/cat/2.png", png, n - 20);
    struct dataset_writer *w = dataset_writer_new(dir);
    const int cat = dataset_writer_class(w, "cat");
    for (int i = 1; i <= 3; i++) {
        AUTO(mem) char *id = xprintf("cat/%d.png", i);
        dataset_writer_add(w, id, cat, -1, -1);
    }
    struct error e = {0};
    AUTO(dataset) struct dataset *d = NULL;
    AUTO(image) struct image im = {0};
    assert_true(dataset_writer_finish(w, "", 0, false, &e));
    assert_true(dataset_open(dir, &d, &e));
    assert_true(dataset_decode(d, 0, &im, &e));
    struct image none = {0};
    assert_false(dataset_decode(d, 1, &none, &e)); /* truncated */
    assert_non_null(strstr(e.text, "cat/2.png"));
    assert_false(dataset_decode(d, 2, &none, &e)); /* missing */
    assert_non_null(strstr(e.text, "cat/3.png"));
}

static void twice_the_same(void **state)
{
    struct dataset_writer *w = dataset_writer_new(dir);
    for (int i = 0; i < 2; i++)
        dataset_writer_add(w, "a/1.png", dataset_writer_class(w, "a"), -1, -1);
    struct error e = {0};
    assert_false(dataset_writer_finish(w, "", 0, false, &e));
    assert_non_null(strstr(e.text, "a/1.png"));
    w = dataset_writer_new(dir);
    dataset_writer_add(w, "a/\xff.png", dataset_writer_class(w, "a"), -1, -1);
    assert_false(dataset_writer_finish(w, "", 0, false, &e));
    w = dataset_writer_new(dir);
    dataset_writer_class(w, "\xff");
    assert_false(dataset_writer_finish(w, "", 0, false, &e));
}

static void refuse(const char *meta, const char *samples, const char *why)
{
    AUTO(dataset) struct dataset *d = NULL;
    struct error e = {0};
    make_file(dir, "dataset.json", meta, strlen(meta));
    make_file(dir, "samples.jsonl", samples, strlen(samples));
    if (dataset_open(dir, &d, &e))
        fail_msg("opens: %s %s", meta, samples);
    char text[3000];
    if (!strstr(error_string(&e, text, sizeof text), why))
        fail_msg("no '%s' in: %s", why, text);
}

#define META(count)                                                                                          \
    "{\"format\":\"weft-images-1\",\"classes\":[\"a\",\"b\"],\"count\":" count ",\"source\":\"file\"}"
#define ROW(id, rest) "{\"id\":\"" id "\",\"label\":" rest "}\n"

static void wrong_sets(void **state)
{
    make_file(dir, "source", "0123456789", 10);
    AUTO(dataset) struct dataset *good = NULL;
    make_file(dir, "dataset.json", META("1"), strlen(META("1")));
    const char *row = ROW("x/1.png", "1,\"offset\":4,\"size\":6");
    make_file(dir, "samples.jsonl", row, strlen(row));
    assert_true(dataset_open(dir, &good, NULL));
    refuse(META("1"), ROW("x/1.png", "2,\"offset\":0,\"size\":1"), "label");
    refuse(META("1"), ROW("x/1.png", "-1,\"offset\":0,\"size\":1"), "label");
    refuse(META("1"), ROW("x/1.png", "4294967296,\"offset\":0,\"size\":1"), "label");
    refuse(META("1"), ROW("x/1.png", "1,\"offset\":5,\"size\":6"), "outside");
    refuse(META("1"), ROW("x/1.png", "1,\"offset\":9223372036854775807,\"size\":9223372036854775807"),
           "outside");
    refuse(META("1"), ROW("x/1.png", "1,\"offset\":-5,\"size\":2"), "outside");
    refuse(META("1"), ROW("x/1.png", "1"), "outside");
    refuse(META("1"), ROW("../1.png", "1,\"offset\":0,\"size\":1"), "not a path inside");
    refuse(META("1"), ROW("/etc/1.png", "1,\"offset\":0,\"size\":1"), "not a path inside");
    refuse(META("1"), ROW("a//1.png", "1,\"offset\":0,\"size\":1"), "not a path inside");
    refuse(META("2"), ROW("x/2.png", "1,\"offset\":0,\"size\":1") ROW("x/1.png", "1,\"offset\":0,\"size\":1"),
           "sorted");
    refuse(META("2"), ROW("x/1.png", "1,\"offset\":0,\"size\":1") ROW("x/1.png", "1,\"offset\":0,\"size\":1"),
           "sorted");
    refuse(META("3"), ROW("x/1.png", "1,\"offset\":0,\"size\":1"), "samples");
    refuse(META("1"), "{\"id\":\"x", "samples.jsonl");
    refuse(META("1"), "\n", "samples.jsonl");
    refuse("{\"format\":\"weft-images-2\",\"classes\":[\"a\"],\"count\":0,\"source\":\"file\"}", "",
           "format");
    refuse("{\"format\":\"weft-images-1\",\"classes\":[],\"count\":0,\"source\":\"file\"}", "", "classes");
    refuse("{\"format\":\"weft-images-1\",\"classes\":[3],\"count\":0,\"source\":\"file\"}", "", "classes");
    refuse("{\"format\":\"weft-images-1\",\"classes\":[\"a\"],\"count\":0,\"source\":\"disk\"}", "",
           "source");
    refuse("{\"format\":\"weft-images-1\",\"classes\":[\"a\"],\"count\":0,\"source\":\"folder\"}", "",
           "folder");
    refuse("{\"format\":", "", "dataset.json");
}

static void cache_is_bounded(void **state)
{
    struct image_cache *c = image_cache_new(4, 100);
    struct image im[4];
    for (int i = 0; i < 4; i++)
        im[i] = (struct image){.rgb = xcalloc(1, 48), .width = 4, .height = 4};
    assert_null(image_cache_get(c, 0, 4));
    assert_true(image_cache_has_room(c, 4, 100));
    assert_non_null(image_cache_put(c, 0, 4, &im[0]));
    assert_null(im[0].rgb);
    assert_non_null(image_cache_get(c, 0, 4));
    assert_null(image_cache_get(c, 0, 5)); /* another kind: neither found nor kept */
    assert_false(image_cache_has_room(c, 5, 1));
    assert_null(image_cache_put(c, 1, 5, &im[1]));
    assert_null(image_cache_put(c, 0, 4, &im[1])); /* taken */
    assert_true(image_cache_has_room(c, 4, 52));
    assert_false(image_cache_has_room(c, 4, 53));
    assert_non_null(image_cache_put(c, 1, 4, &im[1]));
    assert_null(image_cache_put(c, 2, 4, &im[2])); /* full */
    assert_non_null(im[2].rgb);
    image_cache_free(c);
    for (int i = 0; i < 4; i++)
        image_free(&im[i]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(round_trip),      T(counted),        T(class_order_kept),
                                       T(folder_source),   T(twice_the_same), T(wrong_sets),
                                       T(cache_is_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
