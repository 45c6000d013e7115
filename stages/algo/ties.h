/* TIES (Yadav et al. 2023; REFERENCE 5): of each task vector the largest entries stay, each entry elects a
 * sign, and the entries of that sign are averaged.
 *
 * Trimming a vector that comes tensor by tensor and is never in memory as a whole: two passes count
 * magnitudes, by the upper and then by the lower bits of their float32, a third cuts.
 *     ties_count() on every piece; ties_next(); ties_count() on every piece again; ties_next();
 *     ties_cut() on every piece, in the same order: of equal magnitudes at the edge the first ones stay. */
#ifndef STAGES_ALGO_TIES_H
#define STAGES_ALGO_TIES_H
#include <stdint.h>

#define TIES_BINS (1 << 16)
struct ties_trim {
    double density; /* floor(density * entries) stay */
    int64_t *count; /* (TIES_BINS) the caller's */
    int pass;
    int64_t total, keep; /* entries; those that are still to be found */
    uint32_t edge;       /* bits of the smallest magnitude that stays; when pass is 1, the upper ones of it */
};
void ties_begin(struct ties_trim *t, double density, int64_t *count);
/* All entries are finite. */
void ties_count(struct ties_trim *t, const float *tau, int64_t n);
void ties_next(struct ties_trim *t);
void ties_cut(struct ties_trim *t, float *tau, int64_t n);

/* ret = theta_0 + scaling m: per entry m is the mean of those tau_p that have the sign of their sum; 0 where
 * the sum is 0. ret may be theta_0 or a tau_p. */
void ties_merge(const float *theta_0, const float *const *tau, int k, int64_t n, double scaling, float *ret);
#endif
