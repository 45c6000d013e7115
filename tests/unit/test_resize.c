/* Resampling against a direct double-precision evaluation of the same equation, and the sizes it is asked
 * for. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/rng.h"
#include "stages/io/image.h"
#include "tests/test.h"
#include <math.h>
#include <string.h>

static double filter(enum image_filter f, double x)
{
    x = fabs(x);
    if (f == IMAGE_BILINEAR)
        return x < 1 ? 1 - x : 0;
    if (x < 1)
        return 1.5 * x * x * x - 2.5 * x * x + 1;
    return x < 2 ? -.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0;
}

/* One output byte along a line of n samples that lie `stride` bytes apart, as a real number. */
static double sample(const uint8_t *line, int n, size_t stride, int o, int out, enum image_filter f)
{
    double scale = (double)n / out, fs = scale > 1 ? scale : 1, centre = (o + .5) * scale, sum = 0,
           weight = 0;
    double support = (f == IMAGE_BICUBIC ? 2 : 1) * fs;
    for (int i = 0; i < n; i++) {
        if (i < (int)(centre - support + .5) || i >= (int)(centre + support + .5))
            continue;
        double w = filter(f, (i - centre + .5) / fs);
        sum += w * line[(size_t)i * stride];
        weight += w;
    }
    return sum / weight;
}

static uint8_t rounded(double v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : floor(v + .5));
}

static struct image random_image(int width, int height, uint32_t seed)
{
    struct rng r = rng_at(rng_stream(seed, "test.resize"), 0, 0);
    struct image im = {.rgb = xmalloc((size_t)(width * height * 3)), .width = width, .height = height};
    for (int i = 0; i < width * height * 3; i++)
        im.rgb[i] = (uint8_t)(rng_u32(&r) & 255);
    return im;
}

static void check(int w, int h, int ow, int oh, enum image_filter f)
{
    AUTO(image) struct image in = random_image(w, h, (uint32_t)(w * 131 + h));
    AUTO(image) struct image wide = {.rgb = xmalloc((size_t)(ow * h * 3)), .width = ow, .height = h};
    AUTO(image) struct image out = {0};
    struct error e = {0};
    for (int y = 0; y < h; y++)
        for (int x = 0; x < ow; x++)
            for (int k = 0; k < 3; k++)
                wide.rgb[(y * ow + x) * 3 + k] =
                    ow == w ? in.rgb[(y * w + x) * 3 + k]
                            : rounded(sample(in.rgb + y * w * 3 + k, w, 3, x, ow, f));
    assert_true(image_resize(&in, ow, oh, f, &out, &e));
    assert_int_equal(out.width, ow);
    assert_int_equal(out.height, oh);
    int off = 0;
    for (int y = 0; y < oh; y++)
        for (int x = 0; x < ow; x++)
            for (int k = 0; k < 3; k++) {
                double want = oh == h ? wide.rgb[(y * ow + x) * 3 + k]
                                      : sample(wide.rgb + x * 3 + k, h, (size_t)ow * 3, y, oh, f);
                int d = abs(out.rgb[(y * ow + x) * 3 + k] - rounded(want));
                assert_in_range(d, 0, 1);
                off += d;
            }
    assert_true(off <= ow * oh * 3 / 20 + 1); /* only where the real value lies near a half */
}

static void against_reference(void **state)
{
    const int c[][4] = {{40, 30, 20, 15}, {17, 23, 32, 41}, {50, 8, 7, 8},   {9, 9, 9, 4},
                        {3, 2, 64, 64},   {1, 1, 5, 5},     {61, 43, 45, 32}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        check(c[i][0], c[i][1], c[i][2], c[i][3], IMAGE_BILINEAR);
        check(c[i][0], c[i][1], c[i][2], c[i][3], IMAGE_BICUBIC);
    }
}

