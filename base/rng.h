/* Counter-based random numbers (Philox4x32-10, Salmon et al. 2011): a number is a pure function of
 * (seed, stream name, i, j, position), so results do not depend on threads, batches or interruption. */
#ifndef BASE_RNG_H
#define BASE_RNG_H
#include <stdint.h>

struct rng_stream {
    uint32_t key[2];
};
/* The stream `name` of an experiment's seed: rng_stream(7, "expert.shuffle"). */
struct rng_stream rng_stream(uint64_t seed, const char *name);

/* A sequence at (i, j) of a stream, for example i = sample, j = epoch. */
struct rng {
    uint32_t key[2], ctr[4], out[4];
    int left;
};
struct rng rng_at(struct rng_stream s, uint64_t i, uint32_t j);
uint32_t rng_u32(struct rng *r);
uint64_t rng_u64(struct rng *r);
float rng_uniform(struct rng *r); /* [0,1), 24 bits */
double rng_uniform_double(struct rng *r);
float rng_normal(struct rng *r);                              /* Box-Muller, mean 0, variance 1 */
uint64_t rng_below(struct rng *r, uint64_t n);                /* unbiased, [0,n), n > 0 */
void rng_permutation(struct rng *r, int64_t n, int64_t *ret); /* Fisher-Yates over 0..n-1 */
#endif
