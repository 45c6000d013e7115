/* Styles and signed distances of the synthetic world. */
#include "stages/job/synthetic_draw.h"
#include <math.h>

#define PI 3.14159265358979323846

double draw_between(struct rng *r, double low, double high)
{
    return low + (high - low) * rng_uniform_double(r);
}

/* Hue in turns, saturation, value. */
static struct colour hsv(double h, double s, double v)
{
    double k[3];
    h -= floor(h);
    for (int i = 0; i < 3; i++) {
        double t = fmod((i == 0 ? 5 : i == 1 ? 3 : 1) + 6 * h, 6);
        double m = fmin(fmin(t, 4 - t), 1);
        k[i] = v - v * s * fmax(m, 0);
    }
    return (struct colour){k[0], k[1], k[2]};
}

static struct colour mix(struct colour a, struct colour b, double t)
{
    return (struct colour){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

static struct colour scaled(struct colour a, double k)
{
    return (struct colour){a.r * k, a.g * k, a.b * k};
}

/* Two hues and brightnesses apart enough to be seen. */
static void plain_colours(struct look *l, struct rng *r)
{
    double hue = draw_between(r, 0, 1), value = draw_between(r, .15, .9);
    double other = value < .5 ? draw_between(r, value + .3, 1) : draw_between(r, .05, value - .3);
    l->back = hsv(hue, draw_between(r, .1, .8), value);
    l->fore = hsv(hue + draw_between(r, .15, .85), draw_between(r, .2, 1), other);
    l->other = hsv(draw_between(r, 0, 1), draw_between(r, .2, 1), other);
    l->softness = draw_between(r, .02, .05);
    l->noise = .05;
}

/* Warm, muted, two shades of nearly one hue. */
static void cloth_colours(struct look *l, struct rng *r)
{
    double hue = draw_between(r, .0, .15), sat = draw_between(r, .3, .6), value = draw_between(r, .4, .75);
    double step = draw_between(r, .16, .3) * (rng_uniform(r) < .5f ? -1 : 1);
    l->back = hsv(hue, sat, value);
    l->fore = hsv(hue + draw_between(r, -.05, .05), sat * draw_between(r, .8, 1.2), value + step);
    l->other = hsv(hue + draw_between(r, -.08, .08), sat, value + step * .8);
    l->softness = .05;
    l->noise = .07;
}

/* Bright soft things in the dark, as under a fluorescence microscope. */
static void glow_colours(struct look *l, struct rng *r)
{
    double hue = draw_between(r, .28, .52);
    l->back = hsv(hue + draw_between(r, .05, .2), draw_between(r, .4, .9), draw_between(r, .08, .22));
    l->fore = hsv(hue, draw_between(r, .4, .9), draw_between(r, .6, .95));
    l->other = hsv(hue + draw_between(r, -.1, .1), draw_between(r, .4, .9), draw_between(r, .45, .8));
    l->softness = draw_between(r, .06, .11);
    l->noise = .07;
}

/* Saturated paint on a pale board. */
static void sign_colours(struct look *l, struct rng *r)
{
    double hue = draw_between(r, .55, 1.05);
    l->back = hsv(draw_between(r, .1, .6), draw_between(r, .03, .2), draw_between(r, .75, .95));
    l->fore = hsv(hue, draw_between(r, .6, 1), draw_between(r, .35, .75));
    l->other = hsv(hue + draw_between(r, -.15, .15), draw_between(r, .6, 1), draw_between(r, .35, .75));
    l->softness = .025;
    l->noise = .06;
}

/* A lattice of n x n random heights, interpolated: slow variation over the picture. */
static double slow(const double *grid, int n, double x, double y)
{
    double gx = x * (n - 1), gy = y * (n - 1);
    int i = (int)gx < n - 2 ? (int)gx : n - 2, j = (int)gy < n - 2 ? (int)gy : n - 2;
    double a = gx - i, b = gy - j;
    const double *p = grid + j * n + i;
    return (p[0] * (1 - a) + p[1] * a) * (1 - b) + (p[n] * (1 - a) + p[n + 1] * a) * b;
}

/* The background's brightness factor at (x, y); arg: three numbers of this image. */
static double texture(enum look_kind kind, double x, double y, const double *arg)
{
    switch (kind) {
    case LOOK_CLOTH: /* weave */
        return 1 + .07 * sin(2 * PI * (16 * x + arg[0])) * sin(2 * PI * (16 * y + arg[1]));
    case LOOK_GLOW: /* uneven lamp */
        return 1.5 - 1.4 * hypot(x - arg[0], y - arg[1]);
    case LOOK_SIGN: /* light from one side */
        return 1 + .12 * ((x - .5) * cos(2 * PI * arg[2]) + (y - .5) * sin(2 * PI * arg[2]));
    default:
        return 1 + .3 * ((x - .5) * (arg[0] - .5) + (y - .5) * (arg[1] - .5));
    }
}

struct look draw_background(struct canvas *c, enum look_kind kind, struct rng *r)
{
    enum { GRID = 5 };
    struct look l = {.kind = kind == LOOK_ANY ? (enum look_kind)rng_below(r, 4) : kind};
    void (*const colours[])(struct look *, struct rng *) = {plain_colours, cloth_colours, glow_colours,
                                                            sign_colours};
    double arg[3], grid[GRID * GRID];
    colours[l.kind](&l, r);
    for (int i = 0; i < 3; i++)
        arg[i] = draw_between(r, 0, 1);
    for (int i = 0; i < GRID * GRID; i++)
        grid[i] = 1 + .12 * rng_normal(r);
    for (int j = 0; j < c->size; j++)
        for (int i = 0; i < c->size; i++) {
            double x = (i + .5) / c->size, y = (j + .5) / c->size;
            c->px[j * c->size + i] = scaled(l.back, texture(l.kind, x, y, arg) * slow(grid, GRID, x, y));
        }
    return l;
}

void draw_shape(struct canvas *c, const struct look *l, struct colour col,
                double (*f)(double x, double y, const double *arg), const double *arg)
{
    for (int j = 0; j < c->size; j++)
        for (int i = 0; i < c->size; i++) {
            double cover = .5 - f((i + .5) / c->size, (j + .5) / c->size, arg) / l->softness;
            struct colour *p = &c->px[j * c->size + i];
            if (cover > 0)
                *p = mix(*p, col, cover < 1 ? cover : 1);
        }
}

static uint8_t byte(double v)
{
    return (uint8_t)(v <= 0 ? 0 : v >= 1 ? 255 : v * 255 + .5);
}

void draw_finish(const struct canvas *c, const struct look *l, struct rng *r, uint8_t *rgb)
{
    double gain = draw_between(r, .85, 1.15), lift = draw_between(r, -.06, .06);
    for (int i = 0; i < c->size * c->size; i++) {
        double grain = l->noise * rng_normal(r); /* mostly of brightness, a little of colour */
        const double v[3] = {c->px[i].r, c->px[i].g, c->px[i].b};
        for (int k = 0; k < 3; k++)
            rgb[3 * i + k] = byte(v[k] * gain + lift + grain + .4 * l->noise * rng_normal(r));
    }
}

/* (x, y) about (cx, cy), turned by -angle. */
static void turn(double *x, double *y, double cx, double cy, double angle)
{
    double dx = *x - cx, dy = *y - cy;
    *x = dx * cos(angle) + dy * sin(angle);
    *y = dy * cos(angle) - dx * sin(angle);
}

double distance_ellipse(double x, double y, const double *arg)
{
    turn(&x, &y, arg[0], arg[1], arg[4]);
    return (hypot(x / arg[2], y / arg[3]) - 1) * fmin(arg[2], arg[3]);
}

double distance_polygon(double x, double y, const double *arg)
{
    double sector = 2 * PI / arg[3];
    double a = atan2(y - arg[1], x - arg[0]) - arg[4];
    a -= sector * floor(a / sector);
    return hypot(x - arg[0], y - arg[1]) * cos(a - sector / 2) - arg[2] * cos(sector / 2);
}

double distance_star(double x, double y, const double *arg)
{
    double sector = 2 * PI / arg[3], a = atan2(y - arg[1], x - arg[0]) - arg[4];
    a = fabs(a - sector * floor(a / sector) - sector / 2) / (sector / 2); /* 1 at a point, 0 between */
    return (hypot(x - arg[0], y - arg[1]) - arg[2] * (.4 + .6 * a)) * .7;
}

double distance_cross(double x, double y, const double *arg)
{
    turn(&x, &y, arg[0], arg[1], arg[4]);
    double a = fabs(x), b = fabs(y), high = fmax(a, b), low = fmin(a, b);
    return fmax(high - arg[2], low - arg[3]);
}

double distance_half(double x, double y, const double *arg)
{
    turn(&x, &y, arg[0], arg[1], arg[2]);
    return y;
}

double distance_grating(double x, double y, const double *arg)
{
    turn(&x, &y, .5, .5, arg[0]);
    y += arg[4] * sin(2 * PI * arg[5] * x);
    double t = y * arg[1] + arg[2];
    t = fabs(t - floor(t) - .5) * 2; /* 0 amid a stripe, 1 between two */
    return (t - arg[3]) / (2 * arg[1]);
}

double distance_checker(double x, double y, const double *arg)
{
    turn(&x, &y, .5, .5, arg[0]);
    double s = sin(PI * (x * arg[1] + arg[2])) * sin(PI * (y * arg[1] + arg[3]));
    return -s / (2 * arg[1]);
}

double distance_bricks(double x, double y, const double *arg)
{
    double v = y * arg[0] + arg[3], row = floor(v), u = x * arg[1] + arg[3] + .5 * fmod(row, 2);
    double du = fabs(u - floor(u) - .5) / arg[1], dv = fabs(v - row - .5) / arg[0];
    return fmax(du - .5 / arg[1], dv - .5 / arg[0]) + arg[2];
}
