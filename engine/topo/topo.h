/* The machine by hwloc: cores we may use, and disjoint cpusets of neighbouring cores for workers. A core here is one
 * hwloc core (its first hardware thread); where hwloc sees none, a PU. */
#ifndef ENGINE_TOPO_TOPO_H
#define ENGINE_TOPO_TOPO_H
#include "base/error.h"

struct topo;
/* This machine within our cpuset, or a synthetic description ("pack:2 core:8 pu:2") when not NULL. */
bool topo_open(const char *synthetic, struct topo **ret, struct error *err) MUST_CHECK;
void topo_close(struct topo *t);
int topo_cores(const struct topo *t);
/* Take n free cores, as close together as possible (smallest object that holds them); NULL when fewer are free. The
 * place is given back by topo_release. */
struct place;
struct place *topo_reserve(struct topo *t, int n);
void topo_release(struct topo *t, struct place *p);
int place_cores(const struct place *p);
const char *place_cpuset(const struct place *p); /* Linux list format: "0-3,8" */
/* Bind the calling process (all its threads to come) to a cpuset in list format. */
bool topo_bind_self(const char *cpuset, struct error *err) MUST_CHECK;
#endif
