/* One task in one run, followed as the run goes on: whether it works, ended, or was cut off. */
#ifndef ENGINE_CLI_TASKLOG_H
#define ENGINE_CLI_TASKLOG_H
#include "base/arena.h"
#include <stdio.h>

struct tasklog { /* strings in the arena */
    const char *store, *run, *task;
    const char *path;  /* of what its worker writes; may not exist yet */
    const char *state; /* "running", "ran", "failed", "hit"; NULL: nothing of it yet */
    const char *time;  /* of that */
    FILE *events;
    struct arena *arena;
};
/* False when the run has no events. */
bool tasklog_open(struct tasklog *t, const char *store, const char *run, const char *task, struct arena *a);
void tasklog_close(struct tasklog *t);
static inline void tasklog_auto(struct tasklog *t)
{
    tasklog_close(t);
}
void tasklog_read(struct tasklog *t); /* the events since the last reading */
/* Nothing more will come: it ended, or the run's engine is gone. */
bool tasklog_over(const struct tasklog *t);
#endif
