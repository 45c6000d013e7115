/* A program of others run to its end for what it prints: the commands of a cluster, which answer in
 * milliseconds or, when something is wrong with it, not at all. */
#ifndef ENGINE_EXEC_CAPTURE_H
#define ENGINE_EXEC_CAPTURE_H
#include "base/error.h"
#include <sys/types.h>

struct capture {
    pid_t pid; /* 0: over */
    int pidfd, out_fd, err_fd;
    char *out;           /* what it printed; never NULL once it has ended */
    char complaint[512]; /* the first line of its stderr without its name in front, "" for none */
    int status;          /* exit status; 128 + N: killed by signal N */
};
#define CAPTURE_NONE                                                                                         \
    {                                                                                                        \
        .pidfd = -1, .out_fd = -1, .err_fd = -1                                                              \
    } /* what capture_done may get unstarted */
/* Start argv (NULL-ended, found in PATH unless it has a slash) with the environment env (NULL: ours) and
 * `input` (NULL: nothing) on its stdin. */
bool capture_start(struct capture *c, const char *const *argv, const char *const *env, const char *input,
                   struct error *err) MUST_CHECK;
/* Wait for its end, at most so many seconds, after which it is killed: false. Any exit status is true. */
bool capture_end(struct capture *c, double patience, struct error *err) MUST_CHECK;
/* Both; false also for an exit status other than 0, with what it complained of. `c` is done with then. */
bool capture_run(struct capture *c, const char *const *argv, const char *const *env, const char *input,
                 double patience, struct error *err) MUST_CHECK;
void capture_done(struct capture *c); /* kills it if it runs */
static inline void capture_auto(struct capture *c)
{
    capture_done(c);
}
#endif
