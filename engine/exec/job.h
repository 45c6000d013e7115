/* The job: what a worker is told, as JSON (engine/exec/worker.h has the members). The engine writes it, the
 * worker reads it. */
#ifndef ENGINE_EXEC_JOB_H
#define ENGINE_EXEC_JOB_H
#include "stages/stage.h"
#include <jansson.h>

struct job {
    const char *task;
    const struct stage *stage;
    const void *params;
    struct stage_inputs *inputs; /* by index in stage->inputs */
    const char **outputs;        /* folders, by index in stage->outputs */
    const char *scratch, *cpuset, *nodes;
    int threads;
    const struct job_unit {     /* named resources that are devices, as the program is told */
        const char *name, *ids; /* "gpu", "0,2" */
    } * unit;
    int n_units;
    const char
        *serve; /* the log of one that serves jobs in turn (engine/exec/worker.h); NULL: it ends with this */
    int64_t memory; /* bytes that it may take, with all that runs below it; 0: any. Its keeper sees to it */
    int64_t
        parent; /* the engine's pid, whose child `weft worker` is: it ends with it; 0: it is no child of it */
    /* Checkpoints, for a stage that keeps states. */
    const char *stop;   /* a file that appears when the run is to stop after a pass; NULL: keep no states */
    double every;       /* seconds, at least, between two states */
    const char *resume; /* file of the state to go on from, or NULL */
    int64_t resume_step;
};
/* JSON text, malloc'd. */
char *job_write(const struct job *j);
/* Everything in the arena. The stage must exist in this very version, and every member must be there. */
bool job_read(const char *text, size_t n, struct arena *a, struct job *ret, struct error *err) MUST_CHECK;
#endif
