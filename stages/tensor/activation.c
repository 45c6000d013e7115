/* Activations, elementwise:
 *   quick GELU  x s, s = 1 / (1 + e^(-1.702 x))      derivative  s (1 + 1.702 x (1 - s))
 *   SiLU        the same with 1 in place of 1.702
 *   GELU        x Phi(x), Phi(x) = (1 + erf(x / sqrt 2)) / 2      derivative  Phi(x) + x phi(x)
 * Work is cut into blocks of a fixed size, so that the vectors fall alike for any thread count. */
#include "stages/tensor/ops.h"
#include "stages/tensor/vexp.h"
#include <math.h>

#define BLOCK    4096      /* elements a thread takes at a time */
#define PARALLEL (1 << 13) /* below this many elements threads cost more than they give */

static inline float sigmoid_forward(float k, float x)
{
    return x / (1 + vexp(-k * x));
}
static inline float sigmoid_slope(float k, float x)
{
    float s = 1 / (1 + vexp(-k * x));
    return s * (1 + k * x * (1 - s));
}
static inline float gelu_forward(float x)
{
    return 0.5f * x * (1 + erff(x * 0.70710678f));
}
static inline float gelu_slope(float x)
{
    return 0.5f * (1 + erff(x * 0.70710678f)) + x * 0.39894228f * vexp(-0.5f * x * x);
}

static void block_forward_act(enum activation act, const float *x, int64_t n, float *y)
{
    if (act == ACT_GELU) {
        for (int64_t i = 0; i < n; i++)
            y[i] = gelu_forward(x[i]);
        return;
    }
    float k = act == ACT_SILU ? 1.0f : 1.702f;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = sigmoid_forward(k, x[i]);
}

static void block_backward_act(enum activation act, const float *x, const float *dy, int64_t n, float *dx)
{
    if (act == ACT_GELU) {
        for (int64_t i = 0; i < n; i++)
            dx[i] = dy[i] * gelu_slope(x[i]);
        return;
    }
    float k = act == ACT_SILU ? 1.0f : 1.702f;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        dx[i] = dy[i] * sigmoid_slope(k, x[i]);
}

void bias_activation(enum activation act, float *x, const float *bias, int64_t rows, int64_t n, float *y)
{
#pragma omp parallel for schedule(static) if (rows * n > PARALLEL)
    for (int64_t r = 0; r < rows; r++) {
        float *u = x + r * n;
        if (bias) {
#pragma omp simd
            for (int64_t i = 0; i < n; i++)
                u[i] += bias[i];
        }
        block_forward_act(act, u, n, y + r * n);
    }
}

void activation_forward(enum activation act, const float *x, int64_t n, float *y)
{
#pragma omp parallel for schedule(static) if (n > PARALLEL)
    for (int64_t from = 0; from < n; from += BLOCK)
        block_forward_act(act, x + from, n - from < BLOCK ? n - from : BLOCK, y + from);
}

void activation_backward(enum activation act, const float *x, const float *dy, int64_t n, float *dx)
{
#pragma omp parallel for schedule(static) if (n > PARALLEL)
    for (int64_t from = 0; from < n; from += BLOCK)
        block_backward_act(act, x + from, dy + from, n - from < BLOCK ? n - from : BLOCK, dx + from);
}

void activation_backward_again(enum activation act, const float *x, const float *dy, int64_t n, float *dx,
                               float *y)
{
#pragma omp parallel for schedule(static) if (n > PARALLEL)
    for (int64_t from = 0; from < n; from += BLOCK) {
        int64_t width = n - from < BLOCK ? n - from : BLOCK;
        block_backward_act(act, x + from, dy + from, width, dx + from);
        if (y)
            block_forward_act(act, x + from, width, y + from);
    }
}
