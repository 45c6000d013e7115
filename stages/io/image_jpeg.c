/* JPEG by libjpeg-turbo: accurate integer inverse DCT, triangular chroma upsampling (its defaults, and
 * Pillow's). Where libjpeg patches over damage with a warning, weft refuses: an image is whole or it is an
 * error. */
#include "stages/io/image_codec.h"
#include <jpeglib.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
/* From jerror.h only the list of message codes: its macros use calls that are banned here. */
#define JERROR_H
#define JMAKE_ENUM_LIST
#define JMESSAGE(code, string) code,
#include <jerror.h>

/* A progressive file may carry any number of scans over the full picture: a small file, hours of work. */
#define MAX_SCANS 200

/* All state that changes after setjmp lives here, in the caller's frame, so that longjmp leaves it defined.
 */
struct reader {
    struct jpeg_decompress_struct c;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    char text[JMSG_LENGTH_MAX];
    uint8_t *rgb, *cmyk;
    int width, height;
    unsigned seen; /* components of which a scan has come, by index */
};

static void on_error(j_common_ptr c)
{
    struct reader *r = c->client_data;
    c->err->format_message(c, r->text);
    longjmp(r->jump, 1);
}

/* libjpeg's warnings mean damage, but for these: odd headers, and bytes between the last scan's data
 * and the end marker, which many cameras leave. */
static void on_message(j_common_ptr c, int level)
{
    int code = c->err->msg_code;
    bool harmless = code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR || code == JWRN_BOGUS_ICC ||
                    (code == JWRN_EXTRANEOUS_DATA && c->err->msg_parm.i[1] == 0xd9);
    if (level < 0 && !harmless)
        on_error(c);
}

static void on_output(j_common_ptr c)
{
}

/* Before each row of each scan, where the file has several. */
static void on_progress(j_common_ptr c)
{
    struct reader *r = c->client_data;
    if (r->c.input_scan_number > MAX_SCANS) {
        snprintf(r->text, sizeof r->text, "more than %d scans", MAX_SCANS);
        longjmp(r->jump, 1);
    }
    for (int i = 0; i < r->c.comps_in_scan && r->c.Ss == 0; i++)
        r->seen |= 1u << r->c.cur_comp_info[i]->component_index;
}

/* libjpeg takes a component without any scan for flat grey, and does not say so. */
static bool complete(struct reader *r)
{
    if (!jpeg_has_multiple_scans(&r->c) || r->seen == (1u << r->c.num_components) - 1)
        return true;
    snprintf(r->text, sizeof r->text, "some of its colours are missing");
    return false;
}

/* C', M', Y', K' as stored are inverted (Adobe's convention, which all writers follow): R = round(C' K' /
 * 255). */
static void cmyk_to_rgb(const uint8_t *cmyk, int width, uint8_t *rgb)
{
    for (int x = 0; x < width; x++)
        for (int k = 0; k < 3; k++)
            rgb[3 * x + k] = (uint8_t)((cmyk[4 * x + k] * cmyk[4 * x + 3] + 127) / 255);
}

static bool too_large(struct reader *r)
{
    struct error e;
    if (image_check_size(r->width, r->height, &e))
        return false;
    snprintf(r->text, sizeof r->text, "%.*s", (int)sizeof r->text - 1, e.text);
    return true;
}

/* Decode at 1/2, 1/4 or 1/8, as far as the shorter side stays at least `side`. */
static void choose_scale(struct reader *r, int side)
{
    int shorter = r->width < r->height ? r->width : r->height;
    unsigned part = 1;
    while (part < 8 && (shorter + 2 * (int)part - 1) / (2 * (int)part) >= side)
        part *= 2;
    r->c.scale_num = 1;
    r->c.scale_denom = part;
    jpeg_calc_output_dimensions(&r->c);
    r->width = (int)r->c.output_width;
    r->height = (int)r->c.output_height;
}

static void read_orientation(struct reader *r, struct image_reading *how)
{
    for (jpeg_saved_marker_ptr m = r->c.marker_list; m; m = m->next)
        if (m->data_length >= 6 && !memcmp(m->data, "Exif\0\0", 6)) {
            how->orientation = image_exif_orientation(m->data, m->data_length);
            return;
        }
}

static void read_rows(struct reader *r, bool four)
{
    while (r->c.output_scanline < r->c.output_height) {
        uint8_t *row = r->rgb + (size_t)r->c.output_scanline * (size_t)r->width * 3;
        JSAMPROW target = four ? r->cmyk : row;
        jpeg_read_scanlines(&r->c, &target, 1);
        if (four)
            cmyk_to_rgb(r->cmyk, r->width, row);
    }
}

/* false: r->text says why. The only function that setjmp returns into; it changes no locals after setjmp. */
static bool read_all(struct reader *r, const uint8_t *data, size_t n, struct image_reading *how)
{
    if (setjmp(r->jump))
        return false;
    jpeg_create_decompress(&r->c);
    r->c.progress = &r->progress;
    jpeg_mem_src(&r->c, data, (unsigned long)n);
    if (how->how.upright)
        jpeg_save_markers(&r->c, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&r->c, TRUE);
    r->width = (int)r->c.image_width;
    r->height = (int)r->c.image_height;
    if (too_large(r))
        return false;
    if (how->probe)
        return true;
    if (how->how.upright)
        read_orientation(r, how);
    r->c.out_color_space = r->c.num_components == 4 ? JCS_CMYK : JCS_RGB;
    r->c.dct_method = JDCT_ISLOW;
    r->c.do_fancy_upsampling = TRUE;
    if (how->how.side > 0)
        choose_scale(r, how->how.side);
    r->rgb = malloc((size_t)r->width * (size_t)r->height * 3);
    r->cmyk = malloc((size_t)r->width * 4);
    if (!r->rgb || !r->cmyk) {
        snprintf(r->text, sizeof r->text, "out of memory for an image of %d x %d", r->width, r->height);
        return false;
    }
    jpeg_start_decompress(&r->c);
    if (!complete(r))
        return false;
    read_rows(r, r->c.out_color_space == JCS_CMYK);
    jpeg_finish_decompress(&r->c);
    return true;
}

bool image_jpeg(const uint8_t *data, size_t n, struct image_reading *how, struct image *ret,
                struct error *err)
{
    struct reader r = {0};
    r.c.err = jpeg_std_error(&r.errors);
    r.c.client_data = &r;
    r.errors.error_exit = on_error;
    r.errors.emit_message = on_message;
    r.errors.output_message = on_output;
    r.progress.progress_monitor = on_progress;
    bool ok = read_all(&r, data, n, how);
    jpeg_destroy_decompress(&r.c);
    free(r.cmyk);
    if (!ok) {
        free(r.rgb);
        return error_set(err, NULL, ERROR_INPUT, "damaged or unreadable JPEG: %s", r.text);
    }
    *ret = (struct image){.rgb = r.rgb, .width = r.width, .height = r.height};
    return true;
}
