/* Pillow's antialiased resampling, to the bit (REFERENCE section 2, "Image"). Per output position o along one
 * axis, scale = in / out,  f = max(scale, 1),  c = (o + 0.5) scale, taps i = int(c - s f + 0.5) .. int(c + s
 * f + 0.5) within the image,  w_i = filter((i - c + 0.5) / f) / sum, with support s = 1 (bilinear) or 2
 * (bicubic, a = -0.5), weights rounded to 22 fractional bits. Horizontal pass first; each pass rounds and
 * clips to bytes. A pass that changes nothing is left out.
 *
 * Both passes add whole vectors: the vertical one neighbours of a row, the horizontal one columns of 16 rows,
 * which is why it works on transposed blocks. Sums are of integers: their order is free.
 */
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/image.h"
#include "stages/io/image_codec.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#define PRECISION 22
#define HALF      (1 << (PRECISION - 1))
#define LANES     16 /* rows of a block */
#ifdef __AVX512F__
#define WIDE 16 /* sums that are added at once: divides LANES */
#elif defined __AVX2__
#define WIDE 8
#else
#define WIDE 4
#endif

typedef uint8_t bytes16 __attribute__((vector_size(LANES)));
typedef uint8_t bytes __attribute__((vector_size(WIDE)));
typedef int32_t sums __attribute__((vector_size(WIDE * 4)));

