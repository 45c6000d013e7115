/* One painter per family of patterns; one row per class gives its painter, arguments and style. */
#include "stages/job/synthetic_world.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/job/synthetic_draw.h"
#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

/* What a painter gets: the canvas with its background, the look, this image's random numbers, the class's
 * arguments. */
struct scene {
    struct canvas *canvas;
    const struct look *look;
    struct rng *rng;
    double a, b;
};
struct world_class {
    const char *name;
    void (*paint)(struct scene *s);
    double a, b;
    enum look_kind look;
    double kin; /* probability of `look`; otherwise any of the styles */
};

static double between(struct scene *s, double low, double high)
{
    return draw_between(s->rng, low, high);
}

static double degrees(double d)
{
    return d * PI / 180;
}

static void shape(struct scene *s, double (*f)(double x, double y, const double *arg), const double *arg)
{
    draw_shape(s->canvas, s->look, s->look->fore, f, arg);
}

/* ---- stripes ---- */

enum { HORIZONTAL, VERTICAL, DIAGONAL, CROSSED, WAVY };
enum { THIN, WIDE, MEDIUM };

static void one_grating(struct scene *s, double angle, double cycles, double height)
{
    const double arg[] = {angle + degrees(between(s, -9, 9)),
                          cycles,
                          between(s, 0, 1),
                          between(s, .35, .6),
                          height,
                          between(s, 1.2, 2.2)};
    shape(s, distance_grating, arg);
}

/* a: direction; b: width. */
static void paint_stripes(struct scene *s)
{
    double cycles = s->b == THIN   ? between(s, 5.2, 8)
                    : s->b == WIDE ? between(s, 2.6, 4.8)
                                   : between(s, 2.5, 8);
    double angle = s->a == VERTICAL ? PI / 2 : 0;
    if (s->a == DIAGONAL)
        angle = degrees(rng_uniform(s->rng) < .5f ? 45 : -45);
    one_grating(s, angle, cycles, s->a == WAVY ? between(s, .05, .09) : 0);
    if (s->a == CROSSED)
        one_grating(s, PI / 2, cycles * between(s, .9, 1.1), 0);
}

static void paint_checker(struct scene *s)
{
    const double arg[] = {degrees(between(s, -10, 10)), between(s, 3, 7), between(s, 0, 2), between(s, 0, 2)};
    shape(s, distance_checker, arg);
}

static void paint_bricks(struct scene *s)
{
    const double rows = between(s, 4, 7), arg[] = {rows, rows * .5, between(s, .02, .04), between(s, 0, 1)};
    shape(s, distance_bricks, arg);
}

/* ---- blobs ---- */

enum { ROUND, LONG, ROW };

/* Up to `n` places at least `apart` from each other, by trial; a crowded picture may get a place that is
 * closer. */
static void places(struct scene *s, int n, double margin, double apart, double *xy)
{
    for (int i = 0; i < n; i++)
        for (int attempt = 0; attempt < 60; attempt++) {
            bool free_ = true;
            xy[2 * i] = between(s, margin, 1 - margin);
            xy[2 * i + 1] = between(s, margin, 1 - margin);
            for (int k = 0; k < i && free_; k++)
                free_ = hypot(xy[2 * i] - xy[2 * k], xy[2 * i + 1] - xy[2 * k + 1]) > apart;
            if (free_)
                break;
        }
}

static void one_blob(struct scene *s, double x, double y, double radius, bool is_long)
{
    double stretch = is_long ? between(s, 1.45, 1.9) : between(s, 1, 1.15);
    const double arg[] = {x, y, radius * stretch, radius / stretch, between(s, 0, PI)};
    draw_shape(s->canvas, s->look, rng_uniform(s->rng) < .7f ? s->look->fore : s->look->other,
               distance_ellipse, arg);
}

