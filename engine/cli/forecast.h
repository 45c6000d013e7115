/* What a run of an experiment would do on some machine: which tasks run, when, on which cores; by the
 * scheduler's own plan and a virtual clock. */
#ifndef ENGINE_CLI_FORECAST_H
#define ENGINE_CLI_FORECAST_H
#include "base/arena.h"
#include "cache/store.h"
#include "engine/exec/history.h"
#include "engine/exec/resolve.h"
#include "engine/exec/trace.h"
#include "engine/sched/simulate.h"
#include "engine/spec/spec.h"

struct forecast_options {
    const char *const *targets;
    int n_targets;
    struct store *store; /* what is a hit */
    bool cold;           /* nothing is a hit */
    const bool *runs;    /* by task index: these run, all others are hits; NULL: as the store has it */
};
struct forecast {
    const struct spec *spec;
    struct resolver resolver; /* keys, as far as they are known, and what the store knows of hits */
    enum resolution *state;   /* by task index: HIT, MISS or WAIT; of a cold one also ERROR */
    const struct task **same; /* another task with the same key, which runs for both; NULL: none */
    struct simulate_task *task;
    struct simulate_edge *edge;
    int n_edges;
    size_t cap_edges;
    int hit, run; /* tasks that are wanted; with those that another runs for, and without */
    /* from forecast_run on */
    struct machine *machine;
    struct history_cost *cost; /* of what runs */
    int guessed;               /* of these, no history tells how long */
    int sure;                  /* and of these it does, and how far off it may be */
    struct simulate found;
    struct arena arena;
};
/* What runs. */
bool forecast_look(struct forecast *f, const struct spec *s, const struct forecast_options *o,
                   struct error *err) MUST_CHECK;
/* When, on that machine, which is borrowed; history: a store that tells how long tasks take. */
bool forecast_run(struct forecast *f, struct machine *m, struct store *history, struct error *err) MUST_CHECK;
void forecast_done(struct forecast *f); /* also after a failure, and of {0} */
static inline void forecast_auto(struct forecast *f)
{
    forecast_done(f);
}
static inline bool forecast_runs(const struct forecast *f, int task)
{
    return f->task[task].wanted && !f->task[task].hit;
}
/* What the makespan would be off by, as a factor less 1, if every task were off by the error of its
 * prediction, all in the same direction; 0: not known. */
double forecast_error(const struct forecast *f);
/* What no schedule can be shorter than. */
double forecast_bound(const struct forecast *f);
/* First in, first out, at the fixed width (a power of two, or all cores of a node) at which that is fastest.
 */
struct forecast_fifo {
    int width;
    double makespan, utilisation;
};
struct forecast_fifo forecast_fifo(const struct forecast *f);
/* The schedule as bars, each predicted. */
void forecast_trace(const struct forecast *f, struct trace *ret);
#endif
