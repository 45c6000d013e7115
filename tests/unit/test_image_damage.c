/* A hundred damaged images, made here from sound ones of four kinds: each gives one clear error. Damage that
 * no decoder can see, because the format has no checksum there, is counted apart and must still be an image
 * of the same size. */
#include "base/cleanup.h"
#include "base/rng.h"
#include "tests/test.h"
#include "tests/unit/image_make.h"

enum { W = 61, H = 47 };
enum file { JPEG, PROGRESSIVE, PNG, WEBP, LOSSLESS, FILES };
static const char *const names[] = {"JPEG", "progressive JPEG", "PNG", "WebP", "lossless WebP"};
static uint8_t *file[FILES];
static size_t size[FILES];

static int setup(void **state)
{
    uint8_t px[W * H * 3];
    make_pixels(W, H, 3, px);
    struct jpeg_kind k = {.components = 3, .restart = 4};
    file[JPEG] = make_jpeg_of(W, H, &k, px, &size[JPEG]);
    file[PROGRESSIVE] = make_jpeg(W, H, 3, true, px, &size[PROGRESSIVE]);
    file[PNG] = make_png_of(W, H, PNG_COLOR_TYPE_RGB, 8, false, px, (size_t)W * 3, &size[PNG]);
    file[WEBP] = make_webp(W, H, 90, px, &size[WEBP]);
    file[LOSSLESS] = make_webp(W, H, 0, px, &size[LOSSLESS]);
    return 0;
}
static int teardown(void **state)
{
    for (int f = 0; f < FILES; f++)
        free(file[f]);
    return 0;
}

/* Decode bytes in an allocation of their own, where a read past the end is seen. True: an image. */
static bool decodes(const uint8_t *data, size_t n, const char *what, enum file f)
{
    AUTO(mem) uint8_t *own = xmalloc(n ? n : 1);
    struct image im = {0};
    struct error e = {0};
    memcpy(own, data, n);
    if (image_decode(own, n, &im, &e)) {
        if (im.width != W || im.height != H)
            fail_msg("%s: %s: it decodes as %d x %d", names[f], what, im.width, im.height);
        image_free(&im);
        return true;
    }
    if (e.code != ERROR_INPUT || im.rgb || strlen(e.text) < 20 || strchr(e.text, '\n'))
        fail_msg("%s: %s: '%s' is no clear error", names[f], what, e.text);
    return false;
}

/* ---- 1: damage that must be seen ---- */

static int seen; /* of the damaged files so far */
static void refused(const uint8_t *data, size_t n, const char *what, enum file f)
{
    if (decodes(data, n, what, f))
        fail_msg("%s: %s: it decodes", names[f], what);
    seen++;
}

/* Change bytes at a place of a copy. */
static void patched(enum file f, size_t at, const void *bytes, size_t n, const char *what)
{
    AUTO(mem) uint8_t *copy = xmalloc(size[f]);
    assert_true(at + n <= size[f]);
    memcpy(copy, file[f], size[f]);
    memcpy(copy + at, bytes, n);
    refused(copy, size[f], what, f);
}

static void cuts(void)
{
    for (int f = 0; f < FILES; f++) {
        const size_t n = size[f],
                     length[] = {1, 2, 5, 11, 20, 30, n / 4, n / 2, n * 3 / 4, n - 12, n - 2, n - 1};
        for (size_t i = 0; i < sizeof length / sizeof *length; i++)
            refused(file[f], length[i], "cut off", f);
    }
    refused(file[PNG], 0, "empty", PNG);
}

static size_t find(enum file f, const char *bytes, size_t n)
{
    for (size_t i = 0; i + n <= size[f]; i++)
        if (!memcmp(file[f] + i, bytes, n))
            return i;
    fail_msg("%s: its parts are not where they should be", names[f]);
    return 0;
}

static void jpeg_headers(void)
{
    for (enum file f = JPEG; f <= PROGRESSIVE; f++) {
        size_t frame = find(f, f == JPEG ? "\xff\xc0" : "\xff\xc2", 2), table = find(f, "\xff\xdb", 2);
        size_t codes = find(f, "\xff\xc4", 2), scan = find(f, "\xff\xda", 2);
        patched(f, 0, "\xfe", 1, "another start");
        patched(f, 1, "\xd9", 1, "the end at the start");
        patched(f, frame + 4, "\x0c", 1, "12 bits a sample");
        patched(f, frame + 5, "\xff\xff\xff\xff", 4, "65535 x 65535");
        patched(f, frame + 5, "\0\0", 2, "no rows");
        patched(f, frame + 7, "\0\0", 2, "no columns");
        patched(f, frame + 5, "\x10\0", 2, "more rows than data");
        patched(f, frame + 9, "\x09", 1, "nine components");
        patched(f, frame + 2, "\0\1", 2, "a frame header of one byte");
        patched(f, frame + 11, "\0", 1, "no samples of a component");
        patched(f, frame + 12, "\x07", 1, "a quantisation table that is absent");
        patched(f, frame + 1, "\xfe", 1, "no frame header");
        patched(f, table + 2, "\xff\xff", 2, "a table longer than the file");
        patched(f, codes + 5, "\xff\xff\xff", 3, "more codes than can be");
        patched(f, table + 1, "\xfe", 1, "a quantisation table hidden in a comment");
        patched(f, scan + 5, "\x77", 1, "a scan of a component that is absent");
    }
}

