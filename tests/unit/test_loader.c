/* The loader: its equation, its randomness, and that threads, batches and the cache change nothing. */
#include "base/cleanup.h"
#include "stages/io/dataset.h"
#include "stages/io/dataset_cache.h"
#include "tests/test.h"
#include "tests/unit/image_make.h"
#include <math.h>
#include <string.h>

enum { N = 13, S = 16, PIXELS = 3 * S * S };
static char *dir;
static struct dataset *set;

/* N images of different sizes; number 5 is damaged where `bad`. */
static void make_set(bool bad)
{
    struct buf all = {0};
    struct dataset_writer *w = dataset_writer_new(dir);
    for (int i = 0; i < N; i++) {
        size_t n;
        AUTO(mem) uint8_t *png = make_png(17 + 3 * i, 40 - 2 * i, i, &n);
        AUTO(mem) char *id = xprintf("c/%02d.png", i);
        if (bad && (i == 5 || i == 9))
            png[n / 2] ^= 1;
        dataset_writer_add(w, id, dataset_writer_class(w, "c"), (int64_t)all.len, (int64_t)n);
        buf_add(&all, png, n);
    }
    make_file(dir, "source", all.data, all.len);
    buf_done(&all);
    assert_true(dataset_writer_finish(w, "", 0, false, NULL));
    assert_true(dataset_open(dir, &set, NULL));
}
static int setup(void **state)
{
    dir = make_folder();
    make_set(false);
    return 0;
}
static int setup_bad(void **state)
{
    dir = make_folder();
    make_set(true);
    return 0;
}
static int teardown(void **state)
{
    dataset_close(set);
    set = NULL;
    fs_remove_tree(dir, NULL);
    free(dir);
    return 0;
}

static float *load(const int64_t *idx, int64_t n, struct transform t, uint32_t epoch, int threads)
{
    float *out = xmalloc(sizeof *out * PIXELS * (size_t)n);
    struct error e = {0};
    if (!loader_batch(set, idx, n, &t, rng_stream(7, "test.loader"), epoch, threads, out, &e))
        fail_msg("%s", e.text);
    return out;
}

static void reopen(void)
{
    dataset_close(set);
    assert_true(dataset_open(dir, &set, NULL));
}

/* (rgb / 255 - mean) / std of the centre of the resized image. */
static void evaluation(void **state)
{
    const double mean[] = {.48145466, .4578275, .40821073}, std[] = {.26862954, .26130258, .27577711};
    for (int64_t i = 0; i < N; i++) {
        AUTO(mem) float *out = load(&i, 1, transform_eval(S), 0, 1);
        AUTO(image) struct image im = {0}, r = {0};
        assert_true(dataset_decode(set, i, &im, NULL));
        assert_true(image_resize_short(&im, S, IMAGE_BICUBIC, &r, NULL));
        int x0 = (int)rint((r.width - S) / 2.), y0 = (int)rint((r.height - S) / 2.);
        for (int k = 0; k < 3; k++)
            for (int y = 0; y < S; y++)
                for (int x = 0; x < S; x++) {
                    double want = (r.rgb[((y0 + y) * r.width + x0 + x) * 3 + k] / 255. - mean[k]) / std[k];
                    assert_true(fabs(out[(k * S + y) * S + x] - want) < 1e-6);
                }
    }
}

static void same_for_any_threads(void **state)
{
    int64_t idx[N];
    for (int i = 0; i < N; i++)
        idx[i] = (i * 5) % N;
    for (int kind = 0; kind < 3; kind++) {
        struct transform t = kind == 0   ? transform_eval(S)
                             : kind == 1 ? transform_train(S)
                                         : transform_resized(S);
        reopen();
        AUTO(mem) float *one = load(idx, N, t, 3, 1);
        AUTO(mem) float *cached = load(idx, N, t, 3, 2);
        reopen();
        AUTO(mem) float *many = load(idx, N, t, 3, 4);
        assert_memory_equal(one, many, sizeof *one * PIXELS * N);
        assert_memory_equal(one, cached, sizeof *one * PIXELS * N);
        for (int i = 0; i < N; i++) { /* alone, in another order, through another transform's cache */
            AUTO(mem) float *alone = load(&idx[N - 1 - i], 1, t, 3, 1);
            assert_memory_equal(alone, one + (size_t)(N - 1 - i) * PIXELS, sizeof *one * PIXELS);
        }
    }
}

