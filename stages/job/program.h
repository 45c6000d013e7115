/* Runs a program that is not ours to its end, in this process's group. It dies with this process. What it
 * left running is ended when it ends, wherever it hid, if this process adopts (base/procs.h), as a worker
 * does; when the worker itself is killed, its keeper sees to that (engine/exec/keeper.h). */
#ifndef STAGES_JOB_PROGRAM_H
#define STAGES_JOB_PROGRAM_H
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct program {
    const char *path;               /* absolute */
    char *const *argv, *const *env; /* NULL-ended */
    const char *dir;                /* where it starts */
    /* Each line of its stdout and stderr, without its end; one longer than 64 KiB in parts. */
    void (*line)(void *arg, const char *text, size_t n);
    void *arg;
};
struct program_end {
    int status;   /* of wait */
    int64_t peak; /* bytes that the largest of its processes held, as far as one waited for it */
};
/* False: it could not be started, or not be waited for. In both cases this process has no children
 * afterwards. */
bool program_run(const struct program *p, struct program_end *ret, struct error *err) MUST_CHECK;
/* Absolute path, in the arena, of the program `name` in the folders of `path`, a PATH; NULL when none has it.
 */
struct arena;
const char *program_find(const char *name, const char *path, struct arena *a);
#endif
