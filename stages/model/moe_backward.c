/* Gradient of the mixture, mirroring moe.c line by line. dy (R,C) is the gradient of y; names as there.
 *   sum w_p g_p W2^T      dgb = dy W2, one product over the rows
 *                         dg_p = w_p dgb + ..., dw_p = <dgb, g_p> + <dy, b2> + ...
 *   s2 u2 B2^T            v = dy B2_p: dw_p += s2 <u2, v>; du2 = s2 w_p v; dg_p += du2 A2_p
 *   g = act(h)            dh = dg act'(h)
 *   h0 + s1 u1 B1^T       dh0 = sum over the row's pairs of dh; du1 = s1 dh B1_p; dz += du1 A1_p
 *   h0 = z W1^T + b1      dz += dh0 W1, one product over the rows */
#include "stages/model/moe_parts.h"
#include "stages/tensor/gemm.h"
#include <string.h>

struct unmixing {
    const struct moe *m;
    const struct ffn *f;
    struct arena *arena;
    const struct moe_tape *s;
    const struct moe_route *r;
    int64_t pairs, wide; /* P, F */
    bool sorted;         /* base rows lie in pair order */
    const float *dy;     /* (R,C) */
    float *zp, *dyp;     /* (P,C) z and dy of each pair's row */
    float *w;            /* (P) weight of each pair */
    float *g, *dg;       /* (P,F); dg becomes dh */
    float *v;            /* (P,rank) */
    float *dw;           /* (R,K) */
};
static bool prepare(struct unmixing *x, const float *z, struct error *err)
{
    const struct moe_route *r = x->r;
    int64_t c = r->width;
    x->zp = arena_floats(x->arena, x->pairs * c);
    x->dyp = arena_floats(x->arena, x->pairs * c);
    x->w = arena_floats(x->arena, x->pairs);
    x->g = arena_floats(x->arena, x->pairs * x->wide);
    x->dg = arena_floats(x->arena, x->pairs * x->wide);
    x->v = arena_floats(x->arena, x->pairs * x->s->rank);
    x->dw = arena_floats(x->arena, r->rows * r->experts);
    if (!x->zp || !x->dyp || !x->w || !x->g || !x->dg || !x->v || !x->dw)
        return moe_no_memory(err);
    moe_gather(x->zp, z, r->row, x->pairs, c);
    moe_gather(x->dyp, x->dy, r->row, x->pairs, c);
    for (int64_t i = 0; i < r->rows * r->experts; i++)
        if (r->pair[i] >= 0)
            x->w[r->pair[i]] = r->weight[i];
    activation_forward(x->f->act, x->s->h, x->pairs * x->wide, x->g);
    return true;
}
/* to (n,width) = w_i * from */
static void scale_rows(float *to, const float *from, const float *w, float factor, int64_t n, int64_t width)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < width; j++)
            to[i * width + j] = factor * w[i] * from[i * width + j];
}
/* Pair q of row i and expert k: dw, and dg = w dgb, which is the whole of it for an expert without weights.
 */
