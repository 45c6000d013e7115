/* Functions for loops that the compiler vectorises. e^x: no branches, no calls. Within 2 ulp of the true
 * value on
 * [-87.3, 88.3]; arguments beyond are clamped there, NaN stays NaN.
 *   n = round(x / ln 2),  r = x - n ln 2 in [-0.347, 0.347],  e^x = 2^n p(r), p of degree 7 */
#ifndef STAGES_TENSOR_VEXP_H
#define STAGES_TENSOR_VEXP_H
#include <stdint.h>
#include <string.h>

static inline float vexp(float x)
{
    const float magic = 12582912.0f; /* 1.5 2^23: adding it rounds to an integer, left in the low bits */
    x = x > 88.3f ? 88.3f : x;
    x = x < -87.3f ? -87.3f : x;
    float shifted = x * 1.44269504f + magic;
    float n = shifted - magic;
    float r =
        x - n * 0.693145752f; /* ln 2 in two parts; the first has zeros enough for n times it to be exact */
    r = r - n * 1.42860677e-6f;
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * (r * r) + r;
    p = p + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23; /* magic's own low bits are zero */
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

/* The largest of n > 0 entries, in lanes: compilers do not reorder a maximum that could meet a NaN on their
 * own. */
static inline float vmax(const float *x, int64_t n)
{
    enum { LANES = 16 };
    float lane[LANES], max = x[0];
    for (int j = 0; j < LANES; j++)
        lane[j] = max;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++)
            lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
    for (; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (int j = 0; j < LANES; j++)
        max = lane[j] > max ? lane[j] : max;
    return max;
}
#endif