/* a: how many; b: ROUND or LONG, or ROW: evenly along a line. */
static void paint_blobs(struct scene *s)
{
    enum { MOST = 24 };
    int n = (int)s->a;
    double xy[2 * MOST], angle = between(s, 0, PI), step = between(s, .24, .28);
    places(s, n, .15, n > 10 ? .12 : .24, xy);
    for (int i = 0; i < n; i++) {
        double x = xy[2 * i], y = xy[2 * i + 1], t = (i - (n - 1) / 2.) * step;
        if (s->b == ROW) {
            x = .5 + t * cos(angle) + between(s, -.02, .02);
            y = .5 + t * sin(angle) + between(s, -.02, .02);
        }
        one_blob(s, x, y, n > 10 ? between(s, .03, .05) : between(s, .085, .115), s->b == LONG);
    }
}

/* One large spot. */
static void paint_spot(struct scene *s)
{
    one_blob(s, between(s, .35, .65), between(s, .35, .65), between(s, .18, .28), s->b == LONG);
}

/* A few to many spots: the public kin of counting. a: at most so many. */
static void paint_some(struct scene *s)
{
    struct scene t = *s;
    t.a = 2 + (double)rng_below(s->rng, (uint64_t)s->a - 1);
    paint_blobs(&t);
}

static void paint_bubbles(struct scene *s)
{
    double xy[12];
    int n = 3 + (int)rng_below(s->rng, 4);
    places(s, n, .15, .25, xy);
    for (int i = 0; i < n; i++) {
        double radius = between(s, .08, .15);
        const double outer[] = {xy[2 * i], xy[2 * i + 1], radius, radius, 0};
        const double inner[] = {xy[2 * i], xy[2 * i + 1], radius * .6, radius * .6, 0};
        shape(s, distance_ellipse, outer);
        draw_shape(s->canvas, s->look, s->look->back, distance_ellipse, inner);
    }
}

static void paint_clouds(struct scene *s)
{
    for (int i = 0; i < 7; i++) {
        const double rx = between(s, .1, .3), arg[] = {between(s, 0, 1), between(s, .2, .8), rx, rx * .4, 0};
        struct look soft = *s->look;
        soft.softness = .25;
        draw_shape(s->canvas, &soft, s->look->fore, distance_ellipse, arg);
    }
}

/* ---- rings and other figures ---- */

enum { FILLED, SINGLE, DOUBLE };

static void figure(struct scene *s, double x, double y, double radius, double sides, double angle,
                   struct colour col)
{
    const double polygon[] = {x, y, radius, sides, angle}, circle[] = {x, y, radius, radius, 0};
    if (sides > 0)
        draw_shape(s->canvas, s->look, col, distance_polygon, polygon);
    else
        draw_shape(s->canvas, s->look, col, distance_ellipse, circle);
}

/* a: corners, 0 for a circle; b: FILLED, SINGLE or DOUBLE outline. Polygons are widened to a circle's area.
 */
static void paint_figure(struct scene *s)
{
    double x = between(s, .42, .58), y = between(s, .42, .58), radius = between(s, .28, .4),
           line = between(s, .055, .075);
    double turned = between(s, 0, 2 * PI), grow = s->a == 3 ? 1.2 : s->a == 4 ? 1.1 : 1;
    double thick = s->a == 3   ? line * 1.7
                   : s->a == 4 ? line * 1.3
                               : line; /* corner radius against distance of sides */
    radius *= grow;
    figure(s, x, y, radius, s->a, turned, s->look->fore);
    if (s->b == FILLED)
        return;
    figure(s, x, y, radius - thick, s->a, turned, s->look->back);
    if (s->b == SINGLE)
        return;
    double inner = radius * between(s, .5, .6);
    figure(s, x, y, inner, s->a, turned, s->look->other);
    figure(s, x, y, inner - thick, s->a, turned, s->look->back);
}

static void paint_target(struct scene *s)
{
    double x = between(s, .4, .6), y = between(s, .4, .6), radius = between(s, .3, .42);
    for (int i = 0; i < 4; i++)
        figure(s, x, y, radius * (4 - i) / 4, 0, 0, i % 2 ? s->look->back : s->look->fore);
}

