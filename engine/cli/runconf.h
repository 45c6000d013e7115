/* How a run was configured, as lines "FIELD = VALUE" that keydiff compares: experiment, file, text of its
 * files,
 * --set, --vars, cores, and each variable as it was after these. */
#ifndef ENGINE_CLI_RUNCONF_H
#define ENGINE_CLI_RUNCONF_H
#include "base/arena.h"
#include "engine/cli/keydiff.h"

/* ERROR_INPUT when a run wrote nothing. What the older of two runs did not keep is not compared. */
bool runconf_diff(const char *store, const char *before, const char *now, struct arena *a,
                  struct key_diff *ret, struct error *err) MUST_CHECK;
#endif
