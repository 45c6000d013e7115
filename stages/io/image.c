/* Which decoder, bounds, and the PNG writer. The writer uses stored (uncompressed) deflate blocks: the bytes
 * then depend on the pixels alone, not on the version of a compression library, and the store compresses them
 * anyway. */
#include "stages/io/image.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/image_codec.h"
#include <stdlib.h>
#include <string.h>

void image_free(struct image *im)
{
    free(im->rgb);
    *im = (struct image){0};
}

bool image_check_size(int64_t width, int64_t height, struct error *err)
{
    if (width < 1 || height < 1)
        return error_set(err, NULL, ERROR_INPUT, "the image is empty (%lld x %lld)", (long long)width,
                         (long long)height);
    if (width > INT32_MAX || height > INT32_MAX || width > IMAGE_MAX_PIXELS / height)
        return error_set(err, NULL, ERROR_INPUT, "the image is too large (%lld x %lld; at most %lld pixels)",
                         (long long)width, (long long)height, (long long)IMAGE_MAX_PIXELS);
    return true;
}

uint8_t *image_alloc(int width, int height, struct error *err)
{
    uint8_t *p = malloc((size_t)width * (size_t)height * 3);
    if (!p)
        error_set(err, NULL, ERROR_SYSTEM, "out of memory for an image of %d x %d", width, height);
    return p;
}

/* What lies under the name of an image where none is. */
static const struct other {
    size_t at, n;
    const char *bytes, *name;
} others[] = {
    {0, 4, "GIF8", "a GIF"},
    {0, 2, "BM", "a BMP"},
    {0, 4, "II*\0", "a TIFF"},
    {0, 4, "MM\0*", "a TIFF"},
    {4, 8, "ftypavif", "an AVIF"},
    {4, 8, "ftypheic", "a HEIC"},
    {4, 8, "ftypmif1", "a HEIF"},
    {4, 8, "jP  \r\n\x87\n", "a JPEG 2000"},
    {0, 2, "\xff\n", "a JPEG XL"},
    {4, 8, "JXL \r\n\x87\n", "a JPEG XL"},
    {0, 4, "8BPS", "a Photoshop file"},
    {0, 4, "\0\0\1\0", "an icon"},
    {0, 4, "%PDF", "a PDF"},
    {0, 4, "<svg", "an SVG"},
    {0, 5, "<?xml", "XML, perhaps an SVG"},
    {0, 5, "<!DOC", "a web page"},
    {0, 5, "<!doc", "a web page"},
    {0, 5, "<html", "a web page"},
    {0, 4, "PK\3\4", "a zip"},
    {0, 2, "\x1f\x8b", "gzip"},
    {0, 23, "version https://git-lfs", "a Git LFS pointer: fetch what it points to"},
};

static bool no_image(const uint8_t *data, size_t n, struct error *err)
{
    if (n == 0)
        return error_set(err, NULL, ERROR_INPUT, "not an image: it is empty");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const struct other *o = &others[i];
        if (n >= o->at + o->n && !memcmp(data + o->at, o->bytes, o->n))
            return error_set(err, NULL, ERROR_INPUT, "not a JPEG, PNG or WebP image: it is %s", o->name);
    }
    return error_set(err, NULL, ERROR_INPUT, "not a JPEG, PNG or WebP image: its first bytes are of none");
}

static bool decode(const uint8_t *data, size_t n, struct image_reading *r, struct image *ret,
                   struct error *err)
{
    if (n >= 3 && data[0] == 0xff && data[1] == 0xd8 && data[2] == 0xff)
        return image_jpeg(data, n, r, ret, err);
    if (n >= 8 && !memcmp(data, "\x89PNG\r\n\x1a\n", 8))
        return image_png(data, n, r, ret, err);
    if (n >= 12 && !memcmp(data, "RIFF", 4) && !memcmp(data + 8, "WEBP", 4))
        return image_webp(data, n, r, ret, err);
    return no_image(data, n, err);
}

bool image_decode_as(const uint8_t *data, size_t n, struct image_decoding how, struct image *ret,
                     struct error *err)
{
    struct image_reading r = {.how = how, .orientation = 1};
    AUTO(image) struct image im = {0};
    if (!decode(data, n, &r, &im, err) || !image_turn(&im, r.orientation, err))
        return false;
    *ret = im;
    im = (struct image){0};
    return true;
}

bool image_decode(const uint8_t *data, size_t n, struct image *ret, struct error *err)
{
    return image_decode_as(data, n, (struct image_decoding){0}, ret, err);
}

bool image_probe(const uint8_t *data, size_t n, int *width, int *height, struct error *err)
{
    struct image_reading r = {.probe = true, .orientation = 1};
    struct image im = {0};
    if (!decode(data, n, &r, &im, err))
        return false;
    *width = im.width;
    *height = im.height;
    return true;
}

/* ---- PNG writer ---- */

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
    }
    return c ^ 0xffffffffu;
}

static uint32_t adler32_of(const uint8_t *p, size_t n)
{
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < n; i++) {
        a = (a + p[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static void put_u32(struct buf *b, uint32_t v)
{
    uint8_t p[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    buf_add(b, p, 4);
}

static void put_chunk(struct buf *out, const char type[4], const void *data, size_t n)
{
    put_u32(out, (uint32_t)n);
    size_t start = out->len;
    buf_add(out, type, 4);
    if (n)
        buf_add(out, data, n);
    put_u32(out, crc32_of((const uint8_t *)out->data + start, out->len - start));
}

/* zlib stream of stored blocks of at most 65535 bytes. */
static void put_stored(struct buf *z, const uint8_t *raw, size_t n)
{
    buf_add(z, "\x78\x01", 2);
    for (size_t at = 0; at < n;) {
        size_t len = n - at < 65535 ? n - at : 65535;
        uint8_t head[5] = {at + len == n, (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)~len,
                           (uint8_t)(~len >> 8)};
        buf_add(z, head, 5);
        buf_add(z, raw + at, len);
        at += len;
    }
    put_u32(z, adler32_of(raw, n));
}

bool image_encode_png(const uint8_t *rgb, int width, int height, uint8_t **ret, size_t *ret_n,
                      struct error *err)
{
    if (!image_check_size(width, height, err))
        return false;
    AUTO(buf) struct buf raw = {0}, z = {0}, out = {0}, head = {0};
    size_t stride = (size_t)width * 3;
    for (int y = 0; y < height; y++) {
        buf_putc(&raw, 0); /* row filter: none */
        buf_add(&raw, rgb + (size_t)y * stride, stride);
    }
    put_stored(&z, (const uint8_t *)raw.data, raw.len);
    if (z.len > INT32_MAX)
        return error_set(err, NULL, ERROR_INPUT, "an image of %d x %d is too large for one PNG chunk", width,
                         height);
    put_u32(&head, (uint32_t)width);
    put_u32(&head, (uint32_t)height);
    buf_add(&head, "\x08\x02\0\0\0", 5); /* 8 bits, RGB, deflate, adaptive filters, not interlaced */
    buf_add(&out, "\x89PNG\r\n\x1a\n", 8);
    put_chunk(&out, "IHDR", head.data, head.len);
    put_chunk(&out, "IDAT", z.data, z.len);
    put_chunk(&out, "IEND", NULL, 0);
    *ret_n = out.len;
    *ret = (uint8_t *)buf_take(&out);
    return true;
}
