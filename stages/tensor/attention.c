/* Scaled dot-product attention, one (sequence, head) a thread:
 *   S = Q K^T / sqrt(D)   P = softmax(S)   Y = P V
 *   dV = P^T dY   dP = dY V^T   dS = P o (dP - rowsum(P o dP)) / sqrt(D)   dQ = dS K   dK = dS^T Q
 * A head's rows lie C apart in q, k, v; they are first copied together, padded to whole vectors, so that a
 * head's work stays in the nearest caches. */
#include "base/mem.h"
#include "stages/tensor/ops.h"
#include "stages/tensor/tile.h"
#include "stages/tensor/vexp.h"
#include <math.h>
#include <omp.h>
#include <string.h>

#define MASKED (-1e30f) /* a score that the softmax turns into nothing */

struct shape {
    int64_t tq, t, heads, dim; /* queries, keys, H, D */
    int64_t tp, dp;            /* T and D padded */
    bool causal;
    float scale; /* 1 / sqrt(D) */
};

static struct shape shape_of(int64_t tq, int64_t t, int64_t heads, int64_t dim, bool causal)
{
    return (struct shape){tq, t, heads, dim, tile_pad(t), tile_pad(dim), causal, 1 / sqrtf((float)dim)};
}

/* A thread's buffers, n floats each, from one block of memory: every length is a multiple of a vector's. */
static float *take(float **memory, int64_t n)
{
    float *p = *memory;
    *memory += n;
    return p;
}

static float *thread_memory(int64_t floats)
{
    return xmalloc((size_t)(floats * omp_get_max_threads()) * sizeof(float));
}

/* rows x dp, zero beyond D, from a head's slice of x (rows, C) */
static void gather_head(const struct shape *s, const float *x, int64_t rows, float *to)
{
    for (int64_t i = 0; i < rows; i++) {
        memcpy(to + i * s->dp, x + i * s->heads * s->dim, (size_t)s->dim * sizeof *x);
        memset(to + i * s->dp + s->dim, 0, (size_t)(s->dp - s->dim) * sizeof *x);
    }
}

/* D x tp, zero beyond T: the transpose. A vector of columns at a time, so that whole cache lines are written.
 */
static void gather_transposed(const struct shape *s, const float *x, float *to)
{
    int64_t c = s->heads * s->dim;
    for (int64_t top = 0; top < s->tp; top += TILE_LANES)
        for (int64_t d = 0; d < s->dim; d++)
            for (int64_t i = 0; i < TILE_LANES; i++)
                to[d * s->tp + top + i] = top + i < s->t ? x[(top + i) * c + d] : 0;
}

static void scatter_head(const struct shape *s, const float *from, int64_t rows, float *x)
{
    for (int64_t i = 0; i < rows; i++)
        memcpy(x + i * s->heads * s->dim, from + i * s->dp, (size_t)s->dim * sizeof *x);
}

/* Softmax of one padded row of scores, of which the first `seen` count; the others become exactly 0. */
static void softmax_row(float *x, int64_t padded, int64_t seen, float scale)
{
    float max = vmax(x, seen), sum = 0;
    for (int64_t j = seen; j < padded; j++)
        x[j] = MASKED;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < padded; j++) {
        x[j] = vexp((x[j] - max) * scale);
        sum += x[j];
    }
    for (int64_t j = seen; j < padded; j++)
        x[j] = 0;
    float factor = 1 / sum;
#pragma omp simd
    for (int64_t j = 0; j < padded; j++)
        x[j] *= factor;
}

/* Y = softmax(Q K^T / sqrt(D)) V of one head; p (tq,tp) is left in memory. */
static void head_forward(const struct shape *s, const float *q, const float *k, const float *v, float *y,
                         float *probs, float *memory)
{
    float *kt = take(&memory, s->dp * s->tp), *vh = take(&memory, s->tp * s->dp);
    float *p = take(&memory, s->tq * s->tp), *yh = take(&memory, s->tq * s->dp);
    gather_transposed(s, k, kt);
    gather_head(s, v, s->t, vh);
    tile_product(s->tq, s->tp, s->dim, q, s->heads * s->dim, 1, kt, s->tp, false, p, s->tp);
    for (int64_t i = 0; i < s->tq; i++)
        softmax_row(p + i * s->tp, s->tp, s->causal ? i + 1 : s->t, s->scale);
    tile_product(s->tq, s->dp, s->t, p, s->tp, 1, vh, s->dp, false, yh, s->dp);
    scatter_head(s, yh, s->tq, y);
    for (int64_t i = 0; i < s->tq && probs; i++)
        memcpy(probs + i * s->t, p + i * s->tp, (size_t)s->t * sizeof *p);
}

