/* The kinds of JPEG: subsampling, colour spaces, progressive, restarts, EXIF, scaled decoding; and what
 * libjpeg would patch over with grey is an error. */
#include "base/cleanup.h"
#include "stages/io/image_codec.h"
#include "tests/test.h"
#include "tests/unit/image_make.h"

enum { W = 45, H = 38 };

/* Smooth, so that fewer chroma samples still tell it. */
static void smooth_pixels(int components, uint8_t *px)
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int c = 0; c < components; c++)
                *px++ = (uint8_t)(c == 0   ? 40 + 3 * x
                                  : c == 1 ? 230 - 4 * y
                                  : c == 2 ? 60 + x + 2 * y
                                           : 255 - x);
}

static struct image decoded(const uint8_t *jpeg, size_t n)
{
    struct image im = {0};
    struct error e = {0};
    if (!image_decode(jpeg, n, &im, &e))
        fail_msg("%s", e.text);
    assert_int_equal(im.width, W);
    assert_int_equal(im.height, H);
    return im;
}

static void check_near(const struct image *im, const uint8_t *px, int components, int limit)
{
    for (int i = 0; i < W * H; i++)
        for (int k = 0; k < 3; k++) {
            int v = px[components * i + (components == 1 ? 0 : k)];
            int want = components == 4 ? (v * px[4 * i + 3] + 127) / 255 : v;
            assert_in_range(im->rgb[3 * i + k] + limit, want, want + 2 * limit);
        }
}

/* Baseline, progressive, with restarts and in separate scans: the same coefficients, so the same pixels. */
static void every_kind(void **state)
{
    const struct jpeg_kind kinds[] = {{.components = 1},
                                      {.components = 3, .h = 1, .v = 1},
                                      {.components = 3, .h = 2, .v = 1},
                                      {.components = 3, .h = 1, .v = 2},
                                      {.components = 3, .h = 2, .v = 2},
                                      {.components = 3, .h = 4, .v = 1},
                                      {.components = 3, .h = 4, .v = 2},
                                      {.components = 4},
                                      {.components = 4, .ycck = true},
                                      {.components = 4, .ycck = true, .h = 2, .v = 2}};
    uint8_t px[W * H * 4];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct jpeg_kind k = kinds[i];
        k.quality = 100;
        smooth_pixels(k.components, px);
        size_t n;
        AUTO(mem) uint8_t *plain = make_jpeg_of(W, H, &k, px, &n);
        AUTO(image) struct image im = decoded(plain, n);
        check_near(&im, px, k.components, 6);
        for (int other = 0; other < 3; other++) {
            struct jpeg_kind o = k;
            o.progressive = other == 0;
            o.restart = other == 1 ? 2 : 0;
            o.separate = other == 2 && k.components == 3;
            AUTO(mem) uint8_t *again = make_jpeg_of(W, H, &o, px, &n);
            AUTO(image) struct image same = decoded(again, n);
            assert_memory_equal(im.rgb, same.rgb, W * H * 3);
        }
    }
}

/* Position of the k-th marker `code`. */
static size_t marker(const uint8_t *jpeg, size_t n, int code, int k)
{
    for (size_t i = 2; i + 1 < n; i++)
        if (jpeg[i] == 0xff && jpeg[i + 1] == code && !k--)
            return i;
    fail_msg("there is no such marker");
    return 0;
}

static void refused(const uint8_t *jpeg, size_t n, const char *why)
{
    struct image im = {0};
    struct error e = {0};
    if (image_decode(jpeg, n, &im, &e))
        fail_msg("decodes, although: %s", why);
    assert_int_equal(e.code, ERROR_INPUT);
    assert_null(im.rgb);
    if (!strstr(e.text, why))
        fail_msg("'%s' does not say '%s'", e.text, why);
}

/* Each of these libjpeg decodes, with a warning at most. */
static void never_silently_grey(void **state)
{
    uint8_t px[W * H * 3];
    size_t n;
    smooth_pixels(3, px);
    struct jpeg_kind k = {.components = 3, .h = 1, .v = 1, .restart = 2};
    AUTO(mem) uint8_t *jpeg = make_jpeg_of(W, H, &k, px, &n);
    AUTO(mem) uint8_t *bad = xmalloc(n);
    size_t scan = marker(jpeg, n, 0xda, 0), second = marker(jpeg, n, 0xd1, 0),
           third = marker(jpeg, n, 0xd2, 0);

    memcpy(bad, jpeg, n); /* cut off, and ended properly */
    memcpy(bad + scan + 40, "\xff\xd9", 2);
    refused(bad, scan + 42, "premature end");
    memcpy(bad, jpeg, n); /* restart markers in the wrong order */
    bad[second + 1] = 0xd2;
    bad[third + 1] = 0xd1;
    refused(bad, n, "RST1");
    memcpy(bad, jpeg, third); /* one interval missing */
    memcpy(bad + second, jpeg + third, n - third);
    refused(bad, n - (third - second), "RST1");

    k = (struct jpeg_kind){.components = 3, .h = 1, .v = 1, .separate = true};
    AUTO(mem) uint8_t *parts = make_jpeg_of(W, H, &k, px, &n);
    size_t last = marker(parts, n, 0xda, 2); /* the scan of one colour taken out */
    memcpy(parts + last, "\xff\xd9", 2);
    refused(parts, last + 2, "colours are missing");
    k = (struct jpeg_kind){.components = 3, .progressive = true};
    AUTO(mem) uint8_t *progressive = make_jpeg_of(W, H, &k, px, &n);
    size_t first = marker(progressive, n, 0xda, 0), next = marker(progressive, n, 0xc4, 2);
    assert_true(next > first);
    memmove(progressive + first, progressive + next, n - next); /* all scans but the first */
    refused(progressive, n - (next - first), "progression");
}

