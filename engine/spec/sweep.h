/* A sweep: the points at which an experiment is to run, as one graph in which what they share is there once.
 * With successive halving each point (trial) is there at every rung: a cell is one point at one rung. */
#ifndef ENGINE_SPEC_SWEEP_H
#define ENGINE_SPEC_SWEEP_H
#include "engine/spec/spec.h"

struct sweep_point {
    const char *name;         /* "lambda=0.3,seed=1" */
    const char *const *value; /* by axis, as text */
    const double *number;     /* by axis; NAN: no number */
};
struct sweep_cell {
    struct task **task; /* all of its tasks, in the order of the declarations */
    int n;
    struct task **objective; /* those whose metrics make its objective */
    int n_objective;
};
struct sweep {               /* owned by the spec */
    const char *const *axis; /* the variables */
    int n_axes;
    const struct sweep_point *point;
    int n;
    const char *objective, *metric; /* "score.average" and what is behind its last dot; NULL: none is named */
    bool maximise;
    const char *over;        /* halving: the variable of the fidelity; NULL without */
    const double *rung;      /* its value by rung */
    int n_rungs;             /* 1 without halving */
    double keep;             /* share of a rung that goes on */
    bool wait;               /* a rung must be complete before it is decided */
    struct sweep_cell *cell; /* [point * n_rungs + rung] */
    int64_t tasks;           /* of all cells, counted once for each */
};
#endif
