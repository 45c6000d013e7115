/* The operators in double, term by term as their equations stand: slow and plain. */
#ifndef TESTS_OPS_REFERENCE_H
#define TESTS_OPS_REFERENCE_H
#include "stages/tensor/ops.h"
#include <math.h>
#include <stdlib.h>

/* y (R,out) = x (R,in) w^T + b; b may be NULL */
static inline void ref_linear(const double *x, const double *w, const double *b, int64_t rows, int64_t in,
                              int64_t out, double *y)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < out; o++) {
            double sum = b ? b[o] : 0;
            for (int64_t i = 0; i < in; i++)
                sum += x[r * in + i] * w[o * in + i];
            y[r * out + o] = sum;
        }
}
static inline void ref_layernorm(const double *x, const double *w, const double *b, double eps, int64_t rows,
                                 int64_t c, double *y)
{
    for (int64_t r = 0; r < rows; r++) {
        double mean = 0, var = 0;
        for (int64_t i = 0; i < c; i++)
            mean += x[r * c + i] / (double)c;
        for (int64_t i = 0; i < c; i++)
            var += (x[r * c + i] - mean) * (x[r * c + i] - mean) / (double)c;
        for (int64_t i = 0; i < c; i++)
            y[r * c + i] = (x[r * c + i] - mean) / sqrt(var + eps) * w[i] + b[i];
    }
}
static inline double ref_activation(enum activation act, double x)
{
    return act == ACT_GELU ? 0.5 * x * erfc(-x / sqrt(2)) : x / (1 + exp(-(act == ACT_SILU ? 1 : 1.702) * x));
}
/* One head; rows of q, k, v, y lie `stride` apart. */
static inline void ref_head(const double *q, const double *k, const double *v, int64_t tq, int64_t t,
                            int64_t dim, int64_t stride, bool causal, double *y, double *probs)
{
    double *p = malloc((size_t)t * sizeof *p);
    for (int64_t i = 0; i < tq; i++) {
        int64_t seen = causal ? i + 1 : t;
        double max = -HUGE_VAL, sum = 0;
        for (int64_t j = 0; j < seen; j++) {
            p[j] = 0;
            for (int64_t d = 0; d < dim; d++)
                p[j] += q[i * stride + d] * k[j * stride + d] / sqrt((double)dim);
            max = fmax(max, p[j]);
        }
        for (int64_t j = 0; j < seen; j++)
            sum += p[j] = exp(p[j] - max);
        for (int64_t d = 0; d < dim; d++)
            y[i * stride + d] = 0;
        for (int64_t j = 0; j < t; j++) {
            p[j] = j < seen ? p[j] / sum : 0;
            for (int64_t d = 0; d < dim; d++)
                y[i * stride + d] += p[j] * v[j * stride + d];
            if (probs)
                probs[i * t + j] = p[j];
        }
    }
    free(p);
}
static inline void ref_attention(const double *q, const double *k, const double *v, int64_t batch, int64_t tq,
                                 int64_t t, int64_t heads, int64_t dim, bool causal, double *y, double *probs)
{
    int64_t c = heads * dim;
    for (int64_t b = 0; b < batch; b++)
        for (int64_t h = 0; h < heads; h++)
            ref_head(q + b * tq * c + h * dim, k + b * t * c + h * dim, v + b * t * c + h * dim, tq, t, dim,
                     c, causal, y + b * tq * c + h * dim, probs ? probs + (b * heads + h) * tq * t : NULL);
}
#endif