static void camera_padding_is_harmless(void **state)
{
    uint8_t px[W * H * 3];
    size_t n;
    smooth_pixels(3, px);
    AUTO(mem) uint8_t *jpeg = make_jpeg(W, H, 3, false, px, &n);
    AUTO(mem) uint8_t *more = xcalloc(1, n + 8);
    AUTO(image) struct image plain = decoded(jpeg, n);
    memcpy(more, jpeg, n - 2);
    memcpy(more + n + 4, "\xff\xd9", 2);
    AUTO(image) struct image im = decoded(more, n + 8);
    assert_memory_equal(im.rgb, plain.rgb, W * H * 3);
}

/* ---- EXIF ---- */

static unsigned put_exif(uint8_t *out, bool little, int orientation)
{
    const uint8_t big[] = {'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 2, /* two entries */
                           1,   0,   0,   4,   0, 0, 0,   1,   0, 0,  0, 9,             /* some width */
                           1,   18,  0,   3,   0, 0, 0,   1,   0, 0,  0, 0, 0, 0, 0, 0};
    const uint8_t small[] = {'E', 'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0,
                             18,  1,   3,   0,   1, 0, 0,   0,   0,  0, 0, 0, 0, 0, 0, 0};
    memcpy(out, little ? small : big, little ? sizeof small : sizeof big);
    out[little ? 24 : 37] = (uint8_t)orientation;
    return little ? sizeof small : sizeof big;
}

/* Where the pixel at (x, y) of the upright picture is stored: from the tables of the EXIF standard, row 0 and
 * column 0 of the stored picture are the upright picture's top, bottom, left or right. */
static int stored_at(int o, int x, int y)
{
    switch (o) {
    case 1:
        return y * W + x;
    case 2: /* top, right */
        return y * W + (W - 1 - x);
    case 3: /* bottom, right */
        return (H - 1 - y) * W + (W - 1 - x);
    case 4: /* bottom, left */
        return (H - 1 - y) * W + x;
    case 5: /* left, top */
        return x * W + y;
    case 6: /* right, top */
        return (H - 1 - x) * W + y;
    case 7: /* right, bottom */
        return (H - 1 - x) * W + (W - 1 - y);
    default: /* left, bottom */
        return x * W + (W - 1 - y);
    }
}

static void orientations(void **state)
{
    uint8_t px[W * H * 3], exif[64];
    smooth_pixels(3, px);
    for (int o = 1; o <= 8; o++) {
        size_t n;
        struct jpeg_kind k = {.components = 3, .app1 = exif, .app1_n = put_exif(exif, o & 1, o)};
        AUTO(mem) uint8_t *jpeg = make_jpeg_of(W, H, &k, px, &n);
        AUTO(image) struct image stored = decoded(jpeg, n), im = {0}; /* as stored, where nobody asks */
        assert_true(image_decode_as(jpeg, n, (struct image_decoding){.upright = true}, &im, NULL));
        assert_int_equal(im.width, o < 5 ? W : H);
        assert_int_equal(im.height, o < 5 ? H : W);
        for (int y = 0; y < im.height; y++)
            for (int x = 0; x < im.width; x++)
                assert_memory_equal(im.rgb + (y * im.width + x) * 3, stored.rgb + stored_at(o, x, y) * 3, 3);
    }
}

static void damaged_exif_says_nothing(void **state)
{
    uint8_t exif[64];
    for (int little = 0; little < 2; little++) {
        unsigned n = put_exif(exif, little, 6);
        assert_int_equal(image_exif_orientation(exif, n), 6);
        assert_int_equal(image_exif_orientation(exif + 6, n - 6), 6);
        for (unsigned cut = 0; cut + 4 < n; cut++) {
            AUTO(mem) uint8_t *part = xmalloc(cut + 1);
            memcpy(part, exif, cut);
            assert_in_range(image_exif_orientation(part, cut), 1, 6);
        }
        exif[little ? 24 : 37] = 9;
        assert_int_equal(image_exif_orientation(exif, n), 1);
        memset(exif + 10, 0xff, 4); /* the directory is far away */
        assert_int_equal(image_exif_orientation(exif, n), 1);
    }
}

/* ---- scaled decoding ---- */

static void scaled(void **state)
{
    const int c[][3] = {{38, W, H},  {20, W, H}, {19, 23, 19}, {10, 12, 10},
                        {9, 12, 10}, {5, 6, 5},  {1, 6, 5}};
    uint8_t px[W * H * 3];
    size_t n;
    smooth_pixels(3, px);
    AUTO(mem) uint8_t *jpeg = make_jpeg(W, H, 3, false, px, &n);
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        AUTO(image) struct image im = {0};
        assert_true(image_decode_as(jpeg, n, (struct image_decoding){.side = c[i][0]}, &im, NULL));
        assert_int_equal(im.width, c[i][1]);
        assert_int_equal(im.height, c[i][2]);
        int part = (W + im.width - 1) / im.width;
        for (int y = 0; y + 1 < im.height; y++)
            for (int x = 0; x + 1 < im.width; x++) { /* about the middle of what it stands for */
                const uint8_t *want = px + ((y * part + part / 2) * W + x * part + part / 2) * 3;
                for (int k = 0; k < 3; k++)
                    assert_in_range(im.rgb[(y * im.width + x) * 3 + k] + 12, want[k], want[k] + 24);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),
        cmocka_unit_test(never_silently_grey),
        cmocka_unit_test(camera_padding_is_harmless),
        cmocka_unit_test(orientations),
        cmocka_unit_test(damaged_exif_says_nothing),
        cmocka_unit_test(scaled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
