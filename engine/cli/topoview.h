/* A topology for people and for programs: its tree, and which tasks run where in it. */
#ifndef ENGINE_CLI_TOPOVIEW_H
#define ENGINE_CLI_TOPOVIEW_H
#include "engine/topo/topo.h"
#include <jansson.h>

/* tasks: a list of {"task", "run", "cpuset", "cores", "seconds"}. Equal siblings that nothing runs in become
 * one line, "8 x core". */
void topoview_print(const struct topo *t, const json_t *tasks);
/* {"type", "name", "cores", "cpuset"[, "threads"][, "size"][, "memory", "node"][, "children"]}, down to what
 * has only cores below it; threads of each core where it has several. */
json_t *topoview_json(const struct topo *t, const struct topo_object *o);
#endif
