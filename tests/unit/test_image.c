/* Decoding: every PNG kind, JPEG kinds, the PNG writer; damage is an error and never a crash. */
#include "base/cleanup.h"
#include "tests/test.h"
#include "tests/unit/image_make.h"
#include <string.h>

static void png_round_trip(void **state)
{
    const int side[][2] = {{1, 1}, {7, 5}, {33, 20}, {300, 200}}; /* the last needs several stored blocks */
    for (int i = 0; i < 4; i++) {
        int w = side[i][0], h = side[i][1], pw, ph;
        AUTO(mem) uint8_t *rgb = xmalloc((size_t)(w * h * 3));
        AUTO(mem) uint8_t *png = NULL;
        AUTO(mem) uint8_t *again = NULL;
        AUTO(image) struct image im = {0};
        size_t n, n2;
        make_pixels(w, h, i, rgb);
        assert_true(image_encode_png(rgb, w, h, &png, &n, NULL));
        assert_true(image_encode_png(rgb, w, h, &again, &n2, NULL));
        assert_int_equal(n, n2);
        assert_memory_equal(png, again, n);
        struct error e = {0};
        assert_true(image_decode(png, n, &im, &e));
        assert_int_equal(im.width, w);
        assert_int_equal(im.height, h);
        assert_memory_equal(im.rgb, rgb, (size_t)(w * h * 3));
        assert_true(image_probe(png, n, &pw, &ph, NULL));
        assert_int_equal(pw, w);
        assert_int_equal(ph, h);
    }
    assert_false(image_encode_png(NULL, 0, 4, NULL, NULL, NULL));
}

/* Value of a sample of the reference pattern, in `depth` bits. */
static unsigned pattern(int x, int y, int channel, int depth)
{
    unsigned v = (unsigned)(x * 37 + y * 101 + channel * 59) * 2654435761u;
    return v >> (32 - depth);
}

static void check_png_kind(int type, int depth, bool interlaced)
{
    enum { W = 11, H = 9 };
    int channels = type == PNG_COLOR_TYPE_GRAY || type == PNG_COLOR_TYPE_PALETTE ? 1
                   : type == PNG_COLOR_TYPE_GRAY_ALPHA                           ? 2
                   : type == PNG_COLOR_TYPE_RGB                                  ? 3
                                                                                 : 4;
    uint8_t rows[H][W * 8] = {{0}};
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int c = 0; c < channels; c++) {
                unsigned v = pattern(x, y, c, depth);
                int bit = (x * channels + c) * depth;
                if (depth == 16) {
                    rows[y][bit / 8] = (uint8_t)(v >> 8);
                    rows[y][bit / 8 + 1] = (uint8_t)v;
                } else {
                    rows[y][bit / 8] |= (uint8_t)(v << (8 - depth - bit % 8));
                }
            }
    size_t n;
    AUTO(mem) uint8_t *png = make_png_of(W, H, type, depth, interlaced, rows[0], sizeof rows[0], &n);
    AUTO(image) struct image im = {0};
    struct error e = {0};
    if (!image_decode(png, n, &im, &e))
        fail_msg("type %d depth %d: %s", type, depth, e.text);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int k = 0; k < 3; k++) {
                unsigned v = pattern(x, y, channels >= 3 ? k : 0, depth), want;
                if (type == PNG_COLOR_TYPE_PALETTE)
                    want = k == 0 ? v : k == 1 ? 255 - v : 7;
                else
                    want = depth == 16 ? v >> 8 : v * 255 / ((1u << depth) - 1);
                assert_int_equal(im.rgb[(y * W + x) * 3 + k], want);
            }
}

static void png_kinds(void **state)
{
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        for (int depth = 1; depth <= 16; depth *= 2) {
            check_png_kind(PNG_COLOR_TYPE_GRAY, depth, interlaced);
            if (depth <= 8)
                check_png_kind(PNG_COLOR_TYPE_PALETTE, depth, interlaced);
        }
        for (int depth = 8; depth <= 16; depth *= 2) {
            check_png_kind(PNG_COLOR_TYPE_GRAY_ALPHA, depth, interlaced);
            check_png_kind(PNG_COLOR_TYPE_RGB, depth, interlaced);
            check_png_kind(PNG_COLOR_TYPE_RGB_ALPHA, depth, interlaced);
        }
    }
}

