/* The synthetic world: the same for any thread count, disjoint splits, classes that differ, and its bounds.
 */
#include "base/cleanup.h"
#include "base/hash.h"
#include "stages/io/dataset.h"
#include "tests/test.h"
#include "tests/unit/image_make.h"
#include "tests/unit/stage_alone.h"
#include <math.h>
#include <string.h>

static char *root;

static int setup(void **state)
{
    root = make_folder();
    return 0;
}
static int teardown(void **state)
{
    fs_remove_tree(root, NULL);
    free(root);
    return 0;
}

static struct dataset *make(const char *name, const char *json, int threads)
{
    AUTO(mem) char *out = xprintf("%s/%s", root, name);
    struct dataset *d = NULL;
    struct error e = {0};
    assert_true(fs_mkdirs(out, NULL));
    if (!stage_alone(&stage_synthetic, json, out, threads, NULL, &e) || !dataset_open(out, &d, &e))
        fail_msg("%s", e.text);
    return d;
}

static void digest_of(const char *name, const char *file, char hex[DIGEST_HEX])
{
    AUTO(mem) char *path = xprintf("%s/%s/%s", root, name, file);
    struct digest d;
    assert_true(hash_file(path, &d, NULL, NULL));
    digest_hex(&d, hex);
}

static void same_for_any_threads(void **state)
{
    const char *json = "{'domain': 'public', 'per_class': 5, 'size': 24, 'seed': 3}";
    AUTO(dataset) struct dataset *a = make("a", json, 1);
    AUTO(dataset) struct dataset *b = make("b", json, 3);
    const char *const files[] = {"source", "samples.jsonl", "dataset.json"};
    for (int i = 0; i < 3; i++) {
        char x[DIGEST_HEX], y[DIGEST_HEX];
        digest_of("a", files[i], x);
        digest_of("b", files[i], y);
        assert_string_equal(x, y);
    }
    assert_int_equal(dataset_count(a), 5 * dataset_classes(a));
    assert_int_equal(dataset_count(b), dataset_count(a));
    assert_in_range(dataset_classes(a), 20, 30);
}

static void domains(void **state)
{
    const char *const domain[] = {"public", "stripes", "blobs", "rings"};
    for (int i = 0; i < 4; i++) {
        AUTO(mem)
        char *json = xprintf("{'domain': '%s', 'per_class': 2, 'size': 16, 'split': 'test'}", domain[i]);
        AUTO(dataset) struct dataset *d = make(domain[i], json, 2);
        assert_in_range(dataset_classes(d), 6, 30);
        assert_int_equal(dataset_count(d), 2 * dataset_classes(d));
        assert_memory_equal(dataset_id(d, 0), "test/", 5);
        for (int64_t k = 0; k < dataset_count(d); k++) {
            AUTO(image) struct image im = {0};
            assert_true(dataset_decode(d, k, &im, NULL));
            assert_int_equal(im.width, 16);
            assert_int_equal(im.height, 16);
            assert_non_null(strstr(dataset_id(d, k), dataset_class(d, dataset_label(d, k))));
        }
    }
}

/* No two images of all splits, seeds and classes of a domain are equal. */
static void all_differ(void **state)
{
    struct dataset *set[] = {make("x", "{'domain': 'blobs', 'per_class': 6}", 2),
                             make("y", "{'domain': 'blobs', 'per_class': 6, 'split': 'test'}", 2),
                             make("z", "{'domain': 'blobs', 'per_class': 6, 'seed': 1}", 2)};
    enum { MOST = 200, BYTES = 32 * 32 * 3 };
    AUTO(mem) uint8_t *all = xmalloc((size_t)MOST * BYTES);
    int n = 0;
    for (int s = 0; s < 3; s++) {
        for (int64_t i = 0; i < dataset_count(set[s]); i++, n++) {
            AUTO(image) struct image im = {0};
            assert_true(n < MOST && dataset_decode(set[s], i, &im, NULL));
            memcpy(all + (size_t)n * BYTES, im.rgb, BYTES);
            for (int k = 0; k < n; k++)
                assert_true(memcmp(all + (size_t)k * BYTES, im.rgb, BYTES) != 0);
        }
        dataset_close(set[s]);
    }
}

