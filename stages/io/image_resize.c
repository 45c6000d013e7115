/* Pillow's antialiased resampling, to the bit (REFERENCE section 2, "Image"). Per output position o along one
 * axis, scale = in / out,  f = max(scale, 1),  c = (o + 0.5) scale, taps i = int(c - s f + 0.5) .. int(c + s
 * f + 0.5) within the image,  w_i = filter((i - c + 0.5) / f) / sum, with support s = 1 (bilinear) or 2
 * (bicubic, a = -0.5), weights rounded to 22 fractional bits. Horizontal pass first; each pass rounds and
 * clips to bytes. A pass that changes nothing is left out. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/image.h"
#include "stages/io/image_codec.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PRECISION 22

/* Taps of every output position: weights (out, width), first tap and count (out). */
struct taps {
    int width;
    int *first, *count;
    int32_t *weight;
};

static void taps_auto(struct taps *t)
{
    free(t->first);
    free(t->count);
    free(t->weight);
}

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/* One output position; k has t->width entries. */
static void position_taps(struct taps *t, int o, int in, double scale, double support, enum image_filter f,
                          double *k)
{
    double f_scale = scale < 1 ? 1 : scale, centre = (o + 0.5) * scale, sum = 0;
    int first = (int)(centre - support + 0.5), last = (int)(centre + support + 0.5);
    first = first < 0 ? 0 : first;
    last = last > in ? in : last;
    for (int i = first; i < last; i++) {
        double x = (i - centre + 0.5) * (1 / f_scale);
        k[i - first] = f == IMAGE_BICUBIC ? bicubic(x) : bilinear(x);
        sum += k[i - first];
    }
    t->first[o] = first;
    t->count[o] = last - first;
    for (int i = 0; i < last - first; i++) {
        double w = (sum != 0 ? k[i] / sum : k[i]) * (1 << PRECISION);
        t->weight[(size_t)o * (size_t)t->width + (size_t)i] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
}

static void taps_make(struct taps *t, int in, int out, enum image_filter f)
{
    double scale = (double)in / out;
    double support = (f == IMAGE_BICUBIC ? 2.0 : 1.0) * (scale < 1 ? 1 : scale);
    t->width = (int)ceil(support) * 2 + 1;
    t->first = xcalloc((size_t)out, sizeof *t->first);
    t->count = xcalloc((size_t)out, sizeof *t->count);
    t->weight = xcalloc((size_t)out * (size_t)t->width, sizeof *t->weight);
    AUTO(mem) double *k = xcalloc((size_t)t->width, sizeof *k);
    for (int o = 0; o < out; o++)
        position_taps(t, o, in, scale, support, f, k);
}

static uint8_t clip(int32_t sum)
{
    int32_t v = sum >> PRECISION;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* (rows, in width, 3) to (rows, out width, 3). */
static void pass_horizontal(const struct taps *t, const uint8_t *in, int in_width, int rows, int out_width,
                            uint8_t *out)
{
    for (int y = 0; y < rows; y++) {
        const uint8_t *row = in + (size_t)y * (size_t)in_width * 3;
        for (int o = 0; o < out_width; o++, out += 3) {
            const int32_t *w = t->weight + (size_t)o * (size_t)t->width;
            const uint8_t *p = row + (size_t)t->first[o] * 3;
            int32_t r = 1 << (PRECISION - 1), g = r, b = r;
            for (int i = 0; i < t->count[o]; i++, p += 3) {
                r += p[0] * w[i];
                g += p[1] * w[i];
                b += p[2] * w[i];
            }
            out[0] = clip(r);
            out[1] = clip(g);
            out[2] = clip(b);
        }
    }
}

/* (in rows, stride) to (out rows, stride); sums of a row are kept in acc (stride). */
static void pass_vertical(const struct taps *t, const uint8_t *in, size_t stride, int out_rows, int32_t *acc,
                          uint8_t *out)
{
    for (int o = 0; o < out_rows; o++, out += stride) {
        for (size_t x = 0; x < stride; x++)
            acc[x] = 1 << (PRECISION - 1);
        for (int i = 0; i < t->count[o]; i++) {
            const uint8_t *row = in + (size_t)(t->first[o] + i) * stride;
            int32_t w = t->weight[(size_t)o * (size_t)t->width + (size_t)i];
            for (size_t x = 0; x < stride; x++)
                acc[x] += row[x] * w;
        }
        for (size_t x = 0; x < stride; x++)
            out[x] = clip(acc[x]);
    }
}

bool image_resize(const struct image *in, int width, int height, enum image_filter f, struct image *ret,
                  struct error *err)
{
    if (!image_check_size(width, height, err))
        return false;
    AUTO(image) struct image wide = {.width = width, .height = in->height};
    AUTO(image) struct image out = {.width = width, .height = height};
    const uint8_t *middle = in->rgb;
    if (width != in->width) {
        AUTO(taps) struct taps t = {0};
        if (!image_check_size(width, in->height, err) || !(wide.rgb = image_alloc(width, in->height, err)))
            return false;
        taps_make(&t, in->width, width, f);
        pass_horizontal(&t, in->rgb, in->width, in->height, width, wide.rgb);
        middle = wide.rgb;
    }
    if (!(out.rgb = image_alloc(width, height, err)))
        return false;
    size_t stride = (size_t)width * 3;
    if (height != in->height) {
        AUTO(taps) struct taps t = {0};
        AUTO(mem) int32_t *acc = xcalloc(stride, sizeof *acc);
        taps_make(&t, in->height, height, f);
        pass_vertical(&t, middle, stride, height, acc, out.rgb);
    } else {
        memcpy(out.rgb, middle, stride * (size_t)height);
    }
    *ret = out;
    out = (struct image){0};
    return true;
}

bool image_resize_short(const struct image *in, int n, enum image_filter f, struct image *ret,
                        struct error *err)
{
    int64_t w = in->width, h = in->height;
    int64_t out_w = w <= h ? n : n * w / h, out_h = w <= h ? n * h / w : n;
    if (!image_check_size(out_w, out_h, err))
        return error_context(err, "resizing %d x %d to a shorter side of %d", in->width, in->height, n);
    return image_resize(in, (int)out_w, (int)out_h, f, ret, err);
}
