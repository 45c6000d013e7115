/* Runs a program that is not ours to its end, in this process's group, so that nothing of it outlives the
 * task: whoever ends the worker ends its group, and when the worker is gone without a word a guard does. */
#ifndef STAGES_JOB_PROGRAM_H
#define STAGES_JOB_PROGRAM_H
#include "base/error.h"
#include <stddef.h>

struct program {
    const char *path;               /* absolute */
    char *const *argv, *const *env; /* NULL-ended */
    const char *dir;                /* where it starts */
    /* Each line of its stdout and stderr, without its end; one longer than 64 KiB in parts. */
    void (*line)(void *arg, const char *text, size_t n);
    void *arg;
};
/* *ret_status: the wait status. Makes this process the leader of a group unless it is one. False: it could
 * not be started, or not be waited for. */
bool program_run(const struct program *p, int *ret_status, struct error *err) MUST_CHECK;
/* Absolute path, in the arena, of the program `name` in the folders of `path`, a PATH; NULL when none has it.
 */
struct arena;
const char *program_find(const char *name, const char *path, struct arena *a);
#endif
