/* Which run is meant: its id, the beginning of one id, or "last". */
#ifndef ENGINE_CLI_RUNNAME_H
#define ENGINE_CLI_RUNNAME_H
#include "base/arena.h"

/* The whole id, in the arena. ERROR_INPUT when there is none or several begin so. */
bool runname_find(const char *store, const char *text, struct arena *a, const char **ret,
                  struct error *err) MUST_CHECK;
#endif
