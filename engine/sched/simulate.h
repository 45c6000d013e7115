/* What a run will take, before it begins: the plan, driven by a virtual clock. The same plan that a run
 * drives with its own clock, so that equal times give equal decisions. */
#ifndef ENGINE_SCHED_SIMULATE_H
#define ENGINE_SCHED_SIMULATE_H
#include "engine/sched/ask.h"
#include "engine/sched/machine.h"

struct plan;

struct simulate_task {
    struct ask ask;
    bool wanted, hit; /* a hit takes no time */
    /* found; all zero for hits and what is not wanted */
    double start, end; /* of the virtual clock */
    int cores, node;
    char *cpuset; /* malloc'd; on that node */
};
struct simulate_edge {
    int from, to; /* from < to */
};
enum simulate_bound { BOUND_NOTHING, BOUND_PATH, BOUND_CORES, BOUND_MEMORY, BOUND_UNIT };
const char *simulate_bound_name(enum simulate_bound b); /* "critical path", "cores", ... */
struct simulate {
    double makespan, core_seconds; /* cores held, times seconds */
    double utilisation;            /* core_seconds / (makespan x all cores) */
    /* No schedule is shorter: the longest path when every task has the width at which it is fastest, and the
     * work, each task at the width at which it is least, over all cores. */
    double path_bound, work_bound;
    enum simulate_bound bound; /* what the makespan is due to */
    int64_t memory;            /* the most that runs at one time on one node needs */
    int *path; /* malloc'd: the chain of tasks that each need the one before and take longest */
    int n_path;
    double path_seconds;
    struct plan *plan; /* that was driven; of the machine */
    bool stuck;        /* a task asks for more than any node has: it and what needs it never start */
};
/* Fills what is "found" in the tasks, and *ret. The machine is as before when it is done. */
void simulate(struct simulate_task *task, int n, const struct simulate_edge *edge, int n_edges,
              struct machine *m, struct simulate *ret);
/* The same with the widths of a plan of these tasks, which are not searched for once more. */
void simulate_as(const struct plan *plan, struct simulate_task *task, int n, const struct simulate_edge *edge,
                 int n_edges, struct machine *m, struct simulate *ret);
/* For comparison: first in, first out, every task as wide as `width` (clamped to what it asks for), none may
 * pass another. */
void simulate_fifo(struct simulate_task *task, int n, const struct simulate_edge *edge, int n_edges,
                   struct machine *m, int width, struct simulate *ret);
/* Frees what was found, before the machine goes. */
void simulate_done(struct simulate_task *task, int n, struct simulate *s);
#endif