static void pair_backward(const struct unmixing *x, int64_t i, int64_t k, const float *dgb)
{
    const struct moe_route *r = x->r;
    int64_t q = r->pair[i * r->experts + k], wide = x->wide, c = r->width;
    const float *from = dgb + (x->sorted ? q : i) * wide;
    double dw = dot_double(from, x->g + q * wide, wide);
    if (x->f->fc2.b.w)
        dw += dot_double(x->dy + i * c, x->f->fc2.b.w, c);
    if (x->m->expert[k].fc1.a.w) {
        const struct lora *lora = &x->m->expert[k].fc2;
        int64_t in = q - r->first[k], rank = lora->a.rows;
        int64_t at = r->first[k] * x->s->rank + in * rank;
        dw += (double)lora->scale * dot_double(x->s->u2 + at, x->v + at, rank);
    }
    x->dw[i * r->experts + k] = (float)dw;
    for (int64_t j = 0; j < wide; j++)
        x->dg[q * wide + j] = x->w[q] * from[j];
}
/* Gradients of the base's fc2 where it is not frozen: W2.g += dy^T (sum w g), b2.g += sum of (sum w) dy. */
static bool base_output_weights(const struct unmixing *x, struct error *err)
{
    const struct linear *l = &x->f->fc2;
    const struct moe_route *r = x->r;
    if (!l->w.g && !l->b.g)
        return true;
    float *sum = arena_floats(x->arena, r->rows * x->wide),
          *dyw = arena_floats(x->arena, x->pairs * r->width);
    if (!sum || !dyw)
        return moe_no_memory(err);
    if (l->w.g) {
        moe_combine(sum, x->g, r, true, x->wide);
        gemm(true, false, l->w.rows, x->wide, r->rows, 1, x->dy, l->w.rows, sum, x->wide, 1, l->w.g, x->wide);
    }
    if (l->b.g) {
        scale_rows(dyw, x->dyp, x->w, 1, x->pairs, r->width);
        column_sums(dyw, x->pairs, r->width, l->b.g);
    }
    return true;
}
static bool output_backward(struct unmixing *x, struct error *err)
{
    const struct moe_route *r = x->r;
    int64_t c = r->width, wide = x->wide, rank_room = x->s->rank;
    float *dgb = arena_floats(x->arena, r->rows * wide), *uw = arena_floats(x->arena, x->pairs * rank_room);
    if (!dgb || !uw)
        return moe_no_memory(err);
    gemm(false, false, r->rows, wide, c, 1, x->sorted ? x->dyp : x->dy, c, x->f->fc2.w.w, wide, 0, dgb, wide);
    for (int64_t k = 0; k < r->experts; k++) {
        const struct lora *lora = &x->m->expert[k].fc2;
        int64_t at = r->first[k], n = r->first[k + 1] - at, rank = lora->a.rows;
        if (n && x->m->expert[k].fc1.a.w)
            gemm(false, false, n, rank, c, 1, x->dyp + at * c, c, lora->b.w, rank, 0, x->v + at * rank_room,
                 rank);
    }
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < r->rows; i++)
        for (int64_t k = 0; k < r->experts; k++)
            if (r->pair[i * r->experts + k] >= 0)
                pair_backward(x, i, k, dgb);
    for (int64_t k = 0; k < r->experts; k++) {
        const struct lora *lora = &x->m->expert[k].fc2;
        int64_t at = r->first[k], n = r->first[k + 1] - at, rank = lora->a.rows, u = at * rank_room;
        if (!n || !x->m->expert[k].fc1.a.w)
            continue;
        if (lora->b.g) { /* B2.g += s2 (w dy)^T u2 */
            scale_rows(uw + u, x->s->u2 + u, x->w + at, lora->scale, n, rank);
            gemm(true, false, c, rank, n, 1, x->dyp + at * c, c, uw + u, rank, 1, lora->b.g, rank);
        }
        scale_rows(x->v + u, x->v + u, x->w + at, lora->scale, n, rank); /* du2 */
        if (lora->a.g)
            gemm(true, false, rank, wide, n, 1, x->v + u, rank, x->g + at * wide, wide, 1, lora->a.g, wide);
        gemm(false, false, n, wide, rank, 1, x->v + u, rank, lora->a.w, wide, 1, x->dg + at * wide, wide);
    }
    return base_output_weights(x, err);
}
/* dh is in x->dg. dzp (P,C): the LoRA's part of dz, zero rows for an expert without weights; may be NULL. */
static void low_rank_input_backward(const struct unmixing *x, float *dzp)
{
    const struct moe_route *r = x->r;
    int64_t c = r->width, wide = x->wide;
    for (int64_t k = 0; k < r->experts; k++) {
        const struct lora *lora = &x->m->expert[k].fc1;
        int64_t at = r->first[k], n = r->first[k + 1] - at, rank = lora->a.rows, u = at * x->s->rank;
        const float *dh = x->dg + at * wide;
        if (dzp && !x->m->expert[k].fc1.a.w)
            memset(dzp + at * c, 0, (size_t)(n * c) * sizeof *dzp);
        if (!n || !x->m->expert[k].fc1.a.w)
            continue;
        if (lora->b.g)
            gemm(true, false, wide, rank, n, lora->scale, dh, wide, x->s->u1 + u, rank, 1, lora->b.g, rank);
        float *du = x->v + u;
        if (lora->a.g || dzp)
            gemm(false, false, n, rank, wide, lora->scale, dh, wide, lora->b.w, rank, 0, du, rank);
        if (lora->a.g)
            gemm(true, false, rank, c, n, 1, du, rank, x->zp + at * c, c, 1, lora->a.g, c);
        if (dzp)
            gemm(false, false, n, c, rank, 1, du, rank, lora->a.w, c, 0, dzp + at * c, c);
    }
}
static bool hidden_backward(struct unmixing *x, const float *z, float *dz, struct error *err)
{
    const struct moe_route *r = x->r;
    const struct linear *l = &x->f->fc1;
    int64_t c = r->width, wide = x->wide;
    float *dzp = dz ? arena_floats(x->arena, x->pairs * c) : NULL, *dh0 = x->dg;
    activation_backward(x->f->act, x->s->h, x->dg, x->pairs * wide, x->dg);
    if (dz && !dzp)
        return moe_no_memory(err);
    low_rank_input_backward(x, dzp);
    if (!dz && !l->w.g && !l->b.g)
        return true;
    if (!x->sorted) {
        if (!(dh0 = arena_floats(x->arena, r->rows * wide)))
            return moe_no_memory(err);
        moe_combine(dh0, x->dg, r, false, wide);
    }
    linear_backward(l, x->sorted ? x->zp : z, dh0, r->rows, NULL);
    if (!dz)
        return true;
    if (x->sorted) { /* both parts of dz in pair order */
        gemm(false, false, r->rows, c, wide, 1, dh0, wide, l->w.w, c, 1, dzp, c);
        moe_combine(dz, dzp, r, false, c);
    } else {
        moe_combine(dz, dzp, r, false, c);
        gemm(false, false, r->rows, c, wide, 1, dh0, wide, l->w.w, c, 1, dz, c);
    }
    return true;
}
bool moe_backward(const struct moe *m, const struct ffn *f, const struct pass *p, int layer, int64_t t,
                  const float *z, const float *z_all, const struct moe_tape *tape, const float *dy, float *dz,
                  float *dz_all, struct error *err)
{
    if (m->gate == MOE_GATE_SMEAR)
        return smear_backward(m, f, p, layer, t, z, z_all, tape, dy, dz, dz_all, err);
    const struct moe_route *r = &tape->route;
    struct arena_mark before = arena_mark(p->arena);
    struct unmixing x = {.m = m, .f = f, .arena = p->arena, .s = tape, .r = r, .dy = dy};
    x.pairs = r->rows * r->slots;
    x.wide = f->fc1.w.rows;
    x.sorted = r->slots == 1;
    if (!prepare(&x, z, err) || !output_backward(&x, err) || !hidden_backward(&x, z, dz, err) ||
        !moe_route_backward(m, p, layer, r, z, z_all, x.dw, dz, dz_all, err))
        return false;
    arena_release(p->arena, before);
    return true;
}
