/* The decoders behind image_decode, one per format. Each takes a whole file in memory; a probe fills width
 * and height of ret and leaves rgb NULL. On failure ret is untouched and nothing leaks. */
#ifndef STAGES_IO_IMAGE_CODEC_H
#define STAGES_IO_IMAGE_CODEC_H
#include "stages/io/image.h"

#define IMAGE_MAX_PIXELS ((int64_t)1 << 28)

struct image_reading {
    bool probe;
    struct image_decoding how;
    int orientation; /* set where how.upright: what EXIF says, 1 to 8; left at 1 where it says nothing */
};
bool image_jpeg(const uint8_t *data, size_t n, struct image_reading *r, struct image *ret,
                struct error *err) MUST_CHECK;
bool image_png(const uint8_t *data, size_t n, struct image_reading *r, struct image *ret,
               struct error *err) MUST_CHECK;
bool image_webp(const uint8_t *data, size_t n, struct image_reading *r, struct image *ret,
                struct error *err) MUST_CHECK;
/* Is (width, height) within bounds? ERROR_INPUT otherwise. */
bool image_check_size(int64_t width, int64_t height, struct error *err) MUST_CHECK;
/* malloc of width x height x 3; an error, not an exit, when memory is short: sizes come from files. */
uint8_t *image_alloc(int width, int height, struct error *err);
/* image_exif.c: the orientation that a block of EXIF gives, with or without "Exif\0\0" before it; 1 where it
 * gives none or is damaged. */
int image_exif_orientation(const uint8_t *data, size_t n);
/* What was taken in that orientation, upright. */
bool image_turn(struct image *im, int orientation, struct error *err) MUST_CHECK;
#endif
