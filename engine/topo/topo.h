/* The machine by hwloc: cores we may use, and disjoint cpusets of cores for workers. A core here is one hwloc
 * core with a hardware thread that we may use (its first such); where hwloc sees no cores, a PU.
 */
#ifndef ENGINE_TOPO_TOPO_H
#define ENGINE_TOPO_TOPO_H
#include "base/error.h"
#include <stdint.h>

struct topo;
enum topo_policy {
    TOPO_COMPACT, /* as close together as possible: caches and a memory node are shared */
    TOPO_SPREAD   /* as far apart as possible: caches and the bandwidth of all memory nodes */
};
struct topo_options {
    /* NULL: this machine within our cpuset and affinity; else a synthetic description ("pack:2 core:8 pu:2"),
     * or the path of a file that hwloc wrote (`weft topo --xml`, `lstopo x.xml`), which ends in ".xml", or
     * the text of one. */
    const char *source;
    bool threads; /* a core is one hardware thread, not a core with all of its threads */
};
/* NULL: this machine's cores. */
bool topo_open(const struct topo_options *o, struct topo **ret, struct error *err) MUST_CHECK;
/* Places that were not released go with it. NULL is allowed. */
void topo_close(struct topo *t);
/* All cores, free or not; at least 1. */
int topo_cores(const struct topo *t);
/* Bytes that we may use: of this machine no more than the kernel has, than its memory nodes that we may use,
 * and than our control group. 0: not known, as of a synthetic description that has no "memory=". */
int64_t topo_memory(const struct topo *t);
/* Bytes that this machine could give now, as others use the rest; INT64_MAX: the kernel does not say. */
int64_t topo_memory_free(void);
/* What hwloc writes of it, for topo_options.source elsewhere; malloc'd. */
bool topo_xml(const struct topo *t, char **ret, struct error *err) MUST_CHECK;

/* Take n >= 1 free cores. COMPACT: from the smallest object (cache, memory node, package, machine) that holds
 * them, of several the one with the fewest free cores, so that large holes stay. SPREAD: round robin over the
 * memory nodes, and in each over what is below it; what has most free first. NULL when fewer are free.
 * near: of a place that made the inputs, in list format; of equally good objects the one that shares most
 * with it is taken, by the smallest object around both. NULL: none. Deterministic: the same calls on the same
 * topology give the same places. The topology keeps the place until topo_release (NULL is allowed). */
struct place;
struct place *topo_reserve(struct topo *t, int n, enum topo_policy policy, const char *near);
void topo_release(struct topo *t, struct place *p);
/* Of a place; texts live as long as it does. */
int place_cores(const struct place *p);
const char *place_cpuset(const struct place *p); /* Linux list format: "0-3,8" */
const char *place_nodes(const struct place *p);  /* of memory, likewise; "": the topology knows none */
const char *place_object(const struct place *p); /* the smallest that contains it: "L3 #2", "machine" */

/* Bind the calling thread and all threads it will start to a cpuset, and their memory to nodes ("": leave it
 * as it is), both in list format; call it before the first thread. It loads no topology and takes some us. An
 * error, and no change of the binding, when a text is bad or one of its CPUs or nodes cannot be used. Memory
 * is a preference: a page lies on another node when these are full. */
bool topo_bind_self(const char *cpuset, const char *nodes, struct error *err) MUST_CHECK;
/* Bind each of the OpenMP threads, as many as the next parallel region has, to a CPU of its own of that
 * cpuset; when these are not as many as the CPUs nothing changes. Threads that are started otherwise inherit
 * the one CPU of who starts them: not for a process that starts programs. */
bool topo_bind_threads(const char *cpuset, struct error *err) MUST_CHECK;

/* The objects as a tree, for people: those that divide the machine, and cores as leaves. */
struct topo_object {
    const struct topo_object *parent, *child, *next; /* first child, next sibling */
    const char *type;                                /* "package", "NUMA node", "L3", "core", ... */
    char name[32];                                   /* "package 0", "L3 #2", "machine" */
    int first, n;                                    /* its cores, from 0 in the tree's order */
    int cpu;                                         /* of a core: its CPU's number */
    int threads;                                     /* of a core: hardware threads that we may use */
    int64_t size;                                    /* of a cache, bytes; 0: none, or not known */
    int64_t memory;                                  /* of the memory nodes right at it, bytes; 0: likewise */
    int memory_node;                                 /* the first of them, by the kernel's number; -1: none */
};
const struct topo_object *topo_root(const struct topo *t);
/* The smallest object with all CPUs of a list that are ours; NULL: none is, or it is no list. */
const struct topo_object *topo_find(const struct topo *t, const char *cpuset);
/* The CPUs of its cores, in list format; malloc'd. */
char *topo_cpuset(const struct topo *t, const struct topo_object *o);
#endif
