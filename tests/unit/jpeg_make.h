/* Small JPEGs of every kind in memory, for tests; malloc'd. */
#ifndef TESTS_UNIT_JPEG_MAKE_H
#define TESTS_UNIT_JPEG_MAKE_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* Needs the sizes of stdio.h. */
#include <jpeglib.h>

/* How a JPEG is written: components 1 (grey), 3 (RGB as YCbCr) or 4 (CMYK, inverted as Adobe does, stored as
 * given, or as YCCK where so said). */
struct jpeg_kind {
    int components, h, v;             /* chroma samples are h x v times fewer; 0: libjpeg's choice (2 x 2) */
    bool progressive, ycck, separate; /* separate: a scan for each component */
    int restart;                      /* blocks between restart markers */
    int quality;                      /* 0: 95 */
    const void *app1;                 /* a marker's content, app1_n bytes */
    unsigned app1_n;
};

static inline void jpeg_set_kind(struct jpeg_compress_struct *c, const struct jpeg_kind *k)
{
    static const jpeg_scan_info each[] = {
        {1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};
    jpeg_set_defaults(c);
    if (k->ycck)
        jpeg_set_colorspace(c, JCS_YCCK);
    jpeg_set_quality(c, k->quality ? k->quality : 95, TRUE);
    if (k->h) {
        c->comp_info[0].h_samp_factor = k->h;
        c->comp_info[0].v_samp_factor = k->v;
    }
    if (k->progressive)
        jpeg_simple_progression(c);
    if (k->separate) {
        c->scan_info = each;
        c->num_scans = 3;
    }
    c->restart_interval = (unsigned)k->restart;
}

static inline uint8_t *make_jpeg_of(int width, int height, const struct jpeg_kind *k, const uint8_t *pixels,
                                    size_t *n)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned char *out = NULL;
    unsigned long size = 0;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &out, &size);
    c.image_width = (JDIMENSION)width;
    c.image_height = (JDIMENSION)height;
    c.input_components = k->components;
    c.in_color_space = k->components == 1 ? JCS_GRAYSCALE : k->components == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_kind(&c, k);
    jpeg_start_compress(&c, TRUE);
    if (k->app1_n)
        jpeg_write_marker(&c, JPEG_APP0 + 1, k->app1, k->app1_n);
    while (c.next_scanline < c.image_height) {
        JSAMPROW row =
            (JSAMPROW)(uintptr_t)(pixels + (size_t)c.next_scanline * (size_t)(width * k->components));
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    *n = size;
    return out;
}

static inline uint8_t *make_jpeg(int width, int height, int components, bool progressive,
                                 const uint8_t *pixels, size_t *n)
{
    struct jpeg_kind k = {.components = components, .progressive = progressive};
    return make_jpeg_of(width, height, &k, pixels, n);
}
#endif
