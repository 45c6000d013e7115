/* What a run will take, before it begins: the plan, driven by a virtual clock and predicted times. */
#ifndef ENGINE_SCHED_PREDICT_H
#define ENGINE_SCHED_PREDICT_H
#include <stdbool.h>
#include <stdint.h>

struct predict_task {
    double core_seconds;
    int cores_min, cores_max; /* 0,0: any */
    int64_t memory;
    bool wanted, hit;  /* a hit takes no time */
    double start, end; /* found: of the virtual clock; both 0 for hits and what is not wanted */
    int cores;         /* found: 0 for these */
};
struct predict_edge {
    int from, to; /* from < to */
};
struct predict {
    double makespan, core_seconds;
    int64_t memory; /* the most that runs at one time needs */
    int *path;      /* malloc'd: the chain of tasks that each need the one before and take longest */
    int n_path;
    double path_seconds;
};
/* Fills what is "found" in the tasks, and *ret. */
void predict(struct predict_task *task, int n, const struct predict_edge *edge, int n_edges, int cores,
             struct predict *ret);
#endif
