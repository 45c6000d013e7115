/* y = x W^T + b and its gradients. */
#include "stages/tensor/gemm.h"
#include "stages/tensor/ops.h"

void linear_forward(const struct linear *l, const float *x, int64_t rows, float *y, bool accumulate)
{
    int64_t out = l->w.rows, in = l->w.cols;
    gemm(false, true, rows, out, in, 1, x, in, l->w.w, in, accumulate ? 1 : 0, y, out);
    if (l->b.w)
        add_row(y, l->b.w, rows, out);
}

void linear_input_gradient(const struct linear *l, const float *dy, int64_t rows, float *dx, bool accumulate)
{
    int64_t out = l->w.rows, in = l->w.cols;
    gemm(false, false, rows, in, out, 1, dy, out, l->w.w, in, accumulate ? 1 : 0, dx, in);
}

void linear_weight_gradient(const struct linear *l, const float *x, const float *dy, int64_t rows)
{
    int64_t out = l->w.rows, in = l->w.cols;
    if (l->w.g && x)
        gemm(true, false, out, in, rows, 1, dy, out, x, in, 1, l->w.g, in);
    if (l->b.w && l->b.g)
        column_sums(dy, rows, out, l->b.g);
}

void linear_backward(const struct linear *l, const float *x, const float *dy, int64_t rows, float *dx)
{
    if (dx)
        linear_input_gradient(l, dy, rows, dx, true);
    linear_weight_gradient(l, x, dy, rows);
}
