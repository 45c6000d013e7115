/* What the runs' logs in a store say of a task: commands that take a task's name alone look here. */
#ifndef ENGINE_CLI_LASTRUN_H
#define ENGINE_CLI_LASTRUN_H
#include "base/arena.h"
#include "cache/store.h"

struct lastrun {                           /* strings in the arena */
    const char *run, *task, *state, *time; /* state "hit", "ran" or "failed" */
    struct digest key;
    bool has_key;
    const char *file, *cwd; /* of the experiment, as it was given */
    const char **set;       /* its --set texts */
    int n_set;
    const char **vars; /* its --vars files, relative to cwd */
    int n_vars;
    bool sweep;              /* it ran the graph of all points */
    struct lastrun_private { /* an output that carries private data, and whose: "pets, flowers" */
        const char *port, *labels;
    } * private;
    int n_private;
    const char *reference; /* the experiment's reference numbers: JSON, see reference.h */
};
/* The newest run (or the run `run` when not NULL) in which `task` came to an end; only one in which it ran or
 * failed, so that there is a log, with `has_log`. Not found: ERROR_INPUT, with a suggestion. */
bool lastrun_find(struct store *store, const char *run, const char *task, bool has_log, struct arena *a,
                  struct lastrun *ret, struct error *err) MUST_CHECK;
/* The record of the task "NAME" or "NAME.PORT" of that run; its task is this one, whoever made it; *ret_port
 * is NULL without a port. What the run says of the task goes to *ret_run unless that is NULL. */
bool lastrun_record(struct store *store, const char *run, const char *task, struct arena *a,
                    struct record **ret, const char **ret_port, struct lastrun *ret_run,
                    struct error *err) MUST_CHECK;
#endif
