/* A weight and its gradient. Views only: whoever made w and g owns them. */
#ifndef STAGES_TENSOR_MAT_H
#define STAGES_TENSOR_MAT_H
#include <stdint.h>

struct mat {
    float *w;           /* (rows, cols) row-major; NULL: absent. Frozen weights may be mapped read-only. */
    float *g;           /* the gradient, same shape, accumulated into; NULL: frozen */
    int64_t rows, cols; /* a vector is (n, 1) */
};
static inline int64_t mat_size(const struct mat *m)
{
    return m->rows * m->cols;
}
struct linear {   /* y = x W^T + b */
    struct mat w; /* (out, in) */
    struct mat b; /* (out, 1) or absent */
};
struct norm {        /* LayerNorm: y = (x - mean) / sqrt(var + eps) * w + b, biased variance */
    struct mat w, b; /* (C, 1) */
    float eps;
};
#endif
