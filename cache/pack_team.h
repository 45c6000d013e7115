/* Private to cache/pack*.c: threads that share the blocks of one file. Each takes the next block, works on it
 * alone, and where the order matters waits for its turn. The caller is one of them: threads that cannot be
 * started are done without. */
#ifndef CACHE_PACK_TEAM_H
#define CACHE_PACK_TEAM_H
#include "cache/frame.h"
#include <pthread.h>
#include <stdint.h>

enum { TURN_HASH, TURN_PLACE, TURNS };
struct pack_team {
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    pthread_mutex_t file; /* held while writing */
    int64_t next, end;    /* the block to take, the one behind the last */
    int64_t turn[TURNS];  /* whose turn it is */
    bool failed;
    const char *why;  /* of the first failure: damaged; NULL: error says what failed */
    struct error err; /* of the first failure */
};
/* Blocks begin..end-1 by up to `threads` threads (0: as many as the process has cores), each in work(). False
 * when one failed: with *why (may be NULL) or err. */
bool pack_team_run(struct pack_team *t, int64_t begin, int64_t end, int threads,
                   void (*work)(struct pack_team *t, void *arg), void *arg, const char **why,
                   struct error *err) MUST_CHECK;
/* The next block, in order; -1: there is none, or one failed. */
int64_t pack_team_next(struct pack_team *t);
/* Wait for the turn of a block; false: some block failed. */
bool pack_team_wait(struct pack_team *t, int turn, int64_t block);
void pack_team_pass(struct pack_team *t, int turn); /* on to the next block */
/* Write at an offset, one thread at a time: the kernel allows no more for a file, and lets the others spin.
 */
bool pack_team_pwrite(struct pack_team *t, const struct frame_file *f, const void *p, size_t n, int64_t at,
                      struct error *err) MUST_CHECK;
/* A block failed: all stop after the block that they are at. */
void pack_team_fail(struct pack_team *t, const char *why, const struct error *err);
#endif