void attention_forward(const float *q, const float *k, const float *v, int64_t batch, int64_t tq, int64_t t,
                       int64_t heads, int64_t dim, bool causal, float *y, float *probs)
{
    struct shape s = shape_of(tq, t, heads, dim, causal);
    int64_t c = heads * dim, each = 2 * s.dp * s.tp + tq * (s.tp + s.dp);
    float *memory = thread_memory(each);
#pragma omp parallel for schedule(static) if (batch * heads > 1)
    for (int64_t i = 0; i < batch * heads; i++) {
        int64_t b = i / heads, at = i % heads * dim, row = b * t * c + at, row_q = b * tq * c + at;
        head_forward(&s, q + row_q, k + row, v + row, y + row_q, probs ? probs + i * tq * t : NULL,
                     memory + each * omp_get_thread_num());
    }
    free(memory);
}

/* dS = P o (dP - rowsum(P o dP)) / sqrt(D), in place of dP (tq,tp). */
static void softmax_backward(const struct shape *s, const float *probs, float *dp)
{
    for (int64_t i = 0; i < s->tq; i++) {
        const float *p = probs + i * s->t;
        float *d = dp + i * s->tp, dot = 0;
#pragma omp simd reduction(+ : dot)
        for (int64_t j = 0; j < s->t; j++)
            dot += p[j] * d[j];
#pragma omp simd
        for (int64_t j = 0; j < s->t; j++)
            d[j] = p[j] * (d[j] - dot) * s->scale;
    }
}

struct head { /* one head's slices */
    const float *q, *k, *v, *probs, *dy;
    float *dq, *dk, *dv;
};
static int64_t backward_floats(const struct shape *s)
{
    return s->dp * s->tp + 2 * s->t * s->dp + 2 * s->tq * s->dp + s->tq * s->tp;
}

static void head_backward(const struct shape *s, const struct head *h, float *memory)
{
    int64_t dp = s->dp, tp = s->tp, tq = s->tq, t = s->t, c = s->heads * s->dim;
    float *vt = take(&memory, dp * tp), *rows = take(&memory, t * dp), *out = take(&memory, t * dp);
    float *qh = take(&memory, tq * dp), *dyh = take(&memory, tq * dp), *ds = take(&memory, tq * tp);
    gather_head(s, h->q, tq, qh);
    gather_head(s, h->dy, tq, dyh);
    /* Y = P V */
    tile_product(t, dp, tq, h->probs, 1, t, dyh, dp, false, out, dp);
    scatter_head(s, out, t, h->dv);
    gather_transposed(s, h->v, vt);
    tile_product(tq, tp, s->dim, h->dy, c, 1, vt, tp, false, ds, tp);
    /* P = softmax(S) */
    softmax_backward(s, h->probs, ds);
    /* S = Q K^T / sqrt(D) */
    gather_head(s, h->k, t, rows);
    tile_product(tq, dp, t, ds, tp, 1, rows, dp, false, out, dp);
    scatter_head(s, out, tq, h->dq);
    tile_product(t, dp, tq, ds, 1, tp, qh, dp, false, out, dp);
    scatter_head(s, out, t, h->dk);
}

void attention_backward(const float *q, const float *k, const float *v, const float *probs, const float *dy,
                        int64_t batch, int64_t tq, int64_t t, int64_t heads, int64_t dim, bool causal,
                        float *dq, float *dk, float *dv)
{
    struct shape s = shape_of(tq, t, heads, dim, causal);
    int64_t c = heads * dim, each = backward_floats(&s);
    float *memory = thread_memory(each);
#pragma omp parallel for schedule(static) if (batch * heads > 1)
    for (int64_t i = 0; i < batch * heads; i++) {
        int64_t b = i / heads, at = i % heads * dim, row = b * t * c + at, row_q = b * tq * c + at;
        struct head h = {q + row_q,  k + row,    v + row,  probs + i * tq * t,
                         dy + row_q, dq + row_q, dk + row, dv + row};
        head_backward(&s, &h, memory + each * omp_get_thread_num());
    }
    free(memory);
}
