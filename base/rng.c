#include "base/rng.h"
#include <math.h>
#include <string.h>

/* Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. */
static void philox(const uint32_t key[2], const uint32_t ctr[4], uint32_t out[4])
{
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = ctr[0], c1 = ctr[1], c2 = ctr[2], c3 = ctr[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* The stream's key: the seed and an FNV-1a hash of the name, mixed by the generator itself. */
struct rng_stream rng_stream(uint64_t seed, const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 0x100000001b3u;
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t ctr[4] = {(uint32_t)h, (uint32_t)(h >> 32), 0x77656674u, 0}, out[4];
    philox(key, ctr, out);
    return (struct rng_stream){{out[0], out[1]}};
}

/* Counter layout: position in the sequence, j, i low, i high. */
struct rng rng_at(struct rng_stream s, uint64_t i, uint32_t j)
{
    return (struct rng){.key = {s.key[0], s.key[1]}, .ctr = {0, j, (uint32_t)i, (uint32_t)(i >> 32)}};
}

uint32_t rng_u32(struct rng *r)
{
    if (!r->left) {
        philox(r->key, r->ctr, r->out);
        r->ctr[0]++;
        r->left = 4;
    }
    return r->out[4 - r->left--];
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t lo = rng_u32(r);
    return (uint64_t)rng_u32(r) << 32 | lo;
}

float rng_uniform(struct rng *r)
{
    return (float)(rng_u32(r) >> 8) * 0x1p-24f;
}

double rng_uniform_double(struct rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

/* Box-Muller in double, cosine branch only: one number from two draws, nothing kept between calls. */
float rng_normal(struct rng *r)
{
    double u = 1.0 - rng_uniform_double(r);
    double v = rng_uniform_double(r);
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n;
    uint64_t x;
    do
        x = rng_u64(r);
    while (x >= limit);
    return x % n;
}

void rng_permutation(struct rng *r, int64_t n, int64_t *ret)
{
    for (int64_t i = 0; i < n; i++)
        ret[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)rng_below(r, (uint64_t)i + 1);
        int64_t t = ret[i];
        ret[i] = ret[j];
        ret[j] = t;
    }
}
