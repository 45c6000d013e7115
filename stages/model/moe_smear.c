/* The gate smear: one expert a sequence, whose weights are the seed's and the experts' LoRA mixed by pi,
 * which comes from the sequence's context alone. No expert's matrices are mixed: with the experts' A and B
 * side by side, each low-rank term is scaled by its own pi between the two products. d (B,r) = s pi of the
 * term's expert: h = z W1^T + b1 + (d u1) B1^T    u1 = z A1^T, A1 (r,C), r the sum of all ranks y = g W2^T +
 * b2 + (d u2) B2^T    u2 = g A2^T, g = act(h) and backwards, for each of the two: dv = dy B    dd += u dv
 * over the sequence's rows    du = d dv    B.g += dy^T (d u)    A.g += du^T x */
#include "stages/model/moe_parts.h"
#include "stages/tensor/gemm.h"
#include <string.h>

/* The experts' LoRA of one linear layer side by side. */
struct joined {
    const struct moe *m;
    bool second; /* fc2 */
    int64_t rank, in, out;
    float *a, *b; /* (rank,in), (out,rank) */
    float *d;     /* (B,rank) */
};
static const struct lora *lora_of(const struct joined *x, int64_t k)
{
    return x->second ? &x->m->expert[k].fc2 : &x->m->expert[k].fc1;
}
static int64_t rank_of(const struct joined *x, int64_t k)
{
    const struct lora *l = lora_of(x, k);
    return l->a.w ? l->a.rows : 0;
}
static int64_t total_rank(const struct moe *m, bool second)
{
    struct joined x = {.m = m, .second = second};
    for (int k = 0; k < m->experts; k++)
        x.rank += rank_of(&x, k);
    return x.rank;
}
static bool join(const struct moe *m, const struct linear *l, bool second, const struct moe_route *r,
                 struct arena *arena, struct joined *ret)
{
    struct joined x = {.m = m, .second = second, .in = l->w.cols, .out = l->w.rows};
    x.rank = total_rank(m, second);
    x.a = arena_floats(arena, x.rank * x.in);
    x.b = arena_floats(arena, x.out * x.rank);
    x.d = arena_floats(arena, r->rows * x.rank);
    if (!x.a || !x.b || !x.d)
        return false;
    int64_t at = 0;
    for (int k = 0; k < m->experts; k++) {
        const struct lora *lora = lora_of(&x, k);
        int64_t rank = rank_of(&x, k);
        if (!rank)
            continue;
        memcpy(x.a + at * x.in, lora->a.w, (size_t)(rank * x.in) * sizeof *x.a);
        for (int64_t o = 0; o < x.out; o++)
            memcpy(x.b + o * x.rank + at, lora->b.w + o * rank, (size_t)rank * sizeof *x.b);
        for (int64_t b = 0; b < r->rows; b++)
            for (int64_t j = 0; j < rank; j++)
                x.d[b * x.rank + at + j] = lora->scale * r->weight[b * r->experts + k];
        at += rank;
    }
    *ret = x;
    return true;
}
/* to (B t,rank) = d of the row's sequence, times from */
static void scale_sequences(const struct joined *x, const float *from, int64_t rows, int64_t t, float *to)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < x->rank; j++)
            to[i * x->rank + j] = x->d[i / t * x->rank + j] * from[i * x->rank + j];
}
/* y (rows,out) = x W^T + b + (d u) B^T; u (rows,rank) is kept. */
static bool linear_joined(const struct joined *j, const struct linear *l, const float *x, int64_t rows,
                          int64_t t, float *u, float *y, struct arena *arena)
{
    float *v = arena_floats(arena, rows * j->rank);
    if (!v)
        return false;
    gemm(false, true, rows, j->rank, j->in, 1, x, j->in, j->a, j->in, 0, u, j->rank);
    scale_sequences(j, u, rows, t, v);
    linear_forward(l, x, rows, y, false);
    gemm(false, true, rows, j->out, j->rank, 1, v, j->rank, j->b, j->rank, 1, y, j->out);
    return true;
}
bool smear_forward(const struct moe *m, const struct ffn *f, const struct pass *p, int layer, int64_t t,
                   const float *z, const float *z_all, float *y, struct moe_tape **tape, struct error *err)
{
    struct arena *a = p->arena;
    struct arena_mark before = arena_mark(a);
    int64_t rows = p->batch * t, wide = f->fc1.w.rows;
    struct joined one, two;
    struct moe_tape *s = arena_try(a, sizeof *s);
    if (!s)
        return moe_no_memory(err);
    if (!moe_route(m, p, layer, t, z, z_all, &s->route, err))
        return false;
    s->h = arena_floats(a, rows * wide);
    s->u1 = arena_floats(a, rows * total_rank(m, false));
    s->u2 = arena_floats(a, rows * total_rank(m, true));
    struct arena_mark kept = arena_mark(a);
    float *g = arena_floats(a, rows * wide);
    if (!s->h || !s->u1 || !s->u2 || !g || !join(m, &f->fc1, false, &s->route, a, &one) ||
        !join(m, &f->fc2, true, &s->route, a, &two) ||
        !linear_joined(&one, &f->fc1, z, rows, t, s->u1, s->h, a))
        return moe_no_memory(err);
    activation_forward(f->act, s->h, rows * wide, g);
    if (!linear_joined(&two, &f->fc2, g, rows, t, s->u2, y, a))
        return moe_no_memory(err);
    if (p->observer && !moe_report(&s->route, p, layer, t, y, err))
        return false;
    arena_release(a, p->train ? kept : before);
    if (p->train)
        *tape = s;
    return true;
}

