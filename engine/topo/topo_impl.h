/* What the files of topo share: the tree that places are found in. */
#ifndef ENGINE_TOPO_TOPO_IMPL_H
#define ENGINE_TOPO_TOPO_IMPL_H
#include "engine/topo/topo.h"
#include <hwloc.h>

enum { TOPO_CPUS = 1 << 16 }; /* numbers of CPUs lie below */

struct node {             /* an object of the tree */
    struct topo_object o; /* first: the pointers of one are those of the other */
    int level;            /* hwloc's depth */
    bool flat;            /* its children are cores */
    int free;             /* free cores below it; of a core: 1 when free */
    int near, quota;      /* scratch of topo_reserve: cores near; cores to take */
    hwloc_const_nodeset_t nodes;
};
struct topo {
    hwloc_topology_t hwloc;
    int64_t memory;
    bool knows_memory, knows_sizes; /* of caches */
    struct node *node;              /* (n_nodes), parents before children; the first is the root */
    int n_nodes;
    struct node **core; /* (n_cores), in the tree's order */
    int n_cores;
    int *core_of; /* (n_cpus), by the kernel's number; -1: none of ours */
    int n_cpus;
    struct node **domain; /* (n_domains): what parts the cores by their memory */
    int n_domains;
    hwloc_bitmap_t set; /* scratch, with room for every CPU: filling it cannot fail */
    struct node **list; /* scratch (n_nodes) */
    struct place *places;
};
static inline struct node *node_parent(const struct node *n)
{
    return (struct node *)(uintptr_t)n->o.parent;
}
static inline struct node *node_child(const struct node *n)
{
    return (struct node *)(uintptr_t)n->o.child;
}
static inline struct node *node_next(const struct node *n)
{
    return (struct node *)(uintptr_t)n->o.next;
}
/* Fill node, core, core_of and domain from hwloc's tree. False when there is no core. */
bool tree_build(struct topo *t, bool threads);
void tree_done(struct topo *t);
const struct node *tree_around(const struct node *o, int core); /* the smallest object with o and that core */
/* Bytes of memory that this process may use of a machine whose memory nodes that it may use have so many;
 * all: these are all of the machine's. */
int64_t memory_of_machine(int64_t nodes, bool all);
/* The smallest limit on memory among the control groups of a process and those around them, by the texts of
 * its /proc/PID/cgroup and mounts; INT64_MAX: none. */
int64_t memory_of_cgroups(const char *cgroup, const char *mounts);
/* A list "0-3,8" of `what` with numbers below `end`: see() for each range as it is read. */
bool list_read(const char *text, const char *what, int end, void (*see)(void *arg, int first, int last),
               void *arg, struct error *err) MUST_CHECK;
char *list_text(hwloc_const_bitmap_t set); /* malloc'd; "" of an empty set */
#endif
