/* What the files behind sweep_view.h share. */
#ifndef ENGINE_CLI_SWEEP_IMPL_H
#define ENGINE_CLI_SWEEP_IMPL_H
#include "engine/cli/scale.h"
#include "engine/cli/sweep_view.h"

struct sweep_text {
    char s[40];
};
/* For people: at most 4 decimals, no zeros at the end; very small and very large ones with an exponent. Empty
 * for NAN. */
struct sweep_text sweep_short(double x);
/* For programs: the shortest of 15 and 17 digits that reads back as the same bits. Empty for NAN. */
struct sweep_text sweep_exact(double x);
const char *sweep_state_name(enum trial_state s); /* "open", "done", "failed", "paused" */
/* The fidelity that the trial has reached; NAN: none, or no halving. */
double sweep_fidelity(const struct sweep_view *v, const struct sweep_trial *t);

/* A picture in the making. */
struct picture {
    const struct sweep_view *view;
    struct buf *out;
    double width, height;
    int *rank;
    int *order;    /* points as they are drawn: without a place first, then worst to best */
    double lo, hi; /* of the finite objectives */
    int placed;    /* points with a finite objective */
};
/* Of an axis, or of the objective: axis = n_axes. margin: as scale_numbers has it. */
void sweep_scale(const struct sweep_view *v, int axis, struct scale *ret, double margin);
/* 0 the worst to 1 the best, for its colour; NAN: no value. */
double sweep_goodness(const struct picture *p, int trial);
void sweep_tooltip(const struct picture *p, int trial);
void sweep_parallel(const struct picture *p);
void sweep_scatter(const struct picture *p);
#endif
