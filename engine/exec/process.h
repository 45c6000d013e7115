/* One worker process as the engine sees it: start, events, end. A worker on this machine is the keeper's
 * child (engine/exec/workers.h); what a launcher starts is ours, and a pidfd tells its end. */
#ifndef ENGINE_EXEC_PROCESS_H
#define ENGINE_EXEC_PROCESS_H
#include "base/buf.h"
#include "base/error.h"
#include "engine/exec/workers.h"
#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
    bool started;
    pid_t pid;               /* of a child of ours */
    struct workers *workers; /* whose child it is, else NULL */
    struct served served;    /* its number among theirs; its events are at `events` too, -1 at their end */
    bool serves;             /* it may take another job after this */
    bool waits;              /* this one is done, and it waits for the next */
    int ended;               /* readable when a child of ours has ended; -1: workers tell it */
    int events;              /* its stdout; -1 at its end */
    struct buf line;         /* what came of it, from a line on that was not seen yet */
    bool too_long;           /* of which the rest is dropped too */
    int64_t garbage;         /* lines so far that are no events */
    /* After process_end. */
    int not_started; /* 0, or why it could not be: an errno */
    bool unread;     /* it ended before it took the job; what was given ahead is to be taken back before */
    bool over;       /* it was ended because it took more memory than it may */
    int64_t peak;    /* bytes that it and all below it held; 0: nobody looked */
};
#define PROCESS_NONE ((struct process){.ended = -1, .events = -1, .served = SERVED_NONE})
/* Run argv (NULL-ended; argv[0] is found in PATH unless it has a slash) with the environment env (NULL:
 * ours): job on its stdin, stderr appended to the file log. In a process group of its own, so that a
 * terminal's Ctrl-C reaches the engine alone. */
bool process_start(struct process *p, const char *const *argv, const char *const *env, const char *job,
                   const char *log, struct error *err) MUST_CHECK;
/* The same as a child of the keeper, which may take so much memory (bytes; 0: any). */
bool process_start_kept(struct process *p, struct workers *w, const char *job, int64_t memory,
                        const char *log, struct error *err) MUST_CHECK;
/* The same by one that waits for a job, if there is any, and that may take others; the job says so too. */
bool process_start_served(struct process *p, struct workers *w, const char *job, const char *log,
                          struct error *err) MUST_CHECK;
/* The next job of a worker that serves, given before its last is done: it begins with process_take_over, once
 * that one waits. Until then it can be had back, unless the worker has just taken it, or not even come to the
 * one that it is to do now. */
bool process_give_ahead(struct process *p, const char *job) MUST_CHECK;
bool process_take_back(const struct process *p);
void process_take_over(struct process *next, struct process *p);
/* Is there nothing to wait for any more? Of a child of the keeper. */
bool process_has_ended(const struct process *p);
/* Hand every whole event that has arrived to see(); lines that are no JSON objects, or longer than 1 MiB, are
 * counted and dropped. Comes back while a worker goes on writing; takes all that one wrote before its end. */
void process_events(struct process *p, void (*see)(void *arg, const json_t *event), void *arg);
bool process_has_more(const struct process *p); /* of which nothing will wake us */
/* Wait for the end of a process of which it is known (or that was killed); the wait status. Frees p's own. */
int process_end(struct process *p);
void process_kill(struct process *p);
#endif
