/* Asynchronous successive halving (ASHA; Li et al. 2020, "A System for Massively Parallel Hyperparameter
 * Tuning"): which trial goes on to the next rung, given what has finished so far. Pure state: no clock, no
 * process, no file. Rungs count from 0, where every trial starts; higher values are better. */
#ifndef ENGINE_SCHED_HALVING_H
#define ENGINE_SCHED_HALVING_H
#include <stdbool.h>

struct halving;
/* keep: the part of a rung that goes on, 0 to 1. wait: plain (synchronous) successive halving, a rung
 * promotes only when nothing can join it any more, so the order of the completions does not matter. */
struct halving *halving_new(int trials, int rungs, double keep, bool wait);
void halving_free(struct halving *h); /* NULL is allowed */
/* The trial finished the rung that it was in; NAN: it failed, which counts as finished and never goes on.
 * Anything else (a rung it was not promoted into, one that it finished before) changes nothing. */
void halving_done(struct halving *h, int trial, int rung, double value);
/* The next promotion, which counts as made: `trial` goes to `rung`. The highest rungs promote first: of the
 * trials that finished a rung the best floor(finished * keep), equal values by the lower number.
 * Without wait a rung may so promote more than that in all: one that was among the best too early stays
 * promoted. False: none now. */
bool halving_next(struct halving *h, int *ret_trial, int *ret_rung);
#endif
