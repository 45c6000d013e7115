/* Weights of several models into one: the arithmetic on one tensor of n elements. theta_0 is the seed,
 * theta_p the p-th model that came from it, tau_p = theta_p - theta_0 its task vector (REFERENCE 1.2, 5).
 * Sums are in double, in the order of p, so that results do not depend on the thread count. */
#ifndef STAGES_ALGO_SOUP_H
#define STAGES_ALGO_SOUP_H
#include "base/rng.h"

/* ret = (1/K) sum_p theta_p. */
void soup_mean(const float *const *theta, int k, int64_t n, float *ret);
/* Task arithmetic: ret = theta_0 + scaling sum_p tau_p; with scaling 1/K the mean of the models. ret may be
 * theta_0 or a tau_p. */
void soup_add(const float *theta_0, const float *const *tau, int k, int64_t n, double scaling, float *ret);

/* DARE: each entry of tau is 0 with probability `drop` (below 1), else divided by 1 - drop. What is dropped
 * is a function of stream, p and the entry's index alone. */
void dare_drop(float *tau, int64_t n, double drop, struct rng_stream stream, uint32_t p);
#endif
