/* Order by a score. */
#ifndef STAGES_ALGO_RANK_H
#define STAGES_ALGO_RANK_H
#include <stdint.h>

/* Indices 0 .. n-1 by decreasing r, equal ones in order. order and work (n). */
void rank_descending(const float *r, int64_t n, int64_t *order, int64_t *work);
#endif
