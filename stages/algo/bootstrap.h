/* The bootstrap of accuracies (Efron 1979), over runs that were tried on the same samples: draw samples with
 * replacement, count again. Runs differ too (another seed, another model), so that they are drawn as well. */
#ifndef STAGES_ALGO_BOOTSTRAP_H
#define STAGES_ALGO_BOOTSTRAP_H
#include "base/rng.h"

#define BOOTSTRAP_RUNS 32 /* at most, that are drawn together */

/* n samples drawn with replacement: right (runs) = how many of them each run had right. Bit i of mask (n):
 * run i had the sample right. n < 2^31. */
void bootstrap_samples(struct rng *r, const uint32_t *mask, int64_t n, int runs, int64_t *right);
/* The same of one run of which only the count is known. */
int64_t bootstrap_count(struct rng *r, int64_t right, int64_t n);
/* runs - 1 of the runs drawn with replacement: weight (runs) is what each counts in the mean, sum 1. One less
 * than there are, so that a drawn mean varies as the mean of few runs does (McCarthy and Snowden 1985). A
 * single run is always drawn. */
void bootstrap_runs(struct rng *r, int runs, double *weight);
/* Sorts v (n): the interval that holds the middle `level` of it. */
struct bootstrap_interval {
    double low, high;
} bootstrap_interval(double *v, int64_t n, double level);
#endif
