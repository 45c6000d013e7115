/* Where values lie on an axis of a picture, 0 to 1, and its ticks. */
#ifndef ENGINE_CLI_SCALE_H
#define ENGINE_CLI_SCALE_H
#include <stdbool.h>

struct tick {
    double at;
    char *text;
    bool hidden; /* would lie over another one */
};
struct scale {
    double lo, hi;
    bool log;
    double *at; /* by item; NAN: nowhere */
    struct tick *tick;
    int n_ticks;
};
/* Numbers: linear, or logarithmic when they are positive and span more than a factor of 100. `margin`: a part
 * of the range that stays free at both ends. Those that are not finite are nowhere. */
void scale_numbers(struct scale *s, const double *number, int n, double margin);
/* Texts: evenly, in order of first appearance. */
void scale_texts(struct scale *s, const char *const *text, int n);
double scale_place(const struct scale *s, double x); /* of numbers; NAN: nowhere */
/* Hides the ticks that would overlap on an axis of this many pixels: the first and the last one stay. */
void scale_thin(struct scale *s, double pixels, bool horizontal, double most);
void scale_done(struct scale *s);
static inline void scale_auto(struct scale *s)
{
    scale_done(s);
}
#endif
