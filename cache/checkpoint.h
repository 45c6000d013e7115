/* Checkpoints: states of unfinished work, named by what is computed (an id) and how far it is (a step).
 *   checkpoints/ab/cdef.../STEP   a skippable zstd frame with a sealed JSON header, then the state as one
 * frame No record names one and no result depends on one: they may all be deleted at any time. Reads verify;
 * what is damaged is moved to quarantine/ and counts as absent. */
#ifndef CACHE_CHECKPOINT_H
#define CACHE_CHECKPOINT_H
#include "cache/store.h"

struct checkpoint {
    int64_t step;   /* from 1 on */
    double seconds; /* that it took to come so far, all runs together */
    bool keep;      /* work that goes further leaves it where it is */
};
/* Take the state that is the file `path` into the store. One of that step is replaced, and kept if it was. */
bool store_checkpoint_put(struct store *s, const struct digest *id, const struct checkpoint *c,
                          const char *path, struct error *err) MUST_CHECK;
/* Write the state of the highest step, at most max_step, that is whole to the new file `to`. ret->step 0:
 * there is none. */
bool store_checkpoint_find(struct store *s, const struct digest *id, int64_t max_step, const char *to,
                           struct checkpoint *ret, struct error *err) MUST_CHECK;
/* Remove the one of a step, unless it is one to keep; what cannot be removed stays. */
void store_checkpoint_drop(struct store *s, const struct digest *id, int64_t step);
void store_checkpoint_drop_below(struct store *s, const struct digest *id, int64_t step); /* all below it */
void store_checkpoint_drop_all(struct store *s, const struct digest *id); /* those to keep as well */
#endif
