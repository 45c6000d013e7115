/* How diverse a set of feature rows is, and how well it covers another (REFERENCE section 4, "Checks"). Rows
 * are of length 1; a row of zeros is like nothing. */
#ifndef STAGES_ALGO_DIVERSITY_H
#define STAGES_ALGO_DIVERSITY_H
#include "base/arena.h"
#include "base/error.h"

/* Every row of x (n,d) to length 1. */
void diversity_unit(float *x, int64_t n, int64_t d);
/* Mean cosine of all pairs of different rows of x (n,d), n >= 2. */
double diversity_cosine(const float *x, int64_t n, int64_t d);
/* Mean over the rows of y (m,d) of the largest cosine to a row of x (n,d). Scratch from the arena. */
bool diversity_coverage(const float *x, int64_t n, const float *y, int64_t m, int64_t d, struct arena *a,
                        double *ret, struct error *err) MUST_CHECK;
#endif
