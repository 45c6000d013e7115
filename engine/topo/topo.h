/* The machine by hwloc: cores we may use, and disjoint cpusets of neighbouring cores for workers. A core here
 * is one hwloc core with a hardware thread that we may use (its first such); where hwloc sees no cores, a PU.
 */
#ifndef ENGINE_TOPO_TOPO_H
#define ENGINE_TOPO_TOPO_H
#include "base/error.h"

struct topo;
enum topo_policy {
    TOPO_COMPACT, /* as close together as possible: caches and a memory node are shared */
    TOPO_SPREAD   /* as far apart as possible: caches and the bandwidth of all memory nodes */
};
struct topo_options {
    /* NULL: this machine within our cpuset and affinity; else a synthetic description ("pack:2 core:8 pu:2"),
     * or the path of a file that hwloc wrote (`lstopo x.xml`), which ends in ".xml". */
    const char *source;
    bool threads; /* a core is one hardware thread, not a core with all of its threads */
};
/* NULL: this machine's cores. */
bool topo_open(const struct topo_options *o, struct topo **ret, struct error *err) MUST_CHECK;
/* Places that were not released go with it. NULL is allowed. */
void topo_close(struct topo *t);
/* All cores, free or not; at least 1. */
int topo_cores(const struct topo *t);
/* Take n >= 1 free cores, as close together as possible: from the smallest object that holds them, of several
 * the one with the fewest free cores, so that large holes stay. NULL when fewer are free. Deterministic: the
 * same calls on the same topology give the same places. The topology keeps the place until topo_release (NULL
 * is allowed). */
struct place;
/* near: of a place that made the inputs, in list format; among equal fits one that shares the most with it
 * is taken. NULL: none. */
struct place *topo_reserve(struct topo *t, int n, enum topo_policy policy, const char *near);
void topo_release(struct topo *t, struct place *p);
int place_cores(const struct place *p);
const char *place_cpuset(const struct place *p); /* Linux list format: "0-3,8"; lives as long as the place */
/* Bind the calling thread and all threads it will start to a cpuset in list format; call it before the first
 * thread. It loads no topology and takes some us. An error, and no change of the binding, when the text is
 * bad or one of its CPUs cannot be used. Memory follows by the kernel's default policy: a page lies on the
 * node of the core that first writes it. */
bool topo_bind_self(const char *cpuset, struct error *err) MUST_CHECK;
#endif
