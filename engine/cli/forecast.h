/* What a run of an experiment would do on some machine: which tasks run, when, on which cores; by the
 * scheduler's own plan and a virtual clock. */
#ifndef ENGINE_CLI_FORECAST_H
#define ENGINE_CLI_FORECAST_H
#include "base/arena.h"
#include "cache/store.h"
#include "engine/exec/history.h"
#include "engine/exec/trace.h"
#include "engine/sched/simulate.h"
#include "engine/spec/spec.h"

struct forecast_options {
    const char *const *targets;
    int n_targets;
    struct machine *machine; /* borrowed */
    struct store *store;     /* what is a hit */
    struct store *history;   /* how long the others take */
    bool cold;               /* nothing is a hit */
    const bool *runs;        /* by task index: these run, all others are hits; NULL: as the store has it */
};
struct forecast {
    const struct spec *spec;
    struct machine *machine;
    struct simulate_task *task; /* by task index */
    struct simulate_edge *edge;
    int n_edges;
    struct history_cost *cost; /* of what runs */
    int hit, run, guessed;     /* tasks; guessed: run, and no history tells how long */
    struct simulate found;
    struct arena arena;
};
bool forecast_make(struct forecast *f, const struct spec *s, const struct forecast_options *o,
                   struct error *err) MUST_CHECK;
void forecast_done(struct forecast *f); /* also after a failure, and of {0} */
static inline void forecast_auto(struct forecast *f)
{
    forecast_done(f);
}
static inline bool forecast_runs(const struct forecast *f, int task)
{
    return f->task[task].wanted && !f->task[task].hit;
}
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
