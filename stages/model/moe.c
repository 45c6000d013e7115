/* The mixture's experts. They share the frozen base W1, b1, W2, b2 and differ by their LoRA alone, so the
 * base is not run once an expert:
 *   h0 = z W1^T + b1                          one product over the R rows
 *   h_p = h0 + s1 (z A1_p^T) B1_p^T           rows of an expert gathered; g_p = act(h_p)
 *   y = (sum w_p g_p) W2^T + (sum w_p) b2 + sum w_p s2 (g_p A2_p^T) B2_p^T
 * The last line uses that fc2 is linear: whatever the number of experts a row visits, W2 meets it once. A
 * mixture costs about a dense feed-forward, K*r columns of LoRA and one activation a pair. */
#include "stages/model/moe_parts.h"
#include "stages/tensor/gemm.h"
#include <string.h>

void moe_gather(float *to, const float *from, const int64_t *index, int64_t n, int64_t width)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        memcpy(to + i * width, from + index[i] * width, (size_t)width * sizeof *to);
}
void moe_combine(float *to, const float *from, const struct moe_route *r, bool weighted, int64_t width)
{
    int64_t n = r->experts;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < r->rows; i++) {
        float *restrict sum = to + i * width;
        memset(sum, 0, (size_t)width * sizeof *sum);
        for (int64_t k = 0; k < n; k++) {
            int64_t pair = r->pair[i * n + k];
            if (pair < 0)
                continue;
            float w = weighted ? r->weight[i * n + k] : 1;
            const float *restrict x = from + pair * width;
            for (int64_t j = 0; j < width; j++)
                sum[j] += w * x[j];
        }
    }
}

