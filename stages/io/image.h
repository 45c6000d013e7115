/* Images: decode JPEG, PNG and WebP to RGB bytes, Pillow-exact resampling, crop. */
#ifndef STAGES_IO_IMAGE_H
#define STAGES_IO_IMAGE_H
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct image {
    uint8_t *rgb; /* (height, width, 3), malloc'd */
    int width, height;
};
void image_free(struct image *im);
static inline void image_auto(struct image *im)
{
    image_free(im);
}
/* By content, not by name; alpha is dropped, grey and palette become RGB, 16 bit becomes the high 8, CMYK
 * (Adobe) becomes RGB; truncated and corrupt data are ERROR_INPUT. At most 2^28 pixels. */
bool image_decode(const uint8_t *data, size_t n, struct image *ret, struct error *err) MUST_CHECK;
struct image_decoding {
    bool upright; /* turned as its EXIF says; else as stored */
    int side;     /* above 0: decode a JPEG at 1/2, 1/4 or 1/8 as long as its shorter side stays at least
                     this. Faster, but other pixels than from all of it */
};
bool image_decode_as(const uint8_t *data, size_t n, struct image_decoding how, struct image *ret,
                     struct error *err) MUST_CHECK;
/* Width, height and validity of the header only. */
bool image_probe(const uint8_t *data, size_t n, int *width, int *height, struct error *err) MUST_CHECK;
enum image_filter { IMAGE_BILINEAR, IMAGE_BICUBIC };
/* REFERENCE section 2: Pillow's antialiased resample, 22-bit fixed point, horizontal pass first, bytes in
 * between. */
bool image_resize(const struct image *in, int width, int height, enum image_filter f, struct image *ret,
                  struct error *err) MUST_CHECK;
/* The same, of a part of the image and for a part of the result: only what that part needs is computed, and
 * its bytes are those of cutting `from` out, resizing that to width x height and cutting `part` out. */
struct image_box {
    int x, y, width, height;
};
struct image_resampling {
    struct image_box from; /* of the source */
    int width, height;     /* of all of `from`, resized */
    struct image_box part; /* of that */
    enum image_filter filter;
};
bool image_resample(const struct image *in, const struct image_resampling *r, struct image *ret,
                    struct error *err) MUST_CHECK;
/* Shorter side to n, longer to int(n * long / short). */
bool image_short_size(int width, int height, int n, int *ret_width, int *ret_height,
                      struct error *err) MUST_CHECK;
bool image_resize_short(const struct image *in, int n, enum image_filter f, struct image *ret,
                        struct error *err) MUST_CHECK;
bool image_encode_png(const uint8_t *rgb, int width, int height, uint8_t **ret, size_t *ret_n,
                      struct error *err) MUST_CHECK; /* deterministic */
#endif
