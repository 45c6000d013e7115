/* Operators: forward and backward side by side, one file each family. Rows R = B*T tokens. Backward functions
 * accumulate (+=) into weight gradients and into dx unless stated; a NULL gradient is not computed. Results
 * do not depend on the thread count: every output element, and every gradient sum, has one fixed order of
 * additions. */
#ifndef STAGES_TENSOR_OPS_H
#define STAGES_TENSOR_OPS_H
#include "stages/tensor/mat.h"
#include <stdbool.h>

/* linear.c: y (R,out) = x (R,in) W^T + b, then += y0 when accumulate. */
void linear_forward(const struct linear *l, const float *x, int64_t rows, float *y, bool accumulate);
/* dx (R,in) += dy W;  l->w.g += dy^T x;  l->b.g += column sums of dy. dx NULL or x NULL: that part is
 * skipped. */
void linear_backward(const struct linear *l, const float *x, const float *dy, int64_t rows, float *dx);

/* The two halves: dx = dy W (+= when accumulate), and the weights' part alone. */
void linear_input_gradient(const struct linear *l, const float *dy, int64_t rows, float *dx, bool accumulate);
void linear_weight_gradient(const struct linear *l, const float *x, const float *dy, int64_t rows);

/* norm.c: mean and rstd (R) are saved for the backward; both NULL for inference. */
void layernorm_forward(const struct norm *n, const float *x, int64_t rows, float *y, float *mean,
                       float *rstd);
void layernorm_backward(const struct norm *n, const float *x, const float *mean, const float *rstd,
                        const float *dy, int64_t rows, float *dx);

/* activation.c */
enum activation { ACT_QUICK_GELU /* x sigmoid(1.702 x) */, ACT_GELU /* erf form */, ACT_SILU };
void activation_forward(enum activation act, const float *x, int64_t n, float *y);
/* dx = dy * act'(x); dx may be dy. */
void activation_backward(enum activation act, const float *x, const float *dy, int64_t n, float *dx);

/* x (R,n) += bias (n), which may be NULL; y = act(x). y may be x. */
void bias_activation(enum activation act, float *x, const float *bias, int64_t rows, int64_t n, float *y);
/* The backward, and y = act(x) once more when y is not NULL: for who did not keep it. */
void activation_backward_again(enum activation act, const float *x, const float *dy, int64_t n, float *dx,
                               float *y);

/* attention.c: softmax(q k^T / sqrt(D)) v per head. q (B,Tq,C), k, v (B,T,C), C = H*D; Tq = T, or fewer: the
 * first Tq positions (class token only). causal: position t sees 0..t. probs (B,H,Tq,T) is saved for the
 * backward, NULL for inference. */
void attention_forward(const float *q, const float *k, const float *v, int64_t batch, int64_t tq, int64_t t,
                       int64_t heads, int64_t dim, bool causal, float *y, float *probs);
/* dq (B,Tq,C), dk, dv (B,T,C) are overwritten. */
void attention_backward(const float *q, const float *k, const float *v, const float *probs, const float *dy,
                        int64_t batch, int64_t tq, int64_t t, int64_t heads, int64_t dim, bool causal,
                        float *dq, float *dk, float *dv);

/* softmax.c */
void softmax_rows(float *x, int64_t rows, int64_t n); /* in place, max-subtracted */
/* Mean cross-entropy of logits (R,N) against label (R); dlogits = (softmax - onehot) / R, may be logits, may
 * be NULL. */
float cross_entropy(const float *logits, const int64_t *label, int64_t rows, int64_t n, float *dlogits);

/* unit.c: y = x / |x|_2 per row (a zero row stays zero); norm (R) saved. */
void unit_forward(const float *x, int64_t rows, int64_t n, float *y, float *norm);
/* dx = (dy - y (y.dy)) / norm, overwritten; dx may be dy. */
void unit_backward(const float *y, const float *norm, const float *dy, int64_t rows, int64_t n, float *dx);

/* elementwise.c */
void copy_into(float *y, const float *x, int64_t n);                   /* y = x */
void add_into(float *y, const float *x, int64_t n);                    /* y += x */
void scale_into(float *y, float a, int64_t n);                         /* y *= a */
void add_row(float *y, const float *row, int64_t rows, int64_t n);     /* y (R,n) += row (n) */
void column_sums(const float *x, int64_t rows, int64_t n, float *acc); /* acc (n) += sum over rows */
double dot_double(const float *a, const float *b, int64_t n);          /* fixed order, double */
#endif