/* Pillow's arithmetic, step by step: weights as integers of 22 fractional bits, one byte at a time. */
static uint8_t exact(const uint8_t *line, int n, size_t stride, int o, int out, enum image_filter f)
{
    double scale = (double)n / out, fs = scale > 1 ? scale : 1, centre = (o + .5) * scale, sum = 0;
    double support = (f == IMAGE_BICUBIC ? 2 : 1) * fs, w[600];
    int first = (int)(centre - support + .5), last = (int)(centre + support + .5);
    first = first < 0 ? 0 : first;
    last = last > n ? n : last;
    for (int i = first; i < last; i++) {
        double x = fabs((i - centre + .5) * (1 / fs));
        if (f == IMAGE_BILINEAR)
            w[i - first] = x < 1 ? 1 - x : 0;
        else
            w[i - first] = x < 1   ? ((-.5 + 2) * x - (-.5 + 3)) * x * x + 1
                           : x < 2 ? (((x - 5) * x + 8) * x - 4) * -.5
                                   : 0;
        sum += w[i - first];
    }
    int64_t total = 1 << 21;
    for (int i = first; i < last; i++) {
        double v = w[i - first] / sum * (1 << 22);
        total += (int64_t)line[(size_t)i * stride] * (int64_t)(v < 0 ? v - .5 : v + .5);
    }
    total >>= 22;
    return (uint8_t)(total < 0 ? 0 : total > 255 ? 255 : total);
}

static struct image exact_resize(const struct image *in, int ow, int oh, enum image_filter f)
{
    int w = in->width, h = in->height;
    AUTO(image) struct image wide = {.rgb = xmalloc((size_t)(ow * h * 3)), .width = ow, .height = h};
    struct image out = {.rgb = xmalloc((size_t)(ow * oh * 3)), .width = ow, .height = oh};
    for (int y = 0; y < h; y++)
        for (int x = 0; x < ow * 3; x++)
            wide.rgb[y * ow * 3 + x] = exact(in->rgb + y * w * 3 + x % 3, w, 3, x / 3, ow, f);
    for (int y = 0; y < oh; y++)
        for (int x = 0; x < ow * 3; x++)
            out.rgb[y * ow * 3 + x] = exact(wide.rgb + x, h, (size_t)ow * 3, y, oh, f);
    return out;
}

/* Sizes around every edge of the vectors: below, at and above 16 bytes, 16 rows and a multiple of them. */
static void to_the_bit(void **state)
{
    const int c[][4] = {{40, 30, 20, 15}, {17, 23, 32, 41}, {1, 1, 5, 5},     {5, 16, 6, 17},
                        {6, 15, 5, 33},   {16, 17, 16, 4},  {33, 48, 31, 48}, {200, 7, 11, 29},
                        {3, 90, 2, 1},    {61, 43, 45, 32}, {128, 96, 75, 56}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++)
        for (int f = IMAGE_BILINEAR; f <= IMAGE_BICUBIC; f++) {
            AUTO(image) struct image in = random_image(c[i][0], c[i][1], (uint32_t)i), out = {0};
            for (int k = 0; k < in.width * in.height * 3; k++) /* extremes, so that sums are clipped */
                in.rgb[k] = in.rgb[k] < 90 ? 0 : in.rgb[k] > 160 ? 255 : in.rgb[k];
            AUTO(image) struct image want = exact_resize(&in, c[i][2], c[i][3], f);
            assert_true(image_resize(&in, c[i][2], c[i][3], f, &out, NULL));
            assert_memory_equal(out.rgb, want.rgb, (size_t)(c[i][2] * c[i][3] * 3));
        }
}

static struct image cut(const struct image *in, struct image_box b)
{
    struct image out = {
        .rgb = xmalloc((size_t)(b.width * b.height * 3)), .width = b.width, .height = b.height};
    for (int y = 0; y < b.height; y++)
        memcpy(out.rgb + y * b.width * 3, in->rgb + ((b.y + y) * in->width + b.x) * 3, (size_t)b.width * 3);
    return out;
}

static struct image_box random_part(struct rng *r, int width, int height)
{
    struct image_box b = {.width = 1 + (int)rng_below(r, (uint64_t)width),
                          .height = 1 + (int)rng_below(r, (uint64_t)height)};
    b.x = (int)rng_below(r, (uint64_t)(width - b.width) + 1);
    b.y = (int)rng_below(r, (uint64_t)(height - b.height) + 1);
    return b;
}

