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
        cmocka_unit_test(against_reference),
        cmocka_unit_test(same_size_is_a_copy),
        cmocka_unit_test(flat_stays_flat),
        cmocka_unit_test(shorter_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
