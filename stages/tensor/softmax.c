/* Row softmax, and the cross-entropy that is its usual end. */
#include "base/mem.h"
#include "stages/tensor/ops.h"
#include "stages/tensor/vexp.h"
#include <math.h>

#define PARALLEL (1 << 13) /* below this many elements threads cost more than they give */

void softmax_rows(float *x, int64_t rows, int64_t n)
{
#pragma omp parallel for schedule(static) if (rows * n > PARALLEL)
    for (int64_t r = 0; r < rows; r++) {
        float *y = x + r * n, max = vmax(y, n), sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n; i++) {
            y[i] = vexp(y[i] - max);
            sum += y[i];
        }
        for (int64_t i = 0; i < n; i++)
            y[i] /= sum;
    }
}

/* One row's loss, log sum e^x - x[label], in double: the difference of two large numbers when the row is
 * sure. */
static double row_loss(const float *x, int64_t n, int64_t label, double scale, float *dx)
{
    float max = vmax(x, n), at = x[label];
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)x[i] - max);
    for (int64_t i = 0; i < n && dx; i++)
        dx[i] = (float)((exp((double)x[i] - max) / sum - (i == label)) * scale);
    return log(sum) + max - at;
}

float cross_entropy(const float *logits, const int64_t *label, int64_t rows, int64_t n, float *dlogits)
{
    double *loss = xmalloc((size_t)rows * sizeof *loss), total = 0;
#pragma omp parallel for schedule(static) if (rows * n > PARALLEL)
    for (int64_t r = 0; r < rows; r++)
        loss[r] = row_loss(logits + r * n, n, label[r], 1.0 / (double)rows, dlogits ? dlogits + r * n : NULL);
    for (int64_t r = 0; r < rows; r++)
        total += loss[r];
    free(loss);
    return (float)(total / (double)rows);
}