static void epochs_differ(void **state)
{
    int64_t idx[N];
    int differ = 0;
    for (int i = 0; i < N; i++)
        idx[i] = i;
    AUTO(mem) float *a = load(idx, N, transform_train(S), 0, 2);
    AUTO(mem) float *b = load(idx, N, transform_train(S), 1, 2);
    AUTO(mem) float *c = load(idx, N, transform_eval(S), 0, 2);
    AUTO(mem) float *d = load(idx, N, transform_eval(S), 1, 2);
    for (int i = 0; i < N; i++)
        differ += memcmp(a + i * PIXELS, b + i * PIXELS, sizeof *a * PIXELS) != 0;
    assert_true(differ >= N - 2);
    assert_memory_equal(c, d, sizeof *c * PIXELS * N);
}

/* Over many epochs every offset and both directions appear: each output is a window of the resized image or
 * its mirror. */
static void augmentation_covers(void **state)
{
    struct transform t = transform_train(S);
    assert_int_equal(t.resize, 18); /* round(16 * 256 / 224) */
    int64_t i = 3;                  /* 26 x 34 */
    AUTO(image) struct image im = {0}, r = {0};
    assert_true(dataset_decode(set, i, &im, NULL));
    assert_true(image_resize_short(&im, 18, IMAGE_BILINEAR, &r, NULL));
    int seen[64] = {0}, flips = 0, kinds = 0;
    for (uint32_t epoch = 0; epoch < 200; epoch++) {
        AUTO(mem) float *out = load(&i, 1, t, epoch, 1);
        int found = -1;
        for (int k = 0; k < 2 * (r.width - S + 1) * (r.height - S + 1) && found < 0; k++) {
            int flip = k & 1, x0 = (k / 2) % (r.width - S + 1), y0 = (k / 2) / (r.width - S + 1);
            bool same = true;
            for (int y = 0; y < S && same; y++)
                for (int x = 0; x < S && same; x++) {
                    int sx = flip ? S - 1 - x : x;
                    double v = r.rgb[((y0 + y) * r.width + x0 + sx) * 3] / 255.;
                    same = fabs(out[y * S + x] - (v - .48145466) / .26862954) < 1e-5 &&
                           fabs(out[2 * S * S + y * S + x] -
                                (r.rgb[((y0 + y) * r.width + x0 + sx) * 3 + 2] / 255. - .40821073) /
                                    .27577711) < 1e-5;
                }
            found = same ? k : -1;
        }
        assert_true(found >= 0 && found < 64);
        kinds += !seen[found]++;
        flips += found & 1;
    }
    assert_in_range(flips, 70, 130);
    assert_true(kinds > 3 * (r.width - S + 1) * (r.height - S + 1) / 2);
}

/* Random resized crops: the box that the sample's own numbers give, cut out, resized, perhaps mirrored. */
static void random_resized(void **state)
{
    struct transform t = transform_resized(S);
    int flips = 0;
    for (int64_t i = 0; i < N; i++)
        for (uint32_t epoch = 0; epoch < 6; epoch++) {
            AUTO(mem) float *out = load(&i, 1, t, epoch, 1);
            AUTO(image) struct image im = {0}, r = {0};
            bool flip;
            assert_true(dataset_decode(set, i, &im, NULL));
            struct rng g = rng_at(rng_stream(7, "test.loader"), (uint64_t)i, epoch);
            struct image_box b = transform_window(&t, im.width, im.height, &g, &flip);
            AUTO(mem) uint8_t *cut = xmalloc((size_t)(b.width * b.height * 3));
            for (int y = 0; y < b.height; y++)
                memcpy(cut + y * b.width * 3, im.rgb + ((b.y + y) * im.width + b.x) * 3, (size_t)b.width * 3);
            struct image part = {cut, b.width, b.height};
            assert_true(image_resize(&part, S, S, IMAGE_BILINEAR, &r, NULL));
            for (int p = 0; p < S * S; p++) {
                int x = flip ? S - 1 - p % S : p % S;
                double want = (r.rgb[(p / S * S + x) * 3 + 1] / 255. - .4578275) / .26130258;
                assert_true(fabs(out[S * S + p] - want) < 1e-6);
            }
            flips += flip;
        }
    assert_in_range(flips, N * 6 / 4, N * 6 * 3 / 4);
}