static void paint_star(struct scene *s)
{
    const double arg[] = {between(s, .4, .6), between(s, .4, .6), between(s, .3, .42), 5,
                          between(s, 0, 2 * PI)};
    shape(s, distance_star, arg);
}

static void paint_cross(struct scene *s)
{
    const double arg[] = {between(s, .4, .6), between(s, .4, .6), between(s, .28, .4), between(s, .06, .1),
                          between(s, 0, PI)};
    shape(s, distance_cross, arg);
}

static void paint_moon(struct scene *s)
{
    double x = between(s, .4, .6), y = between(s, .4, .6), radius = between(s, .25, .36),
           angle = between(s, 0, 2 * PI);
    figure(s, x, y, radius, 0, 0, s->look->fore);
    figure(s, x + .5 * radius * cos(angle), y + .5 * radius * sin(angle), radius * .9, 0, 0, s->look->back);
}

static void paint_horizon(struct scene *s)
{
    const double arg[] = {.5, between(s, .35, .65), degrees(between(s, -8, 8))};
    shape(s, distance_half, arg);
}

static void paint_noise(struct scene *s)
{
    struct look rough = *s->look;
    for (int i = 0; i < 60; i++) {
        const double arg[] = {between(s, 0, 1), between(s, 0, 1), between(s, .02, .05), 4, between(s, 0, PI)};
        draw_shape(s->canvas, &rough, rng_uniform(s->rng) < .5f ? rough.fore : rough.other, distance_polygon,
                   arg);
    }
}

/* ---- the classes ---- */

