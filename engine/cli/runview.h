/* One run of the store, read whole from its events: how it ended, and how each of its tasks did. */
#ifndef ENGINE_CLI_RUNVIEW_H
#define ENGINE_CLI_RUNVIEW_H
#include "base/arena.h"
#include "base/hash.h"

struct run_task { /* strings in the arena */
    const char *name, *stage;
    const char *state; /* "hit", "ran", "failed" or "skipped" */
    bool has_key;
    struct digest key;
};
struct runview {
    const char *id, *experiment, *file; /* the latter two "" when the run wrote nothing */
    const char *begin;                  /* ISO time, "" when the run wrote nothing */
    double seconds;        /* that it took; until its last event when unfinished, in whole seconds */
    const char *state;     /* "ok", "failed", "interrupted", or "unfinished": it still runs or was killed */
    struct run_task *task; /* in the order in which they first came to an end */
    int n;
};
/* ERROR_INPUT when the store has no such run. */
bool runview_read(const char *store, const char *id, struct arena *a, struct runview *ret,
                  struct error *err) MUST_CHECK;
int runview_count(const struct runview *r, const char *state); /* of tasks */
#endif