/* A class's images do not depend on which other classes there are, nor on how many images. */
static void subset(void **state)
{
    AUTO(dataset) struct dataset *all = make("all", "{'domain': 'rings', 'per_class': 3}", 2);
    AUTO(dataset) struct dataset *few = make("few", "{'domain': 'rings', 'per_class': 2, 'classes': 3}", 2);
    assert_int_equal(dataset_classes(few), 3);
    assert_int_equal(dataset_count(few), 6);
    for (int64_t i = 0; i < 6; i++) {
        AUTO(image) struct image a = {0}, b = {0};
        int64_t k = dataset_find(all, dataset_id(few, i));
        assert_true(k >= 0);
        assert_true(dataset_decode(few, i, &a, NULL) && dataset_decode(all, k, &b, NULL));
        assert_memory_equal(a.rgb, b.rgb, 32 * 32 * 3);
    }
}

static void mean_of(const struct dataset *d, double mean[3])
{
    for (int64_t i = 0; i < dataset_count(d); i++) {
        AUTO(image) struct image im = {0};
        assert_true(dataset_decode(d, i, &im, NULL));
        for (int p = 0; p < im.width * im.height; p++)
            for (int k = 0; k < 3; k++)
                mean[k] += im.rgb[3 * p + k] / 255. / (im.width * im.height) / (double)dataset_count(d);
    }
}

/* The clients' styles are apart: cloth is warm, glow is dark, signs are bright. */
static void styles(void **state)
{
    AUTO(dataset) struct dataset *cloth = make("s", "{'domain': 'stripes', 'per_class': 8}", 2);
    AUTO(dataset) struct dataset *glow = make("b", "{'domain': 'blobs', 'per_class': 8}", 2);
    AUTO(dataset) struct dataset *sign = make("r", "{'domain': 'rings', 'per_class': 8}", 2);
    double c[3] = {0}, g[3] = {0}, s[3] = {0};
    mean_of(cloth, c);
    mean_of(glow, g);
    mean_of(sign, s);
    assert_true(c[0] > c[2] + .1);
    assert_true(g[0] + g[1] + g[2] < .9);
    assert_true(s[0] + s[1] + s[2] > 1.8);
}

static void too_many_classes(void **state)
{
    struct error e = {0};
    assert_false(stage_alone(&stage_synthetic, "{'domain': 'rings', 'classes': 9}", root, 1, NULL, &e));
    assert_non_null(strstr(e.text, "rings"));
    assert_int_equal(e.code, ERROR_INPUT);
    assert_false(stage_alone(&stage_synthetic, "{'domain': 'moons'}", root, 1, NULL, &e));
    assert_false(stage_alone(&stage_synthetic, "{'domain': 'rings', 'size': 4}", root, 1, NULL, &e));
}

static void costs(void **state)
{
    for (int i = 0; i < 2; i++) {
        const struct stage *s = i ? &stage_synthetic : &stage_images;
        struct arena a;
        arena_init(&a);
        void *params = arena_alloc(&a, s->params_size);
        struct cost_input in = {.samples = 1000, .bytes = 1 << 20};
        struct cost c = {0};
        param_defaults(s->params, params, &a);
        AUTO_JSON domain = json_string("public");
        if (i)
            assert_true(param_set(param_find(s->params, "domain"), params, domain, &a, NULL));
        s->cost(params, &in, &c);
        assert_true(c.flops > 0 && c.bytes > 0 && c.peak > 0);
        arena_done(&a);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(same_for_any_threads), T(domains), T(all_differ), T(subset), T(styles), T(costs),
        T(too_many_classes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
