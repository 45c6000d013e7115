/* Small images as files in memory, for tests. Every function returns malloc'd bytes. */
#ifndef TESTS_UNIT_IMAGE_MAKE_H
#define TESTS_UNIT_IMAGE_MAKE_H
#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/io/image.h"
#include "tests/unit/jpeg_make.h"
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <webp/encode.h>

/* A smooth picture with some detail; k varies it. */
static inline void make_pixels(int width, int height, int k, uint8_t *rgb)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, rgb += 3) {
            rgb[0] = (uint8_t)(x * 255 / width);
            rgb[1] = (uint8_t)(y * 255 / height);
            rgb[2] = (uint8_t)((x * 7 + y * 13 + k * 31) & 255);
        }
}

static inline uint8_t *make_png(int width, int height, int k, size_t *n)
{
    uint8_t *rgb = xmalloc((size_t)(width * height * 3)), *png;
    make_pixels(width, height, k, rgb);
    if (!image_encode_png(rgb, width, height, &png, n, NULL))
        abort();
    free(rgb);
    return png;
}

/* quality 0: lossless. */
static inline uint8_t *make_webp(int width, int height, int quality, const uint8_t *rgb, size_t *n)
{
    uint8_t *made = NULL, *out;
    *n = quality ? WebPEncodeRGB(rgb, width, height, width * 3, (float)quality, &made)
                 : WebPEncodeLosslessRGB(rgb, width, height, width * 3, &made);
    if (!*n)
        abort();
    out = xmalloc(*n);
    memcpy(out, made, *n);
    WebPFree(made);
    return out;
}

static inline void png_append(png_structp png, png_bytep data, png_size_t n)
{
    buf_add(png_get_io_ptr(png), data, n);
}

static inline void png_flushed(png_structp png)
{
}

/* A PNG of any colour type and depth; rows are packed as the format has them. A palette gets entry i = (i,
 * 255 - i, 7). */
static inline uint8_t *make_png_of(int width, int height, int type, int depth, bool interlaced,
                                   const uint8_t *rows, size_t row_bytes, size_t *n)
{
    struct buf out = {0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    if (setjmp(png_jmpbuf(png)))
        abort();
    png_set_write_fn(png, &out, png_append, png_flushed);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, depth, type,
                 interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (type == PNG_COLOR_TYPE_PALETTE) {
        png_color palette[256];
        png_byte alpha[4] = {0, 100, 200, 255};
        for (int i = 0; i < 256; i++)
            palette[i] = (png_color){(png_byte)i, (png_byte)(255 - i), 7};
        png_set_PLTE(png, info, palette, 1 << depth);
        png_set_tRNS(png, info, alpha, depth == 1 ? 2 : 4, NULL);
    }
    png_bytepp list = xmalloc((size_t)height * sizeof *list);
    for (int y = 0; y < height; y++)
        list[y] = (png_bytep)(uintptr_t)(rows + (size_t)y * row_bytes);
    png_set_rows(png, info, list);
    png_write_png(png, info, PNG_TRANSFORM_IDENTITY, NULL);
    png_destroy_write_struct(&png, &info);
    free(list);
    *n = out.len;
    return (uint8_t *)buf_take(&out);
}

/* A fresh folder below the system's temporary one; the caller removes it with fs_remove_tree. */
static inline char *make_folder(void)
{
    char *dir = xstrdup("/tmp/weft-test-XXXXXX");
    if (!mkdtemp(dir))
        abort();
    return dir;
}

/* Write root/name, with its folders. */
static inline void make_file(const char *root, const char *name, const void *p, size_t n)
{
    char *path = xprintf("%s/%s", root, name), *folder = xstrdup(path);
    *strrchr(folder, '/') = 0;
    if (!fs_mkdirs(folder, NULL) || !fs_write_file(path, p, n, NULL))
        abort();
    free(folder);
    free(path);
}
#endif
