/* One worker process as the engine sees it: start, events, end. Linux: pidfd tells the end without signals,
 * the job travels in an anonymous file, so that nothing here can block. */
#ifndef ENGINE_EXEC_PROCESS_H
#define ENGINE_EXEC_PROCESS_H
#include "base/buf.h"
#include "base/error.h"
#include <jansson.h>
#include <sys/types.h>

struct process {
    pid_t pid;
    int pidfd;       /* readable when the process has ended */
    int events;      /* its stdout, non-blocking; -1 at its end */
    struct buf line; /* begun, its end has not arrived */
    bool too_long;   /* of which the rest is dropped too */
};
/* Run argv (NULL-ended; argv[0] is found in PATH unless it has a slash) with the environment env (NULL:
 * ours): job on its stdin, stderr appended to the file log. In a process group of its own, so that a
 * terminal's Ctrl-C reaches the engine alone. */
bool process_start(struct process *p, const char *const *argv, const char *const *env, const char *job,
                   const char *log, struct error *err) MUST_CHECK;
/* Hand every whole event that has arrived to see(); lines that are no JSON objects, or longer than 1 MiB, are
 * dropped. Comes back while a worker goes on writing; takes all that one wrote before its end. */
void process_events(struct process *p, void (*see)(void *arg, const json_t *event), void *arg);
/* Wait for the end of a process whose pidfd is readable (or that was killed); the wait status. Frees p's own.
 */
int process_end(struct process *p);
void process_kill(const struct process *p);
#endif