/* Taps of n output positions: weights (n, width), first tap and count (n). */
struct taps {
    int n, width;
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

/* Entry k of t: output position o. w has t->width entries. */
static void position_taps(struct taps *t, int k, int o, int in, double scale, double support,
                          enum image_filter f, double *w)
{
    double f_scale = scale < 1 ? 1 : scale, centre = (o + 0.5) * scale, sum = 0;
    int first = (int)(centre - support + 0.5), last = (int)(centre + support + 0.5);
    first = first < 0 ? 0 : first;
    last = last > in ? in : last;
    for (int i = first; i < last; i++) {
        double x = (i - centre + 0.5) * (1.0 / f_scale);
        w[i - first] = f == IMAGE_BICUBIC ? bicubic(x) : bilinear(x);
        sum += w[i - first];
    }
    t->first[k] = first;
    t->count[k] = last - first;
    for (int i = 0; i < last - first; i++) {
        double v = (sum != 0 ? w[i] / sum : w[i]) * (1 << PRECISION);
        t->weight[(size_t)k * (size_t)t->width + (size_t)i] = (int32_t)(v < 0 ? v - 0.5 : v + 0.5);
    }
}

/* The n positions from `start` on of `in` samples resized to `out`. */
static void taps_make(struct taps *t, int in, int out, int start, int n, enum image_filter f)
{
    double scale = (double)in / out;
    double support = (f == IMAGE_BICUBIC ? 2.0 : 1.0) * (scale < 1 ? 1 : scale);
    t->n = n;
    t->width = (int)ceil(support) * 2 + 1;
    t->first = xcalloc((size_t)n, sizeof *t->first);
    t->count = xcalloc((size_t)n, sizeof *t->count);
    t->weight = xcalloc((size_t)n * (size_t)t->width, sizeof *t->weight);
    AUTO(mem) double *w = xcalloc((size_t)t->width, sizeof *w);
    for (int k = 0; k < n; k++)
        position_taps(t, k, start + k, in, scale, support, f, w);
}

/* Compilers make the vectors' arithmetic good code for any machine, these two conversions not always. */
static inline sums widened(const uint8_t *p)
{
#ifdef __AVX512F__
    return (sums)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
#elif defined __AVX2__
    return (sums)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
#else
    bytes b;
    memcpy(&b, p, sizeof b);
    return __builtin_convertvector(b, sums);
#endif
}

static inline void put_clipped(sums sum, uint8_t *to)
{
    sums v = sum >> PRECISION;
#ifdef __AVX512F__
    v &= ~(v >> 31);
    _mm_storeu_si128((__m128i *)to, _mm512_cvtusepi32_epi8((__m512i)v));
#elif defined __AVX2__
    __m128i low = _mm256_castsi256_si128((__m256i)v), high = _mm256_extracti128_si256((__m256i)v, 1);
    __m128i words = _mm_packs_epi32(low, high);
    _mm_storel_epi64((__m128i *)to, _mm_packus_epi16(words, words));
#else
    sums over = v > 255;
    v &= ~(v >> 31);
    bytes b = __builtin_convertvector((v & ~over) | (over & 255), bytes);
    memcpy(to, &b, sizeof b);
#endif
}

static uint8_t clip(int32_t sum)
{
    int32_t v = sum >> PRECISION;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* 16 rows of 16 bytes become columns. Each round turns the 8-bit address (row, column) by one bit. */
static void transpose(bytes16 a[LANES])
{
    bytes16 b[LANES];
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < LANES / 2; i++) {
            b[2 * i] = __builtin_shufflevector(a[i], a[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6,
                                               22, 7, 23);
            b[2 * i + 1] = __builtin_shufflevector(a[i], a[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
                                                   29, 14, 30, 15, 31);
        }
        memcpy(a, b, sizeof b);
    }
}

/* Up to 16 rows of n bytes, `stride` apart, as columns (n rounded up to 16, 16). */
static void to_columns(const uint8_t *in, size_t stride, int rows, size_t n, bytes16 *out)
{
    for (size_t x = 0; x < n; x += LANES, out += LANES) {
        size_t some = n - x < LANES ? n - x : LANES;
        for (int y = 0; y < rows; y++)
            memcpy(&out[y], in + (size_t)y * stride + x, some);
        transpose(out);
    }
}

static void to_rows(bytes16 *in, size_t stride, int rows, size_t n, uint8_t *out)
{
    for (size_t x = 0; x < n; x += LANES, in += LANES) {
        size_t some = n - x < LANES ? n - x : LANES;
        transpose(in);
        for (int y = 0; y < rows; y++)
            memcpy(out + (size_t)y * stride + x, &in[y], some);
    }
}

/* WIDE of 16 rows at once: in (in width, 3) to out (t->n, 3), each of 16 bytes. */
static void pass_columns(const struct taps *t, const uint8_t *in, uint8_t *out)
{
    for (int o = 0; o < t->n; o++, out += 3 * LANES) {
        const int32_t *w = t->weight + (size_t)o * (size_t)t->width;
        const uint8_t *p = in + (size_t)t->first[o] * 3 * LANES;
        sums r = (sums){0} + HALF, g = r, b = r;
        for (int i = 0; i < t->count[o]; i++, p += 3 * LANES) {
            r += widened(p) * w[i];
            g += widened(p + LANES) * w[i];
            b += widened(p + 2 * LANES) * w[i];
        }
        put_clipped(r, out);
        put_clipped(g, out + LANES);
        put_clipped(b, out + 2 * LANES);
    }
}

static size_t rounded_up(size_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

/* Rows of `width` pixels, `stride` bytes apart, to out (rows, t->n, 3). */
static bool pass_horizontal(const struct taps *t, const uint8_t *in, size_t stride, int width, int rows,
                            uint8_t *out, struct error *err)
{
    size_t in_n = (size_t)width * 3, out_n = (size_t)t->n * 3;
    AUTO(mem) bytes16 *block = aligned_alloc(64, (rounded_up(in_n) + rounded_up(out_n)) * LANES);
    if (!block)
        return error_set(err, NULL, ERROR_SYSTEM, "out of memory for resizing an image");
    bytes16 *made = block + rounded_up(in_n);
    memset(block, 0, (rounded_up(in_n) + rounded_up(out_n)) * LANES);
    for (int y = 0; y < rows; y += LANES) {
        int some = rows - y < LANES ? rows - y : LANES;
        to_columns(in + (size_t)y * stride, stride, some, in_n, block);
        for (int k = 0; k < LANES; k += WIDE)
            pass_columns(t, (const uint8_t *)block + k, (uint8_t *)made + k);
        to_rows(made, out_n, some, out_n, out + (size_t)y * out_n);
    }
    return true;
}

/* One row of n bytes out of count rows. */
static void weigh_rows(const uint8_t *in, size_t stride, const int32_t *w, int count, size_t n, uint8_t *out)
{
    for (size_t at = 0; n >= WIDE && at < n; at += WIDE) {
        size_t x = at + WIDE > n ? n - WIDE : at; /* the last ones overlap the ones before */
        sums sum = (sums){0} + HALF;
        for (int i = 0; i < count; i++)
            sum += widened(in + (size_t)i * stride + x) * w[i];
        put_clipped(sum, out + x);
    }
    for (size_t x = 0; n < WIDE && x < n; x++) {
        int32_t sum = HALF;
        for (int i = 0; i < count; i++)
            sum += in[(size_t)i * stride + x] * w[i];
        out[x] = clip(sum);
    }
}

/* Rows of n bytes, `stride` apart, to out (t->n, n). */
static void pass_vertical(const struct taps *t, const uint8_t *in, size_t stride, size_t n, uint8_t *out)
{
    for (int o = 0; o < t->n; o++, out += n)
        weigh_rows(in + (size_t)t->first[o] * stride, stride, t->weight + (size_t)o * (size_t)t->width,
                   t->count[o], n, out);
}

/* The rows of the source box that the part needs: all taps of its rows. */
static void rows_needed(const struct taps *t, int *ret_first, int *ret_n)
{
    int end = 0;
    *ret_first = t->first[0];
    for (int o = 0; o < t->n; o++)
        end = t->first[o] + t->count[o] > end ? t->first[o] + t->count[o] : end;
    *ret_n = end - *ret_first;
}

static bool inside(const struct image_box *b, int width, int height)
{
    return b->x >= 0 && b->y >= 0 && b->width > 0 && b->height > 0 && b->width <= width - b->x &&
           b->height <= height - b->y;
}

bool image_resample(const struct image *in, const struct image_resampling *r, struct image *ret,
                    struct error *err)
{
    const struct image_box *from = &r->from, *part = &r->part;
    if (!image_check_size(r->width, r->height, err))
        return false;
    if (!inside(from, in->width, in->height) || !inside(part, r->width, r->height))
        return error_set(err, NULL, ERROR_INPUT, "a crop lies outside its image");
    AUTO(image) struct image wide = {0};
    AUTO(image) struct image out = {.width = part->width, .height = part->height};
    AUTO(taps) struct taps x = {0}, y = {0};
    int first, rows;
    taps_make(&y, from->height, r->height, part->y, part->height, r->filter);
    rows_needed(&y, &first, &rows);
    size_t stride = (size_t)in->width * 3, n = (size_t)part->width * 3;
    const uint8_t *middle = in->rgb + (size_t)(from->y + first) * stride + (size_t)(from->x + part->x) * 3;
    if (r->width != from->width) {
        taps_make(&x, from->width, r->width, part->x, part->width, r->filter);
        if (!image_check_size(part->width, rows, err) || !(wide.rgb = image_alloc(part->width, rows, err)) ||
            !pass_horizontal(&x, middle - (size_t)part->x * 3, stride, from->width, rows, wide.rgb, err))
            return false;
        middle = wide.rgb;
        stride = n;
    }
    if (!(out.rgb = image_alloc(part->width, part->height, err)))
        return false;
    for (int o = 0; o < y.n; o++)
        y.first[o] -= first;
    pass_vertical(&y, middle, stride, n, out.rgb);
    *ret = out;
    out = (struct image){0};
    return true;
}

bool image_resize(const struct image *in, int width, int height, enum image_filter f, struct image *ret,
                  struct error *err)
{
    return image_resample(
        in,
        &(struct image_resampling){{0, 0, in->width, in->height}, width, height, {0, 0, width, height}, f},
        ret, err);
}

bool image_short_size(int width, int height, int n, int *ret_width, int *ret_height, struct error *err)
{
    int64_t w = width, h = height;
    int64_t out_w = w <= h ? n : n * w / h, out_h = w <= h ? n * h / w : n;
    if (!image_check_size(out_w, out_h, err))
        return error_context(err, "resizing %d x %d to a shorter side of %d", width, height, n);
    *ret_width = (int)out_w;
    *ret_height = (int)out_h;
    return true;
}

bool image_resize_short(const struct image *in, int n, enum image_filter f, struct image *ret,
                        struct error *err)
{
    int width = 0, height = 0;
    return image_short_size(in->width, in->height, n, &width, &height, err) &&
           image_resize(in, width, height, f, ret, err);
}
