/* Pieces of an SVG: escaped text that fits, and colours. Coordinates are pixels. */
#ifndef BASE_SVG_H
#define BASE_SVG_H
#include "base/buf.h"

void svg_escape(struct buf *out, const char *text);
/* About how wide a text is at 12 pixels, from its characters; no font is at hand. */
double svg_width(const char *text);
/* class: as svg_open names them. The middle of what is wider than `most` becomes an ellipsis, and the whole
 * text its tooltip. */
void svg_text(struct buf *out, double x, double y, const char *class, double most, const char *text);
/* Opens the picture: size, styles, white ground, title. */
void svg_open(struct buf *out, double width, double height, const char *title);
/* "#rrggbb" of x, 0 (pale) to 1 (dark): viridis without its palest part, which white would swallow. */
struct svg_colour {
    char s[8];
} svg_colour(double x);
#endif
