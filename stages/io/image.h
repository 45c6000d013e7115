/* Images: decode JPEG and PNG to RGB bytes, Pillow-exact resampling, crop. */
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
/* By content, not by name; alpha is dropped, grey and palette become RGB, 16 bit becomes 8, CMYK (Adobe)
 * becomes RGB; truncated and corrupt data are ERROR_INPUT. At most 2^28 pixels. */
bool image_decode(const uint8_t *data, size_t n, struct image *ret, struct error *err) MUST_CHECK;
/* Width, height and validity of the header only. */
bool image_probe(const uint8_t *data, size_t n, int *width, int *height, struct error *err) MUST_CHECK;
enum image_filter { IMAGE_BILINEAR, IMAGE_BICUBIC };
/* REFERENCE section 2: Pillow's antialiased resample, 22-bit fixed point, horizontal pass first, bytes in
 * between. */
bool image_resize(const struct image *in, int width, int height, enum image_filter f, struct image *ret,
                  struct error *err) MUST_CHECK;
/* Shorter side to n, longer to int(n * long / short). */
bool image_resize_short(const struct image *in, int n, enum image_filter f, struct image *ret,
                        struct error *err) MUST_CHECK;
bool image_encode_png(const uint8_t *rgb, int width, int height, uint8_t **ret, size_t *ret_n,
                      struct error *err) MUST_CHECK; /* deterministic */
#endif
