/* The engine's side of the keeper (engine/exec/keeper.h), which it starts once and asks for workers. */
#ifndef ENGINE_EXEC_WORKERS_H
#define ENGINE_EXEC_WORKERS_H
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct keeper_end;
struct workers;
struct workers *workers_new(const char *self); /* path of weft */
/* Ends the keeper, and by that every worker that is still there. NULL is allowed. */
void workers_free(struct workers *w);
/* Is the keeper there? The first call starts it; from then on this process adopts who loses his parent below
 * it. Not so: it could not be started, or it was killed, and its workers with it, for which *why has a text,
 * once. */
bool workers_ready(struct workers *w, struct error *why) MUST_CHECK;
/* Ask for a worker, by a number that names it below. Does not wait for it to be there. fd: by KEEPER_EVENTS,
 * and so on; they stay the caller's, and the last may be -1. Each that was asked for has an end to wait for.
 * False: the keeper is gone. */
bool workers_start(struct workers *w, const char *job, int64_t memory, const int *fd, uint32_t *ret,
                   struct error *err) MUST_CHECK;
/* End what those have left behind who were our children, or the lost keeper's: all children of this process
 * but the keeper and n others; child has room for one more. */
void workers_end_orphans(const struct workers *w, pid_t *child, size_t n);
/* One that waits for another job (engine/exec/worker.h, "serve") is kept, and given the next job; what leads
 * to it is ours in between. False: none waits. */
struct served {
    uint32_t worker;
    int events, jobs; /* from it, to it */
    int far;          /* the end of jobs that it has too: what it did not take can be had back there */
    uint32_t given;   /* number of the last job that was sent there */
    double took;      /* seconds, for its last job; 0: it has done none */
};
#define SERVED_NONE ((struct served){.events = -1, .jobs = -1, .far = -1})
void workers_keep(struct workers *w, const struct served *s);
bool workers_again(struct workers *w, const char *job, struct served *ret) MUST_CHECK;
/* A job for one that waits, or that will wait: at once or not at all. */
bool served_give(struct served *s, const char *job) MUST_CHECK;
/* The last that was given. No: it has taken it, or not even the one before. */
bool served_take_back(const struct served *s);
bool served_has_unread(const struct served *s); /* there is one that it did not take */
void served_close(struct served *s);
void workers_kill(struct workers *w, uint32_t worker);
bool workers_are_lost(const struct workers *w);

/* Readable when ends have come, or the keeper is gone; -1: there is none, or it is known to be gone. */
int workers_fd(const struct workers *w);
void workers_hear(struct workers *w); /* take what has come; does not wait */
/* Has it ended, by what was heard? With the keeper all have. */
bool workers_has_ended(const struct workers *w, uint32_t worker);
/* Wait for its end, and forget it; false: the keeper is gone, and said nothing of it. */
bool workers_wait(struct workers *w, uint32_t worker, struct keeper_end *ret);
#endif
