/* One prediction from those of K models (BTM; REFERENCE 1.2). */
#ifndef STAGES_ALGO_ENSEMBLE_H
#define STAGES_ALGO_ENSEMBLE_H
#include <stdint.h>

enum ensemble_mean {
    ENSEMBLE_PROBABILITY, /* sum_p w_p softmax(z_p) */
    ENSEMBLE_LOGIT        /* softmax(sum_p w_p z_p) */
};
/* logits (K) of (n) classes each, weight (K) of sum 1 -> ret (n), a distribution. In double, in the order of
 * p; room (n) is scratch. */
void ensemble_mean(enum ensemble_mean mean, const float *const *logits, const double *weight, int k,
                   int64_t n, double *room, double *ret);
/* Posterior weights: ret_p ~ exp(score_p) for the `top` best scores, of equal ones the first, 0 for the rest;
 * sum 1. */
void ensemble_posterior(const double *score, int k, int top, double *ret);
#endif
