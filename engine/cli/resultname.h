/* Results by the names that people give them: a run (its id, the beginning of one, or "last"), or a task of
 * the newest run that has it. */
#ifndef ENGINE_CLI_RESULTNAME_H
#define ENGINE_CLI_RESULTNAME_H
#include "base/arena.h"
#include "cache/store.h"

struct resultname {           /* in the arena */
    const char *what, *name;  /* "run" or "task"; the run's whole id, or the task's name */
    const struct digest *key; /* of the run's tasks that hit or ran, each once; of the task */
    size_t n;
};
/* ERROR_INPUT: neither, with a suggestion. */
bool resultname_find(struct store *s, const char *text, struct arena *a, struct resultname *ret,
                     struct error *err) MUST_CHECK;
/* A run only. */
bool resultname_run(struct store *s, const char *text, struct arena *a, struct resultname *ret,
                    struct error *err) MUST_CHECK;
#endif