static const struct world_class stripes[] = {
    {"thin horizontal stripes", paint_stripes, HORIZONTAL, THIN, LOOK_CLOTH, 1},
    {"wide horizontal stripes", paint_stripes, HORIZONTAL, WIDE, LOOK_CLOTH, 1},
    {"thin vertical stripes", paint_stripes, VERTICAL, THIN, LOOK_CLOTH, 1},
    {"wide vertical stripes", paint_stripes, VERTICAL, WIDE, LOOK_CLOTH, 1},
    {"thin diagonal stripes", paint_stripes, DIAGONAL, THIN, LOOK_CLOTH, 1},
    {"wide diagonal stripes", paint_stripes, DIAGONAL, WIDE, LOOK_CLOTH, 1},
    {"thin crossed stripes", paint_stripes, CROSSED, THIN, LOOK_CLOTH, 1},
    {"wide crossed stripes", paint_stripes, CROSSED, WIDE, LOOK_CLOTH, 1},
};
static const struct world_class blobs[] = {
    {"two round blobs", paint_blobs, 2, ROUND, LOOK_GLOW, 1},
    {"two long blobs", paint_blobs, 2, LONG, LOOK_GLOW, 1},
    {"four round blobs", paint_blobs, 4, ROUND, LOOK_GLOW, 1},
    {"four long blobs", paint_blobs, 4, LONG, LOOK_GLOW, 1},
    {"seven round blobs", paint_blobs, 7, ROUND, LOOK_GLOW, 1},
    {"seven long blobs", paint_blobs, 7, LONG, LOOK_GLOW, 1},
    {"three blobs in a row", paint_blobs, 3, ROW, LOOK_GLOW, 1},
};
static const struct world_class rings[] = {
    {"single triangle ring", paint_figure, 3, SINGLE, LOOK_SIGN, 1},
    {"double triangle ring", paint_figure, 3, DOUBLE, LOOK_SIGN, 1},
    {"single square ring", paint_figure, 4, SINGLE, LOOK_SIGN, 1},
    {"double square ring", paint_figure, 4, DOUBLE, LOOK_SIGN, 1},
    {"single hexagon ring", paint_figure, 6, SINGLE, LOOK_SIGN, 1},
    {"double hexagon ring", paint_figure, 6, DOUBLE, LOOK_SIGN, 1},
    {"single circle ring", paint_figure, 0, SINGLE, LOOK_SIGN, 1},
    {"double circle ring", paint_figure, 0, DOUBLE, LOOK_SIGN, 1},
};
/* Interleaved over the families, so that a first few are a cross-section. */
static const struct world_class public_[] = {
    {"horizontal stripes", paint_stripes, HORIZONTAL, MEDIUM, LOOK_CLOTH, .5},
    {"round spot", paint_spot, 0, ROUND, LOOK_GLOW, .5},
    {"filled circle", paint_figure, 0, FILLED, LOOK_SIGN, .5},
    {"rough noise", paint_noise, 0, 0, LOOK_ANY, 1},
    {"vertical stripes", paint_stripes, VERTICAL, MEDIUM, LOOK_CLOTH, .5},
    {"long spot", paint_spot, 0, LONG, LOOK_GLOW, .5},
    {"filled square", paint_figure, 4, FILLED, LOOK_SIGN, .5},
    {"open horizon", paint_horizon, 0, 0, LOOK_ANY, 1},
    {"diagonal stripes", paint_stripes, DIAGONAL, MEDIUM, LOOK_CLOTH, .5},
    {"some round spots", paint_some, 8, ROUND, LOOK_GLOW, .5},
    {"filled triangle", paint_figure, 3, FILLED, LOOK_SIGN, .5},
    {"half moon", paint_moon, 0, 0, LOOK_ANY, 1},
    {"crossed stripes", paint_stripes, CROSSED, MEDIUM, LOOK_CLOTH, .5},
    {"some long spots", paint_some, 8, LONG, LOOK_GLOW, .5},
    {"circle ring", paint_figure, 0, SINGLE, LOOK_SIGN, .5},
    {"five pointed star", paint_star, 0, 0, LOOK_ANY, 1},
    {"wavy lines", paint_stripes, WAVY, MEDIUM, LOOK_CLOTH, .5},
    {"small dots", paint_blobs, 20, ROUND, LOOK_GLOW, .5},
    {"square ring", paint_figure, 4, SINGLE, LOOK_SIGN, .5},
    {"soft clouds", paint_clouds, 0, 0, LOOK_ANY, 1},
    {"checker board", paint_checker, 0, 0, LOOK_CLOTH, .5},
    {"open bubbles", paint_bubbles, 0, 0, LOOK_GLOW, .5},
    {"target", paint_target, 0, 0, LOOK_SIGN, .5},
    {"plain cross", paint_cross, 0, 0, LOOK_SIGN, .5},
    {"brick wall", paint_bricks, 0, 0, LOOK_CLOTH, .5},
};

const struct world_class *world_domain(const char *domain, int *ret_n)
{
#define DOMAIN(text, rows)                                                                                   \
    if (!strcmp(domain, text)) {                                                                             \
        *ret_n = (int)(sizeof(rows) / sizeof *(rows));                                                       \
        return rows;                                                                                         \
    }
    DOMAIN("public", public_)
    DOMAIN("stripes", stripes)
    DOMAIN("blobs", blobs)
    DOMAIN("rings", rings)
#undef DOMAIN
    return NULL;
}

const char *world_name(const struct world_class *c, int i)
{
    return c[i].name;
}

void world_draw(const struct world_class *c, int i, struct rng_stream stream, int64_t index, int size,
                uint8_t *rgb)
{
    struct rng rng = rng_at(stream, (uint64_t)index, 0);
    AUTO(mem) struct colour *px = xcalloc((size_t)size * (size_t)size, sizeof *px);
    struct canvas canvas = {.size = size, .px = px};
    bool kin = rng_uniform_double(&rng) < c[i].kin;
    struct look look = draw_background(&canvas, kin ? c[i].look : LOOK_ANY, &rng);
    struct scene scene = {.canvas = &canvas, .look = &look, .rng = &rng, .a = c[i].a, .b = c[i].b};
    c[i].paint(&scene);
    draw_finish(&canvas, &look, &rng, rgb);
}
