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

static void webp_kinds(void **state)
{
    enum { W = 37, H = 29 };
    uint8_t px[W * H * 3], smooth[W * H * 3];
    make_pixels(W, H, 1, px);
    for (int i = 0; i < W * H * 3; i++)
        smooth[i] = (uint8_t)(i % 3 == 0 ? 40 + 4 * (i / 3 % W) : 60 * (i % 3) + 2 * (i / 3 / W));
    size_t n;
    AUTO(mem) uint8_t *lossless = make_webp(W, H, 0, px, &n);
    AUTO(image) struct image im = {0}, near = {0}, dropped = {0};
    assert_true(image_decode(lossless, n, &im, NULL));
    assert_int_equal(im.width, W);
    assert_int_equal(im.height, H);
    assert_memory_equal(im.rgb, px, sizeof px);
    int w, h;
    assert_true(image_probe(lossless, n, &w, &h, NULL));
    assert_int_equal(w * 1000 + h, W * 1000 + H);
    AUTO(mem) uint8_t *lossy = make_webp(W, H, 100, smooth, &n);
    assert_true(image_decode(lossy, n, &near, NULL));
    for (int i = 0; i < W * H * 3; i++)
        assert_in_range(near.rgb[i] + 8, smooth[i], smooth[i] + 16);

    uint8_t rgba[W * H * 4], *made = NULL; /* alpha is dropped, not blended */
    for (int i = 0; i < W * H; i++) {
        memcpy(rgba + 4 * i, px + 3 * i, 3);
        rgba[4 * i + 3] = (uint8_t)(1 + i % 255);
    }
    n = WebPEncodeLosslessRGBA(rgba, W, H, W * 4, &made);
    bool ok = image_decode(made, n, &dropped, NULL);
    WebPFree(made);
    assert_true(ok);
    assert_memory_equal(dropped.rgb, px, sizeof px);
}

/* The file as an extended WebP with one more part behind its own; flags of the extended header. */
static uint8_t *extended_webp(const uint8_t *webp, size_t n, int width, int height, int flags,
                              const char *type, const void *part, size_t part_n, size_t *ret_n)
{
    AUTO(buf) struct buf b = {0};
    uint8_t head[18] = {'V',
                        'P',
                        '8',
                        'X',
                        10,
                        0,
                        0,
                        0,
                        (uint8_t)flags,
                        0,
                        0,
                        0,
                        (uint8_t)(width - 1),
                        0,
                        0,
                        (uint8_t)(height - 1)};
    size_t size = 4 + sizeof head + (n - 12) + 8 + part_n + part_n % 2;
    uint8_t length[4] = {(uint8_t)size, (uint8_t)(size >> 8)}, own[4] = {(uint8_t)part_n};
    buf_add(&b, "RIFF", 4);
    buf_add(&b, length, 4);
    buf_add(&b, "WEBP", 4);
    buf_add(&b, head, sizeof head);
    buf_add(&b, webp + 12, n - 12);
    buf_add(&b, type, 4);
    buf_add(&b, own, 4);
    buf_add(&b, part, part_n);
    if (part_n % 2)
        buf_putc(&b, 0);
    *ret_n = b.len;
    return (uint8_t *)buf_take(&b);
}

/* EXIF that says: the left side is the top (orientation 8 stands for that turn). */
static const uint8_t turned[] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 18, 0,
                                 3,   0,   0, 0,  1, 0, 8, 0, 0, 0, 0, 0,  0};

static void check_turned(const uint8_t *data, size_t n, const uint8_t *px, int w, int h)
{
    AUTO(image) struct image stored = {0}, im = {0};
    struct error e = {0};
    if (!image_decode(data, n, &stored, &e))
        fail_msg("%s", e.text);
    assert_int_equal(stored.width, w);
    assert_memory_equal(stored.rgb, px, (size_t)(w * h * 3));
    assert_true(image_decode_as(data, n, (struct image_decoding){.upright = true}, &im, NULL));
    assert_int_equal(im.width, h);
    assert_int_equal(im.height, w);
    for (int y = 0; y < w; y++)
        for (int x = 0; x < h; x++)
            assert_memory_equal(im.rgb + (y * h + x) * 3, px + (x * w + (w - 1 - y)) * 3, 3);
}

static void exif_of_png_and_webp(void **state)
{
    enum { W = 20, H = 13 };
    uint8_t px[W * H * 3];
    size_t n, m;
    make_pixels(W, H, 1, px);
    AUTO(mem) uint8_t *webp = make_webp(W, H, 0, px, &n);
    AUTO(mem) uint8_t *more = extended_webp(webp, n, W, H, 8, "EXIF", turned, sizeof turned, &m);
    check_turned(more, m, px, W, H);
    AUTO(mem) uint8_t *png = make_png(W, H, 1, &n);
    AUTO(buf) struct buf b = {0};
    const size_t before = n - 12; /* the end part */
    uint8_t head[8] = {0, 0, 0, sizeof turned, 'e', 'X', 'I', 'f'};
    AUTO(buf) struct buf part = {0};
    buf_add(&part, head + 4, 4);
    buf_add(&part, turned, sizeof turned);
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < part.len * 8; i++) {
        crc ^= i % 8 ? 0 : (uint8_t)part.data[i / 8];
        crc = crc & 1 ? 0xedb88320u ^ (crc >> 1) : crc >> 1;
    }
    crc = ~crc;
    uint8_t sum[4] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc};
    buf_add(&b, png, before);
    buf_add(&b, head, 4);
    buf_add(&b, part.data, part.len);
    buf_add(&b, sum, 4);
    buf_add(&b, png + before, 12);
    check_turned((const uint8_t *)b.data, b.len, px, W, H);
}

static void animations_are_refused(void **state)
{
    uint8_t px[9 * 9 * 3] = {0};
    size_t n, m;
    AUTO(mem) uint8_t *webp = make_webp(9, 9, 0, px, &n);
    AUTO(mem) uint8_t *more = extended_webp(webp, n, 9, 9, 2, "ANIM", "\0\0\0\0\0", 6, &m);
    struct image im = {0};
    struct error e = {0};
    assert_false(image_decode(more, m, &im, &e));
    assert_non_null(strstr(e.text, "animated"));
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
    const char *const known[][2] = {{"II*\0", "TIFF"},          {"BM..", "BMP"},
                                    {"....ftypavif", "AVIF"},   {"<!DOCTYPE html>", "page"},
                                    {"%PDF-1", "PDF"},          {"version https://git-lfs.", "LFS"},
                                    {"what is this", "of none"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_false(image_decode((const uint8_t *)known[i][0], i ? strlen(known[i][0]) : 4, &im, &e));
        assert_non_null(strstr(e.text, known[i][1]));
        assert_null(strchr(e.text, '\n'));
    }
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
        cmocka_unit_test(png_round_trip),       cmocka_unit_test(png_kinds),
        cmocka_unit_test(jpeg_kinds),           cmocka_unit_test(webp_kinds),
        cmocka_unit_test(exif_of_png_and_webp), cmocka_unit_test(animations_are_refused),
        cmocka_unit_test(damaged_png),          cmocka_unit_test(damaged_jpeg),
        cmocka_unit_test(wrong_kinds),          cmocka_unit_test(too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