/* One forward pass' sizes and what it works on. */
struct mixing {
    const struct moe *m;
    const struct ffn *f;
    struct arena *arena;
    struct moe_tape *s;
    int64_t pairs, wide; /* P, F */
};
static int64_t largest_rank(const struct moe *m)
{
    int64_t rank = 0;
    for (int k = 0; k < m->experts; k++) {
        const struct adapter *ad = &m->expert[k];
        if (ad->fc1.a.w) {
            rank = ad->fc1.a.rows > rank ? ad->fc1.a.rows : rank;
            rank = ad->fc2.a.rows > rank ? ad->fc2.a.rows : rank;
        }
    }
    return rank;
}
/* h (P,F), u1. */
static bool hidden(const struct mixing *x, const float *z, struct error *err)
{
    const struct moe_route *r = &x->s->route;
    int64_t c = r->width, wide = x->wide;
    bool sorted = r->slots == 1;
    float *zp = arena_floats(x->arena, x->pairs * c);
    float *h0 = sorted ? x->s->h : arena_floats(x->arena, r->rows * wide);
    if (!zp || !h0)
        return moe_no_memory(err);
    moe_gather(zp, z, r->row, x->pairs, c);
    linear_forward(&x->f->fc1, sorted ? zp : z, r->rows, h0, false);
    if (!sorted)
        moe_gather(x->s->h, h0, r->row, x->pairs, wide);
    for (int64_t k = 0; k < r->experts; k++) {
        const struct lora *lora = &x->m->expert[k].fc1;
        int64_t at = r->first[k], n = r->first[k + 1] - at, rank = lora->a.rows;
        float *u = x->s->u1 + at * x->s->rank;
        if (!n || !x->m->expert[k].fc1.a.w)
            continue;
        gemm(false, true, n, rank, c, 1, zp + at * c, c, lora->a.w, c, 0, u, rank);
        gemm(false, true, n, wide, rank, lora->scale, u, rank, lora->b.w, rank, 1, x->s->h + at * wide, wide);
    }
    return true;
}
/* u2 (P,rank) and d (P,C) = s2 u2 B2^T from g (P,F). */
static void low_rank_output(const struct mixing *x, const float *g, float *d)
{
    const struct moe_route *r = &x->s->route;
    int64_t c = r->width, wide = x->wide;
    for (int64_t k = 0; k < r->experts; k++) {
        const struct lora *lora = &x->m->expert[k].fc2;
        int64_t at = r->first[k], n = r->first[k + 1] - at, rank = lora->a.rows;
        float *u = x->s->u2 + at * x->s->rank;
        if (!x->m->expert[k].fc1.a.w) {
            memset(d + at * c, 0, (size_t)(n * c) * sizeof *d);
        } else if (n) {
            gemm(false, true, n, rank, wide, 1, g + at * wide, wide, lora->a.w, wide, 0, u, rank);
            gemm(false, true, n, c, rank, lora->scale, u, rank, lora->b.w, rank, 0, d + at * c, c);
        }
    }
}
/* g (P,F) in pair order scaled by each pair's weight, in place. */
static void scale_pairs(const struct moe_route *r, float *g, int64_t wide)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < r->rows; i++) {
        int64_t q = moe_base_row(r, i);
        float w = 0;
        for (int64_t k = 0; k < r->experts; k++)
            w += r->weight[i * r->experts + k];
        for (int64_t j = 0; j < wide; j++)
            g[q * wide + j] *= w;
    }
}
/* y += base (in base order) + (sum w) b2. */
static void add_base(const struct mixing *x, const float *base, float *y)
{
    const struct moe_route *r = &x->s->route;
    int64_t c = r->width, n = r->experts;
    const float *bias = x->f->fc2.b.w;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < r->rows; i++) {
        const float *from = base + moe_base_row(r, i) * c;
        float w = 0;
        for (int64_t k = 0; k < n; k++)
            w += r->weight[i * n + k];
        for (int64_t j = 0; j < c; j++)
            y[i * c + j] += from[j] + (bias ? w * bias[j] : 0);
    }
}
static bool output(const struct mixing *x, float *y, struct error *err)
{
    const struct moe_route *r = &x->s->route;
    int64_t c = r->width, wide = x->wide;
    bool sorted = r->slots == 1;
    float *g = arena_floats(x->arena, x->pairs * wide), *d = arena_floats(x->arena, x->pairs * c);
    float *sum = sorted ? g : arena_floats(x->arena, r->rows * wide),
          *base = arena_floats(x->arena, r->rows * c);
    if (!g || !d || !sum || !base)
        return moe_no_memory(err);
    activation_forward(x->f->act, x->s->h, x->pairs * wide, g);
    low_rank_output(x, g, d);
    if (sorted)
        scale_pairs(r, g, wide);
    else
        moe_combine(sum, g, r, true, wide);
    linear_forward(&(struct linear){.w = x->f->fc2.w}, sum, r->rows, base, false);
    moe_combine(y, d, r, true, c);
    add_base(x, base, y);
    return true;
}
bool moe_report(const struct moe_route *r, const struct pass *p, int layer, int64_t t, const float *y,
                struct error *err)
{
    int64_t n = r->rows * r->experts;
    float *selected = arena_floats(p->arena, n);
    if (!selected)
        return moe_no_memory(err);
    for (int64_t i = 0; i < n; i++)
        selected[i] = r->pair[i] >= 0;
    observe(p->observer, "moe_probs", layer, r->prob, p->batch, r->t, r->experts);
    observe(p->observer, "moe_selected", layer, selected, p->batch, r->t, r->experts);
    observe(p->observer, "moe_out", layer, y, p->batch, t, r->width);
    return true;
}
bool moe_forward(const struct moe *m, const struct ffn *f, const struct pass *p, int layer, int64_t t,
                 const float *z, const float *z_all, float *y, struct moe_tape **tape, struct error *err)
{
    if (m->gate == MOE_GATE_SMEAR)
        return smear_forward(m, f, p, layer, t, z, z_all, y, tape, err);
    struct arena_mark before = arena_mark(p->arena);
    struct moe_tape *s = arena_try(p->arena, sizeof *s);
    if (!s)
        return moe_no_memory(err);
    if (!moe_route(m, p, layer, t, z, z_all, &s->route, err))
        return false;
    struct mixing x = {m, f, p->arena, s, s->route.rows * s->route.slots, f->fc1.w.rows};
    s->rank = largest_rank(m);
    s->h = arena_floats(p->arena, x.pairs * x.wide);
    s->u1 = arena_floats(p->arena, x.pairs * s->rank);
    s->u2 = arena_floats(p->arena, x.pairs * s->rank);
    if (!s->h || !s->u1 || !s->u2)
        return moe_no_memory(err);
    struct arena_mark kept = arena_mark(p->arena);
    if (!hidden(&x, z, err) || !output(&x, y, err) ||
        (p->observer && !moe_report(&s->route, p, layer, t, y, err)))
        return false;
    arena_release(p->arena, p->train ? kept : before);
    if (p->train)
        *tape = s;
    return true;
}
