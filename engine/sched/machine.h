/* What the scheduler schedules on: nodes with their cores, memory and named resources. Pure data beside the
 * topologies, which it owns: no clock, no process. */
#ifndef ENGINE_SCHED_MACHINE_H
#define ENGINE_SCHED_MACHINE_H
#include "base/error.h"
#include "engine/topo/topo.h"
#include <stdint.h>

struct machine_unit { /* a named resource: licences, GPUs, ... */
    const char *name;
    int count;     /* of each node if per_node, else of all nodes together */
    bool per_node; /* a device: each unit has an id, which a task is told */
    const int *id; /* (count) of a device; NULL: 0, 1, ... */
};
struct machine_node {
    char *name;        /* "" for this machine alone */
    struct topo *topo; /* owned by the machine */
    int cores;         /* that may be used; no more than the topology has */
    int64_t memory;    /* bytes that may be used; 0: not known, and not admitted against */
};
struct machine {
    struct machine_node *node;
    int n;
    struct machine_unit *unit;
    int n_units;
};
struct machine_options {
    struct topo_options topo;
    int cores;                        /* of each node, at most; 0: all */
    int nodes;                        /* so many alike, named node0, ...; 0: one, without a name */
    const struct machine_unit *units; /* borrowed: names and ids have to outlive the machine */
    int n_units;
};
/* ERROR_INPUT when a topology cannot be read, or has fewer cores. */
bool machine_open(const struct machine_options *o, struct machine *ret, struct error *err) MUST_CHECK;
int machine_cores(const struct machine *m);                  /* of all nodes */
int machine_widest(const struct machine *m);                 /* of the node with the most */
int machine_unit(const struct machine *m, const char *name); /* index, -1: there is none */
void machine_done(struct machine *m); /* closes the topologies, frees what machine_open made */
#endif
