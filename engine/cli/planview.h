/* All that `weft plan` tells of an experiment: which tasks are hits, would run or wait, why, and what it will
 * take. */
#ifndef ENGINE_CLI_PLANVIEW_H
#define ENGINE_CLI_PLANVIEW_H
#include "engine/cli/forecast.h"
#include "engine/cli/keydiff.h"
#include "engine/cli/machineopt.h"

#define PLANVIEW_REASONS 50 /* misses that are compared with earlier records unless all are asked for */

struct planview_task {
    bool wanted;
    enum resolution state; /* HIT, MISS or WAIT */
    const struct resolved *known;
    double seconds;             /* of the run that made a hit; predicted for what has to run */
    int cores;                  /* likewise */
    int64_t memory;             /* bytes at the peak, likewise; 0: not known */
    enum history_source source; /* of a prediction */
    const char *fetch;          /* of a task that waits: a URL that is not fetched yet; NULL: none */
    const struct task *same;    /* another task with the same key, which runs for both; NULL: none */
    bool asked;                 /* near is the answer */
    struct key_near near;
};
struct planview_options {
    const char *const *targets;
    int n_targets;
    struct machineopt *machine; /* borrowed; opened when something has to run */
    bool all;                   /* compare all misses */
};
struct planview {
    const struct spec *spec;
    struct planview_task *task; /* by task index */
    int hit, miss, wait;
    int fetch;                /* of those that wait: for data that is not fetched yet */
    double saved;             /* seconds that the hits took */
    int cores;                /* predicted for; 0: nothing has to run */
    struct forecast forecast; /* of what has to run */
    double error;             /* of its makespan, as a factor less 1; 0: not known */
    int known;                /* of the tasks to run: times by history */
    int unasked;              /* misses that were not compared */
};
bool planview_make(struct planview *v, const struct spec *s, struct store *store,
                   const struct planview_options *o, struct error *err) MUST_CHECK;
void planview_done(struct planview *v); /* also after a failure */
#endif
