/* WebP by libwebp, lossy and lossless; alpha is dropped, not blended. WebP has no checksums: the list of
 * chunks is checked here, the rest is what the decoder notices. */
#include "base/cleanup.h"
#include "stages/io/image_codec.h"
#include <string.h>
#include <webp/decode.h>

#define HEAD 12 /* "RIFF", size, "WEBP" */

struct chunks {
    const uint8_t *exif;
    size_t exif_n;
    bool animated;
};

static size_t le32(const uint8_t *p)
{
    return (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

/* NULL, or what is wrong. */
static const char *read_chunks(const uint8_t *data, size_t n, struct chunks *ret)
{
    size_t end = le32(data + 4) + 8, at = HEAD;
    if (end > n)
        return "the file ends too early";
    while (at < end) {
        if (end - at < 8 || le32(data + at + 4) > end - at - 8)
            return "a part of it is longer than the file";
        size_t size = le32(data + at + 4);
        ret->animated |= !memcmp(data + at, "ANIM", 4) || !memcmp(data + at, "ANMF", 4);
        if (!memcmp(data + at, "EXIF", 4)) {
            ret->exif = data + at + 8;
            ret->exif_n = size;
        }
        at += 8 + size + size % 2;
    }
    return NULL;
}

static const char *status_text(VP8StatusCode s)
{
    switch (s) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return "out of memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return "it has a feature that the decoder does not know";
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return "its data end too early";
    default:
        return "its data are corrupt";
    }
}

static bool refuse(const char *why, struct error *err)
{
    return error_set(err, NULL, ERROR_INPUT, "damaged or unreadable WebP: %s", why);
}

bool image_webp(const uint8_t *data, size_t n, struct image_reading *r, struct image *ret, struct error *err)
{
    struct chunks c = {0};
    const char *wrong = read_chunks(data, n, &c);
    WebPDecoderConfig w;
    if (wrong)
        return refuse(wrong, err);
    if (c.animated)
        return error_set(err, NULL, ERROR_INPUT,
                         "an animated WebP: save the picture that is meant by itself");
    if (!WebPInitDecoderConfig(&w))
        return error_set(err, NULL, ERROR_SYSTEM, "libwebp is another version than it was compiled for");
    VP8StatusCode s = WebPGetFeatures(data, n, &w.input);
    if (s != VP8_STATUS_OK)
        return refuse(status_text(s), err);
    AUTO(image) struct image im = {.width = w.input.width, .height = w.input.height};
    if (!image_check_size(im.width, im.height, err))
        return error_context(err, "damaged or unreadable WebP");
    if (!r->probe) {
        int64_t stride = (int64_t)im.width * 3;
        im.rgb = image_alloc(im.width, im.height, err);
        if (!im.rgb)
            return false;
        w.output.colorspace = MODE_RGB;
        w.output.is_external_memory = 1;
        w.output.u.RGBA = (WebPRGBABuffer){im.rgb, (int)stride, (size_t)(stride * im.height)};
        s = WebPDecode(data, n, &w);
        if (s != VP8_STATUS_OK)
            return refuse(status_text(s), err);
    }
    if (r->how.upright && c.exif)
        r->orientation = image_exif_orientation(c.exif, c.exif_n);
    *ret = im;
    im = (struct image){0};
    return true;
}