/* A set too large for its cache, and one that fits: the same pixels in every epoch. */
static void with_and_without_room(void **state)
{
    const struct transform kinds[] = {transform_eval(S), transform_train(S), transform_resized(S)};
    for (int k = 0; k < 3; k++) {
        reopen();
        AUTO(mem) float *before = xcalloc(3 * N, sizeof *before * PIXELS);
        for (int pass = 0; pass < 2; pass++) {
            for (uint32_t epoch = 0; epoch < 3; epoch++)
                for (int64_t i = 0; i < N; i++) {
                    AUTO(mem) float *out = load(&i, 1, kinds[k], epoch, 1);
                    float *kept = before + ((int64_t)epoch * N + i) * PIXELS;
                    if (pass == 0)
                        memcpy(kept, out, sizeof *out * PIXELS);
                    assert_memory_equal(kept, out, sizeof *out * PIXELS);
                }
            if (pass == 0) { /* of another kind: nothing of the next ones is kept */
                struct image other = {.rgb = xcalloc(1, 3), .width = 1, .height = 1};
                reopen();
                assert_non_null(image_cache_put(dataset_cache(set), 0, INT64_MAX, &other));
            }
        }
    }
}

/* Of the centre crop the cache keeps the window, of the random one all: they are never taken for each other,
 * resized alike as they are. */
static void crops_do_not_share_the_cache(void **state)
{
    struct transform random = transform_eval(S);
    random.crop = CROP_RANDOM;
    for (int64_t i = 0; i < N; i++) {
        reopen();
        AUTO(mem) float *first = load(&i, 1, random, 5, 1);
        reopen();
        AUTO(mem) float *centre = load(&i, 1, transform_eval(S), 5, 1); /* fills the cache */
        (void)centre;
        AUTO(mem) float *after = load(&i, 1, random, 5, 1);
        assert_memory_equal(first, after, sizeof *first * PIXELS);
    }
}

static void damaged_sample(void **state)
{
    int64_t idx[N];
    float out[PIXELS * N];
    struct transform t = transform_eval(S);
    for (int i = 0; i < N; i++)
        idx[i] = N - 1 - i;
    for (int threads = 1; threads <= 4; threads++) {
        struct error e = {0};
        assert_false(loader_batch(set, idx, N, &t, rng_stream(0, "x"), 0, threads, out, &e));
        assert_non_null(strstr(e.text, "c/09.png")); /* the first in the order asked for */
        assert_int_equal(e.code, ERROR_INPUT);
        assert_false(loader_batch(set, idx, N, &t, rng_stream(0, "x"), 0, threads, out, NULL));
    }
}

static void impossible_crop(void **state)
{
    int64_t zero = 0;
    float out[PIXELS];
    struct transform t = {.size = S, .resize = S - 1};
    struct error e = {0};
    assert_false(loader_batch(set, &zero, 1, &t, rng_stream(0, "x"), 0, 1, out, &e));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(evaluation),
        T(same_for_any_threads),
        T(epochs_differ),
        T(augmentation_covers),
        T(random_resized),
        T(with_and_without_room),
        T(crops_do_not_share_the_cache),
        T(impossible_crop),
        cmocka_unit_test_setup_teardown(damaged_sample, setup_bad, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
