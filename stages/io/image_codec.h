/* The decoders behind image_decode, one per format. Each takes a whole file in memory; a probe fills width
 * and height of ret and leaves rgb NULL. On failure ret is untouched and nothing leaks. */
#ifndef STAGES_IO_IMAGE_CODEC_H
#define STAGES_IO_IMAGE_CODEC_H
#include "stages/io/image.h"

#define IMAGE_MAX_PIXELS ((int64_t)1 << 28)

bool image_jpeg(const uint8_t *data, size_t n, bool probe, struct image *ret, struct error *err) MUST_CHECK;
bool image_png(const uint8_t *data, size_t n, bool probe, struct image *ret, struct error *err) MUST_CHECK;
/* Is (width, height) within bounds? ERROR_INPUT otherwise. */
bool image_check_size(int64_t width, int64_t height, struct error *err) MUST_CHECK;
/* malloc of width x height x 3; an error, not an exit, when memory is short: sizes come from files. */
uint8_t *image_alloc(int width, int height, struct error *err);
#endif