/* Of a PNG chunk's length, type and content the checksum tells everything. */
static void png_headers(void)
{
    size_t data = find(PNG, "IDAT", 4);
    patched(PNG, 1, "p", 1, "another start");
    patched(PNG, 8 + 8, "\x7f\xff\xff\xff\x7f\xff\xff\xff", 8, "2^31 x 2^31");
    patched(PNG, 8 + 8, "\0\0\0\0", 4, "no columns");
    patched(PNG, 8 + 16, "\x07", 1, "7 bits a sample");
    patched(PNG, 8 + 17, "\x05", 1, "colour type 5");
    patched(PNG, 8 + 20, "\x02", 1, "interlacing 2");
    patched(PNG, 8, "\0\0\0\x0c", 4, "a short header");
    patched(PNG, data - 4, "\x7f\xff\xff\xff", 4, "data longer than the file");
    patched(PNG, data - 4, "\0\0\0\1", 4, "data shorter than they are");
    patched(PNG, data, "JDAT", 4, "a part that nobody knows");
    patched(PNG, data, "IEND", 4, "the end before the data");
    patched(PNG, size[PNG] - 8, "IDAT", 4, "data instead of the end");
}

static void webp_headers(void)
{
    for (enum file f = WEBP; f <= LOSSLESS; f++) {
        patched(f, 0, "RIFX", 4, "another start");
        patched(f, 8, "WEBQ", 4, "another kind of RIFF");
        patched(f, 4, "\xff\xff\xff\x7f", 4, "longer than the file");
        patched(f, 4, "\x10\0\0\0", 4, "shorter than its part");
        patched(f, 12, "VP9 ", 4, "a part that nobody knows");
        patched(f, 16, "\xff\xff\xff\x7f", 4, "a part longer than the file");
        patched(f, 16, "\x06\0\0\0", 4, "a part shorter than its header");
        patched(f, 20, "\xff\xff\xff\xff", 4, "another start of the data");
    }
    patched(WEBP, 23, "\0\0\0", 3, "no key frame's start code");
    patched(WEBP, 26, "\0\0", 2, "no columns");
}

/* Half of one file behind half of another. */
static void joined(void)
{
    for (int f = 0; f < FILES; f++) {
        int other = (f + 1) % FILES;
        size_t half = size[f] / 2, rest = size[other] / 2;
        AUTO(mem) uint8_t *both = xmalloc(half + rest);
        memcpy(both, file[f], half);
        memcpy(both + half, file[other] + size[other] - rest, rest);
        refused(both, half + rest, "the end of another file", f);
    }
}

static void a_hundred_are_refused(void **state)
{
    seen = 0;
    cuts();
    jpeg_headers();
    png_headers();
    webp_headers();
    joined();
    print_message("%d damaged files, each refused\n", seen);
    assert_true(seen >= 100);
}

/* ---- 2: one bit anywhere ---- */

/* How many of `tries` files with one bit flipped behind `from` still decode. */
static int survivors(enum file f, size_t from, int tries)
{
    struct rng r = rng_at(rng_stream(5, "test.damage"), (uint64_t)f, 0);
    AUTO(mem) uint8_t *copy = xmalloc(size[f]);
    int n = 0;
    for (int i = 0; i < tries; i++) {
        memcpy(copy, file[f], size[f]);
        copy[from + rng_below(&r, size[f] - from)] ^= (uint8_t)(1 << rng_below(&r, 8));
        n += decodes(copy, size[f], "a bit of the data flipped", f);
    }
    return n;
}

/* PNG sees every flip by its checksums. Entropy-coded JPEG and WebP data have none: most flips there are
 * other pixels to any decoder, some break a code or the count of blocks. What must hold is that nothing
 * crashes, that the size stays, and that flips are noticed at all. */
static void one_bit(void **state)
{
    enum { TRIES = 300 };
    int left[FILES];
    for (int f = 0; f < FILES; f++) {
        size_t from = f == JPEG || f == PROGRESSIVE ? find(f, "\xff\xda", 2) + 14 : f == PNG ? 0 : 40;
        left[f] = survivors(f, from, TRIES);
        print_message("%s: %d of %d files with one bit flipped decode to other pixels\n", names[f], left[f],
                      TRIES);
    }
    assert_int_equal(left[PNG], 0);
    assert_true(left[JPEG] < TRIES && left[PROGRESSIVE] < TRIES && left[LOSSLESS] < TRIES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_are_refused),
        cmocka_unit_test(one_bit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
