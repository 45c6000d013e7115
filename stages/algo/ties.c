#include "stages/algo/ties.h"
#include <math.h>
#include <string.h>

#define LOW 15 /* bits of a magnitude below the upper 16: its float32 has 31 */

/* Of |x|: they are ordered as the magnitudes are. */
static uint32_t magnitude(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x7fffffffu;
}

void ties_begin(struct ties_trim *t, double density, int64_t *count)
{
    *t = (struct ties_trim){.density = density, .count = count};
    memset(count, 0, TIES_BINS * sizeof *count);
}
void ties_count(struct ties_trim *t, const float *tau, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t m = magnitude(tau[i]);
        if (!t->pass)
            t->count[m >> LOW]++;
        else if (m >> LOW == t->edge)
            t->count[m & ((1u << LOW) - 1)]++;
    }
    t->total += t->pass ? 0 : n;
}
/* From the top: the bin where what is to be found ends. */
void ties_next(struct ties_trim *t)
{
    uint32_t bin = t->pass ? (1u << LOW) - 1 : TIES_BINS - 1;
    if (!t->pass)
        t->keep = (int64_t)floor(t->density * (double)t->total);
    for (; bin > 0 && t->count[bin] < t->keep; bin--)
        t->keep -= t->count[bin];
    t->edge = t->pass ? t->edge << LOW | bin : bin;
    t->pass++;
    memset(t->count, 0, TIES_BINS * sizeof *t->count);
}
void ties_cut(struct ties_trim *t, float *tau, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t m = magnitude(tau[i]);
        if (m < t->edge || (m == t->edge && t->keep-- <= 0))
            tau[i] = 0;
    }
}

void ties_merge(const float *theta_0, const float *const *tau, int k, int64_t n, double scaling, float *ret)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        double sum = 0, kept = 0;
        int agree = 0;
        for (int p = 0; p < k; p++)
            sum += (double)tau[p][i];
        for (int p = 0; p < k; p++)
            if ((double)tau[p][i] * sum > 0) {
                kept += (double)tau[p][i];
                agree++;
            }
        ret[i] = (float)((double)theta_0[i] + (agree ? scaling * kept / agree : 0));
    }
}