/* ---- backward ---- */
/* dd summed over each sequence's rows, times each expert's scale: dpi (B,K) +=. */
static void weights_backward(const struct joined *j, const struct moe_route *r, const float *u,
                             const float *dv, int64_t t, float *dpi)
{
    int64_t n = r->experts;
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < r->rows; b++)
        for (int64_t k = 0, at = 0; k < n; at += rank_of(j, k++)) {
            double sum = 0;
            for (int64_t i = b * t; i < (b + 1) * t; i++)
                sum += dot_double(u + i * j->rank + at, dv + i * j->rank + at, rank_of(j, k));
            if (rank_of(j, k))
                dpi[b * n + k] += lora_of(j, k)->scale * (float)sum;
        }
}
/* The layer y = linear_joined(x) given dy (rows,out): gradients of its weights, += of dpi, and dx (rows,in)
 * when not NULL, overwritten. */
static bool joined_backward(const struct joined *j, const struct linear *l, const struct moe_route *r,
                            const float *x, const float *u, const float *dy, int64_t t, float *dpi, float *dx,
                            struct arena *arena)
{
    int64_t rows = r->rows * t, rank = j->rank, at = 0;
    float *v = arena_floats(arena, rows * rank), *dv = arena_floats(arena, rows * rank);
    if (!v || !dv)
        return false;
    scale_sequences(j, u, rows, t, v);
    gemm(false, false, rows, rank, j->out, 1, dy, j->out, j->b, rank, 0, dv, rank);
    weights_backward(j, r, u, dv, t, dpi);
    scale_sequences(j, dv, rows, t, dv); /* du */
    for (int k = 0; k < j->m->experts; k++) {
        const struct lora *lora = lora_of(j, k);
        int64_t own = rank_of(j, k);
        if (own && lora->b.g)
            gemm(true, false, j->out, own, rows, 1, dy, j->out, v + at, rank, 1, lora->b.g, own);
        if (own && lora->a.g)
            gemm(true, false, own, j->in, rows, 1, dv + at, rank, x, j->in, 1, lora->a.g, j->in);
        at += own;
    }
    linear_weight_gradient(l, x, dy, rows);
    if (dx) {
        linear_input_gradient(l, dy, rows, dx, false);
        gemm(false, false, rows, j->in, rank, 1, dv, rank, j->a, j->in, 1, dx, j->in);
    }
    return true;
}
bool smear_backward(const struct moe *m, const struct ffn *f, const struct pass *p, int layer, int64_t t,
                    const float *z, const float *z_all, const struct moe_tape *tape, const float *dy,
                    float *dz, float *dz_all, struct error *err)
{
    struct arena *a = p->arena;
    const struct moe_route *r = &tape->route;
    int64_t n = p->batch * t * f->fc1.w.rows;
    struct arena_mark before = arena_mark(a);
    struct joined one, two;
    float *g = arena_floats(a, n), *dh = arena_floats(a, n);
    float *dpi = arena_try(a, (size_t)(r->rows * r->experts) * sizeof *dpi);
    if (!g || !dh || !dpi || !join(m, &f->fc1, false, r, a, &one) || !join(m, &f->fc2, true, r, a, &two))
        return moe_no_memory(err);
    activation_forward(f->act, tape->h, n, g);
    if (!joined_backward(&two, &f->fc2, r, g, tape->u2, dy, t, dpi, dh, a))
        return moe_no_memory(err);
    activation_backward(f->act, tape->h, dh, n, dh);
    if (!joined_backward(&one, &f->fc1, r, z, tape->u1, dh, t, dpi, dz, a))
        return moe_no_memory(err);
    if (!moe_route_backward(m, p, layer, r, z, z_all, dpi, dz, dz_all, err))
        return false;
    arena_release(a, before);
    return true;
}
