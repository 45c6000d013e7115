/* Where a run runs, and on what: what somebody needs who wonders later why its times or its results are not
 * those of another one. Nothing here is part of a key. */
#ifndef ENGINE_EXEC_ENVIRONMENT_H
#define ENGINE_EXEC_ENVIRONMENT_H
#include "engine/sched/machine.h"
#include <jansson.h>

/* weft and its libraries, this machine and those of m, the commit that the file of the experiment lies in,
 * the command line, and the variables of the environment that change how fast or on what cores things run.
 * What cannot be found out is not there. Passwords in URLs are left out. */
json_t *environment_json(const struct machine *m, const char *experiment);
/* The commit checked out in the git repository that a folder lies in, as its files tell; malloc'd. NULL:
 * there is none, or not to be read. */
char *environment_commit(const char *folder);
#endif
