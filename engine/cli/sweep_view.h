/* A sweep as its tables and its picture show it: one row a point, in the order of the points. No times, no
 * paths: the same sweep in another store gives the same bytes. */
#ifndef ENGINE_CLI_SWEEP_VIEW_H
#define ENGINE_CLI_SWEEP_VIEW_H
#include "base/buf.h"
#include <jansson.h>

enum trial_state { TRIAL_OPEN, TRIAL_DONE, TRIAL_FAILED, TRIAL_PAUSED };
struct sweep_trial {
    const char *const *value; /* by axis, as text */
    const double *number;     /* by axis; NAN where the value is no number */
    enum trial_state state;
    double objective;     /* NAN: none (yet) */
    int rung;             /* of successive halving: the highest one that is done, -1: none */
    const double *metric; /* by column; NAN: none */
};
struct sweep_view {                     /* owns nothing */
    const char *experiment, *objective; /* objective: "score.accuracy"; NULL when the experiment names none */
    bool maximise;
    const char *const *axis;
    int n_axes;
    const char *const *column; /* further metrics: "score.accuracy pets" */
    int n_columns;
    const struct sweep_trial *trial;
    int n;
    const char *over;         /* successive halving: the fidelity's variable; NULL without */
    const double *rung_value; /* by rung */
    int n_rungs;
};
/* Ranks by objective among the trials that have one (by the highest rung first, then the value), best 1,
 * equal values share a rank; 0: none. rank: (n). */
void sweep_rank(const struct sweep_view *v, int *rank);
void sweep_markdown(const struct sweep_view *v, struct buf *out);
void sweep_csv(const struct sweep_view *v, struct buf *out);
json_t *sweep_json(const struct sweep_view *v); /* new reference */
/* Parallel coordinates for two and more axes, a scatter plot for one; self-contained SVG. */
void sweep_svg(const struct sweep_view *v, struct buf *out);
#endif