/* Cutting, resizing and cutting again gives what one call gives. */
static void parts_are_cuts(void **state)
{
    struct rng r = rng_at(rng_stream(1, "test.parts"), 0, 0);
    for (int k = 0; k < 200; k++) {
        int w = 1 + (int)rng_below(&r, 70), h = 1 + (int)rng_below(&r, 70);
        AUTO(image) struct image in = random_image(w, h, (uint32_t)k), whole = {0}, part = {0};
        struct image_resampling s = {.from = random_part(&r, w, h), .filter = k & 1};
        s.width = k % 5 ? 1 + (int)rng_below(&r, 70) : s.from.width;
        s.height = k % 7 ? 1 + (int)rng_below(&r, 70) : s.from.height;
        s.part = random_part(&r, s.width, s.height);
        AUTO(image) struct image from = cut(&in, s.from);
        assert_true(image_resize(&from, s.width, s.height, s.filter, &whole, NULL));
        AUTO(image) struct image want = cut(&whole, s.part);
        assert_true(image_resample(&in, &s, &part, NULL));
        assert_int_equal(part.width, s.part.width);
        assert_int_equal(part.height, s.part.height);
        assert_memory_equal(part.rgb, want.rgb, (size_t)(s.part.width * s.part.height * 3));
    }
}

static void parts_outside(void **state)
{
    AUTO(image) struct image in = random_image(9, 8, 1);
    const struct image_resampling bad[] = {{{0, 0, 10, 8}, 4, 4, {0, 0, 4, 4}, IMAGE_BILINEAR},
                                           {{-1, 0, 4, 4}, 4, 4, {0, 0, 4, 4}, IMAGE_BILINEAR},
                                           {{0, 5, 4, 4}, 4, 4, {0, 0, 4, 4}, IMAGE_BILINEAR},
                                           {{0, 0, 4, 4}, 4, 4, {1, 0, 4, 4}, IMAGE_BILINEAR},
                                           {{0, 0, 4, 4}, 4, 4, {0, 0, 4, 0}, IMAGE_BILINEAR}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct image out = {0};
        struct error e = {0};
        assert_false(image_resample(&in, &bad[i], &out, &e));
        assert_int_equal(e.code, ERROR_INPUT);
        assert_null(out.rgb);
    }
}

static void same_size_is_a_copy(void **state)
{
    AUTO(image) struct image in = random_image(13, 7, 3), out = {0};
    assert_true(image_resize(&in, 13, 7, IMAGE_BICUBIC, &out, NULL));
    assert_memory_equal(in.rgb, out.rgb, 13 * 7 * 3);
}

static void flat_stays_flat(void **state)
{
    AUTO(image) struct image in = random_image(50, 31, 1), out = {0};
    memset(in.rgb, 201, 50 * 31 * 3);
    assert_true(image_resize(&in, 37, 90, IMAGE_BICUBIC, &out, NULL));
    for (int i = 0; i < 37 * 90 * 3; i++)
        assert_int_equal(out.rgb[i], 201);
}

static void shorter_side(void **state)
{
    const int c[][5] = {{61, 43, 32, 45, 32},
                        {37, 59, 32, 32, 51},
                        {150, 25, 224, 1344, 224},
                        {5, 5, 8, 8, 8},
                        {1000, 3, 2, 666, 2}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        AUTO(image) struct image in = random_image(c[i][0], c[i][1], 2), out = {0};
        assert_true(image_resize_short(&in, c[i][2], IMAGE_BILINEAR, &out, NULL));
        assert_int_equal(out.width, c[i][3]);
        assert_int_equal(out.height, c[i][4]);
    }
    AUTO(image) struct image thin = random_image(4000, 1, 2), out = {0};
    struct error e = {0};
    assert_false(image_resize_short(&thin, 1000, IMAGE_BILINEAR, &out, &e)); /* 4 000 000 x 1000 */
    assert_int_equal(e.code, ERROR_INPUT);
    assert_false(image_resize(&thin, 0, 5, IMAGE_BILINEAR, &out, &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_reference),   cmocka_unit_test(to_the_bit),
        cmocka_unit_test(parts_are_cuts),      cmocka_unit_test(parts_outside),
        cmocka_unit_test(same_size_is_a_copy), cmocka_unit_test(flat_stays_flat),
        cmocka_unit_test(shorter_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
