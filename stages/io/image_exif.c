/* EXIF: a TIFF file in little, of which one tag is wanted. */
#include "base/cleanup.h"
#include "stages/io/image_codec.h"
#include <string.h>

#define TAG_ORIENTATION 0x112
#define TYPE_SHORT      3

static unsigned number(const uint8_t *p, int bytes, bool little)
{
    unsigned v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[little ? bytes - 1 - i : i];
    return v;
}

int image_exif_orientation(const uint8_t *data, size_t n)
{
    if (n >= 6 && !memcmp(data, "Exif\0\0", 6)) {
        data += 6;
        n -= 6;
    }
    if (n < 8 || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0))
        return 1;
    bool little = *data == 'I';
    size_t at = number(data + 4, 4, little);
    if (at > n - 2)
        return 1;
    unsigned entries = number(data + at, 2, little);
    at += 2;
    for (; entries && n - at >= 12; entries--, at += 12)
        if (number(data + at, 2, little) == TAG_ORIENTATION &&
            number(data + at + 2, 2, little) == TYPE_SHORT) {
            unsigned v = number(data + at + 8, 2, little);
            return v >= 1 && v <= 8 ? (int)v : 1;
        }
    return 1;
}

/* Orientations 5 to 8 lie on their side; 2, 3, 7, 8 are mirrored along the stored rows, 3, 4, 6, 7 along the
 * stored columns. */
bool image_turn(struct image *im, int o, struct error *err)
{
    if (o == 1)
        return true;
    bool lies = o >= 5, mirror_x = o == 2 || o == 3 || o >= 7,
         mirror_y = o == 3 || o == 4 || o == 6 || o == 7;
    int w = im->width, h = im->height;
    AUTO(image) struct image out = {.width = lies ? h : w, .height = lies ? w : h};
    out.rgb = image_alloc(out.width, out.height, err);
    if (!out.rgb)
        return false;
    uint8_t *to = out.rgb;
    for (int y = 0; y < out.height; y++)
        for (int x = 0; x < out.width; x++, to += 3) {
            int sx = lies ? y : x, sy = lies ? x : y;
            sx = mirror_x ? w - 1 - sx : sx;
            sy = mirror_y ? h - 1 - sy : sy;
            memcpy(to, im->rgb + ((size_t)sy * (size_t)w + (size_t)sx) * 3, 3);
        }
    image_free(im);
    *im = out;
    out = (struct image){0};
    return true;
}
