/* Kernel locks named by digests: any number of processes, freed when their holder dies. One byte of one of 64
 * files, STORE/locks/KIND.NN, stands for a digest (OFD locks).
 *   key   who computes the result of a key, alone: single flight
 *   use   who needs a record or an object, shared; alone: who is about to remove it
 *   hot   the same for a plain file
 * Nothing here waits. Where the file system's locks cannot be relied on (`locks: false`), every lock is
 * granted and means nothing. */
#ifndef CACHE_LOCK_H
#define CACHE_LOCK_H
#include "base/error.h"
#include "base/hash.h"

struct locks;
enum lock_kind { LOCK_KEY, LOCK_USE, LOCK_HOT, LOCK_KINDS };
/* An open of its own conflicts with all others, those of the same process too: who removes what this process
 * may use as well opens its own. dir exists. */
struct locks *locks_open(const char *dir, bool reliable);
void locks_close(struct locks *l); /* frees all that it holds; NULL is fine */
enum lock_answer { LOCK_MINE, LOCK_BUSY, LOCK_ERROR };
enum lock_answer lock_take(struct locks *l, enum lock_kind kind, const struct digest *d, bool alone,
                           struct error *err) MUST_CHECK;
void lock_drop(struct locks *l, enum lock_kind kind, const struct digest *d);
#endif
