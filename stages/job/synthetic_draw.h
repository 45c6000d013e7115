/* Drawing for the synthetic image world: a floating-point canvas in unit coordinates (x right, y down, both
 * in [0,1]), patterns painted with soft edges, and the looks (palette, background, noise) that make a
 * domain's style. */
#ifndef STAGES_JOB_SYNTHETIC_DRAW_H
#define STAGES_JOB_SYNTHETIC_DRAW_H
#include "base/rng.h"
#include <stdbool.h>
#include <stdint.h>

struct colour {
    double r, g, b;
};
struct canvas {
    int size;
    struct colour *px; /* (size, size) */
};
/* The styles. LOOK_ANY is drawn per image from the four; public classes mix their kin's style with the rest.
 */
enum look_kind { LOOK_PLAIN, LOOK_CLOTH, LOOK_GLOW, LOOK_SIGN, LOOK_ANY };
struct look {
    enum look_kind kind;
    struct colour back, fore, other; /* other: a second foreground colour */
    double softness;                 /* width of edges, in unit coordinates */
    double noise;                    /* standard deviation per pixel and channel */
};

double draw_between(struct rng *r, double low, double high);
/* Draw the look's colours and fill the canvas with its background. */
struct look draw_background(struct canvas *c, enum look_kind kind, struct rng *r);
/* What comes after the picture: brightness, contrast, pixel noise, clipping to bytes; rgb is (size, size, 3).
 */
void draw_finish(const struct canvas *c, const struct look *l, struct rng *r, uint8_t *rgb);

/* Cover pixels with a colour where the signed distance f(x, y) < 0, with edges of the look's softness. */
void draw_shape(struct canvas *c, const struct look *l, struct colour col,
                double (*f)(double x, double y, const double *arg), const double *arg);

/* Signed distances; arg as named. */
double distance_ellipse(double x, double y, const double *arg); /* cx cy rx ry angle */
double distance_polygon(double x, double y, const double *arg); /* cx cy radius sides angle */
double distance_star(double x, double y, const double *arg);    /* cx cy radius points angle */
double distance_cross(double x, double y, const double *arg);   /* cx cy radius width angle */
double distance_half(double x, double y, const double *arg);    /* cx cy angle: half plane */
double distance_grating(double x, double y,
                        const double *arg); /* angle cycles phase duty wave_height wave_cycles */
double distance_checker(double x, double y, const double *arg); /* angle cycles phase_x phase_y */
double distance_bricks(double x, double y, const double *arg);  /* rows columns mortar phase */
#endif
