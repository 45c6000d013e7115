/* What a task asks of the machine, and what it is thought to take. */
#ifndef ENGINE_SCHED_ASK_H
#define ENGINE_SCHED_ASK_H
#include "engine/sched/work.h"
#include "engine/topo/topo.h"
#include <stdbool.h>
#include <stdint.h>

struct ask_unit { /* of a named resource */
    int unit;     /* index in machine.unit */
    int count;
};
struct ask {
    struct work work;
    int cores_min, cores_max;     /* 0,0: any number */
    int64_t memory;               /* bytes; 0: not known */
    bool exclusive;               /* a node to itself */
    enum topo_policy policy;      /* where its cores lie */
    const struct ask_unit *units; /* borrowed */
    int n_units;
};
#endif
