/* PNG by libpng: every colour type and depth to 8-bit RGB; alpha dropped, not blended; 16-bit samples keep
 * their high byte (Pillow clips 16-bit grey at 255, which makes it white); interlacing undone. No gamma
 * correction: bytes as stored, as Pillow does. */
#include "stages/io/image_codec.h"
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

/* All state that changes after setjmp lives here, in the caller's frame, so that longjmp leaves it defined.
 */
struct reader {
    png_structp png;
    png_infop info;
    const uint8_t *data;
    size_t n, at;
    jmp_buf jump;
    char text[256];
    uint8_t *rgb;
    int width, height;
};

static void on_error(png_structp png, png_const_charp message)
{
    struct reader *r = png_get_error_ptr(png);
    snprintf(r->text, sizeof r->text, "%s", message);
    longjmp(r->jump, 1);
}

/* libpng warns of ancillary chunks only (colour profiles, text); damage to pixels is an error, by CRC. */
static void on_warning(png_structp png, png_const_charp message)
{
}

static void on_read(png_structp png, png_bytep to, size_t n)
{
    struct reader *r = png_get_io_ptr(png);
    if (n > r->n - r->at)
        png_error(png, "the file ends too early");
    memcpy(to, r->data + r->at, n);
    r->at += n;
}

static bool read_header(struct reader *r)
{
    png_set_user_limits(r->png, 0x7fffffff, 0x7fffffff); /* ours is the product, below */
    png_set_read_fn(r->png, r, on_read);
    png_read_info(r->png, r->info);
    struct error e;
    if (!image_check_size(png_get_image_width(r->png, r->info), png_get_image_height(r->png, r->info), &e)) {
        snprintf(r->text, sizeof r->text, "%.*s", (int)sizeof r->text - 1, e.text);
        return false;
    }
    r->width = (int)png_get_image_width(r->png, r->info);
    r->height = (int)png_get_image_height(r->png, r->info);
    return true;
}

static void set_rgb8(struct reader *r)
{
    int type = png_get_color_type(r->png, r->info);
    png_set_strip_16(r->png);
    if (type == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(r->png);
    if (!(type & PNG_COLOR_MASK_COLOR)) {
        png_set_expand_gray_1_2_4_to_8(r->png);
        png_set_gray_to_rgb(r->png);
    }
    png_set_strip_alpha(r->png);
}

/* false: r->text says why. The only function that setjmp returns into; its locals are set after the last
 * error that could jump past them matters: none is read after a jump. */
static bool read_all(struct reader *r, struct image_reading *how)
{
    if (setjmp(r->jump))
        return false;
    if (!read_header(r))
        return false;
    if (how->probe)
        return true;
    set_rgb8(r);
    int passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    size_t stride = (size_t)r->width * 3;
    if (png_get_rowbytes(r->png, r->info) != stride) {
        snprintf(r->text, sizeof r->text, "unexpected row size");
        return false;
    }
    r->rgb = calloc((size_t)r->height, stride);
    if (!r->rgb) {
        snprintf(r->text, sizeof r->text, "out of memory for an image of %d x %d", r->width, r->height);
        return false;
    }
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < r->height; y++)
            png_read_row(r->png, r->rgb + (size_t)y * stride, NULL);
    png_read_end(r->png, r->info);
    png_uint_32 n = 0;
    png_bytep exif = NULL;
    if (how->how.upright && png_get_eXIf_1(r->png, r->info, &n, &exif))
        how->orientation = image_exif_orientation(exif, n);
    return true;
}

bool image_png(const uint8_t *data, size_t n, struct image_reading *how, struct image *ret, struct error *err)
{
    struct reader r = {.data = data, .n = n};
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    bool ok = false;
    if (r.info)
        ok = read_all(&r, how);
    else
        snprintf(r.text, sizeof r.text, "libpng has no memory");
    if (r.png)
        png_destroy_read_struct(&r.png, &r.info, NULL);
    if (!ok) {
        free(r.rgb);
        return error_set(err, NULL, ERROR_INPUT, "damaged or unreadable PNG: %s", r.text);
    }
    *ret = (struct image){.rgb = r.rgb, .width = r.width, .height = r.height};
    return true;
}