static void jpeg_kinds(void **state)
{
    enum { W = 24, H = 16 };
    uint8_t px[W * H * 4];
    for (int components = 1; components <= 4; components += components == 1 ? 2 : 1)
        for (int progressive = 0; progressive < 2; progressive++) {
            for (int i = 0; i < W * H * components;
                 i++) /* flat channels survive compression nearly unchanged */
                px[i] = (uint8_t)(60 + 45 * (i % components));
            size_t n;
            AUTO(mem) uint8_t *jpeg = make_jpeg(W, H, components, progressive, px, &n);
            AUTO(image) struct image im = {0};
            struct error e = {0};
            if (!image_decode(jpeg, n, &im, &e))
                fail_msg("%d components: %s", components, e.text);
            assert_int_equal(im.width, W);
            assert_int_equal(im.height, H);
            for (int i = 0; i < W * H; i++)
                for (int k = 0; k < 3; k++) {
                    int want = components == 4   ? (60 + 45 * k) * (60 + 45 * 3) / 255
                               : components == 3 ? 60 + 45 * k
                                                 : 60;
                    assert_in_range(im.rgb[3 * i + k], want - 2, want + 2);
                }
        }
}

/* Every truncation fails. Flipped bits fail where `all`, and elsewhere at least do not crash. */
static void damage(const uint8_t *data, size_t n, bool all)
{
    AUTO(mem) uint8_t *copy = xmalloc(n);
    for (size_t cut = 0; cut < n; cut++) {
        AUTO(mem)
        uint8_t *part = xmalloc(cut ? cut : 1); /* its own allocation: a read past the end is seen */
        memcpy(part, data, cut);
        struct image im = {0};
        struct error e = {0};
        if (image_decode(part, cut, &im, &e))
            fail_msg("%zu of %zu bytes decode", cut, n);
        assert_int_equal(e.code, ERROR_INPUT);
        assert_null(im.rgb);
    }
    for (size_t at = 0; at < n; at++)
        for (int bit = 0; bit < 8; bit += 3) {
            memcpy(copy, data, n);
            copy[at] ^= (uint8_t)(1 << bit);
            struct image im = {0};
            struct error e = {0};
            bool ok = image_decode(copy, n, &im, &e);
            if (ok && all)
                fail_msg("bit %d of byte %zu flipped, and it decodes", bit, at);
            image_free(&im);
        }
}

static void damaged_png(void **state)
{
    size_t n;
    AUTO(mem) uint8_t *png = make_png(9, 8, 1, &n);
    damage(png, n, true);
    uint8_t rows[16][16] = {{0}};
    AUTO(mem) uint8_t *other = make_png_of(16, 16, PNG_COLOR_TYPE_PALETTE, 8, true, rows[0], 16, &n);
    damage(other, n, false);
}

static void damaged_jpeg(void **state)
{
    uint8_t px[20 * 18 * 3];
    make_pixels(20, 18, 2, px);
    for (int progressive = 0; progressive < 2; progressive++) {
        size_t n;
        AUTO(mem) uint8_t *jpeg = make_jpeg(20, 18, 3, progressive, px, &n);
        damage(jpeg, n, false);
    }
}

static void wrong_kinds(void **state)
{
    struct image im = {0};
    struct error e = {0};
    assert_false(image_decode((const uint8_t *)"GIF89a............", 18, &im, &e));
    assert_non_null(strstr(e.text, "GIF"));
    assert_false(image_decode(NULL, 0, &im, &e));
    assert_non_null(strstr(e.text, "empty"));
    assert_false(image_decode((const uint8_t *)"\xff\xd8\xff\xe0xxxxxxxxxxxxxxxxxx", 22, &im, &e));
    assert_non_null(strstr(e.text, "JPEG"));
}

/* A header that claims 60000 x 60000: refused before anything is allocated. */
static void too_large(void **state)
{
    size_t n;
    uint8_t px[64] = {0};
    AUTO(mem) uint8_t *jpeg = make_jpeg(8, 8, 1, false, px, &n);
    size_t at = 0;
    while (!(jpeg[at] == 0xff && jpeg[at + 1] == 0xc0))
        at++;
    memcpy(jpeg + at + 5, "\xea\x60\xea\x60", 4);
    struct image im = {0};
    struct error e = {0};
    int w, h;
    assert_false(image_decode(jpeg, n, &im, &e));
    assert_non_null(strstr(e.text, "too large"));
    assert_false(image_probe(jpeg, n, &w, &h, &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_round_trip), cmocka_unit_test(png_kinds),    cmocka_unit_test(jpeg_kinds),
        cmocka_unit_test(damaged_png),    cmocka_unit_test(damaged_jpeg), cmocka_unit_test(wrong_kinds),
        cmocka_unit_test(too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
