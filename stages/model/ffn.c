/* The feed-forward slot.
 *   u = z W1^T + b1 + s1 t1 B1^T    t1 = z A1^T
 *   h = act(u)
 *   y = h W2^T + b2 + s2 t2 B2^T    t2 = h A2^T
 * Only u, t1 and t2 are kept for the backward; h is made again from u, which costs less than keeping it. */
#include "stages/model/block.h"
#include "stages/model/moe.h"
#include "stages/tensor/gemm.h"

struct ffn_tape {
    float *u;             /* (R,M) */
    float *t1, *t2;       /* (R,r) of the adapter, or NULL */
    struct moe_tape *moe; /* the mixture's own; the rest is unused then */
};

static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_TASK, "out of memory in a feed-forward layer");
}

static bool lora_present(const struct lora *l)
{
    return l && l->a.w;
}
static bool lora_trainable(const struct lora *l)
{
    return lora_present(l) && (l->a.g || l->b.g);
}

/* y (R,out) = x (R,in) W^T + s t B^T, t (R,r) = x A^T; the bias is left to the caller. The small term comes
 * first: it writes y without reading it. */
static void lora_forward(const struct linear *l, const struct lora *ad, const float *x, int64_t rows,
                         float *y, float *t)
{
    int64_t in = l->w.cols, out = l->w.rows;
    if (lora_present(ad)) {
        int64_t r = ad->a.rows;
        gemm(false, true, rows, r, in, 1, x, in, ad->a.w, in, 0, t, r);
        gemm(false, true, rows, out, r, ad->scale, t, r, ad->b.w, r, 0, y, out);
    }
    gemm(false, true, rows, out, in, 1, x, in, l->w.w, in, lora_present(ad) ? 1 : 0, y, out);
}

/* dt (R,r) = s dy B. */
static void lora_inner_gradient(const struct lora *ad, const float *dy, int64_t rows, float *dt)
{
    int64_t r = ad->a.rows, out = ad->b.rows;
    gemm(false, false, rows, r, out, ad->scale, dy, out, ad->b.w, r, 0, dt, r);
}

/* dx (R,in) = dy W + dt A */
static void lora_input_gradient(const struct linear *l, const struct lora *ad, const float *dy,
                                const float *dt, int64_t rows, float *dx)
{
    if (lora_present(ad))
        gemm(false, false, rows, l->w.cols, ad->a.rows, 1, dt, ad->a.rows, ad->a.w, l->w.cols, 0, dx,
             l->w.cols);
    linear_input_gradient(l, dy, rows, dx, lora_present(ad));
}

/* W.g += dy^T x;  b.g += column sums of dy;  B.g += s dy^T t;  A.g += dt^T x */
static void lora_weight_gradient(const struct linear *l, const struct lora *ad, const float *x,
                                 const float *t, const float *dy, const float *dt, int64_t rows)
{
    int64_t in = l->w.cols, out = l->w.rows;
    linear_weight_gradient(l, x, dy, rows);
    if (!lora_present(ad))
        return;
    int64_t r = ad->a.rows;
    if (ad->b.g)
        gemm(true, false, out, r, rows, ad->scale, dy, out, t, r, 1, ad->b.g, r);
    if (ad->a.g)
        gemm(true, false, r, in, rows, 1, dt, r, x, in, 1, ad->a.g, in);
}

/* The tape, or NULL: then the caller releases everything anyway. */
static struct ffn_tape *tape_new(const struct ffn *f, const struct adapter *ad, struct arena *arena,
                                 int64_t rows)
{
    struct ffn_tape *t = arena_try(arena, sizeof *t);
    if (!t)
        return NULL;
    bool one = ad && lora_present(&ad->fc1), two = ad && lora_present(&ad->fc2);
    t->u = arena_floats(arena, rows * f->fc1.w.rows);
    t->t1 = one ? arena_floats(arena, rows * ad->fc1.a.rows) : NULL;
    t->t2 = two ? arena_floats(arena, rows * ad->fc2.a.rows) : NULL;
    return t->u && (!one || t->t1) && (!two || t->t2) ? t : NULL;
}

bool expert_forward(const struct ffn *f, const struct adapter *ad, struct arena *arena, int64_t rows,
                    const float *z, float *y, struct ffn_tape **tape, struct error *err)
{
    int64_t wide = f->fc1.w.rows, c = f->fc2.w.rows;
    struct arena_mark begin = arena_mark(arena);
    struct ffn_tape *t = tape_new(f, ad, arena, rows);
    struct arena_mark kept = arena_mark(arena);
    float *h = t && tape ? arena_floats(arena, rows * wide) : t ? t->u : NULL;
    if (!h)
        return no_memory(err);
    lora_forward(&f->fc1, ad ? &ad->fc1 : NULL, z, rows, t->u, t->t1);
    bias_activation(f->act, t->u, f->fc1.b.w, rows, wide, h);
    lora_forward(&f->fc2, ad ? &ad->fc2 : NULL, h, rows, y, t->t2);
    if (f->fc2.b.w)
        add_row(y, f->fc2.b.w, rows, c);
    arena_release(arena, tape ? kept : begin);
    if (tape)
        *tape = t;
    return true;
}

/* What a backward needs beside the tape: dt1 and dt2 (R,r), dh (R,M), and h again when a weight of fc2 asks
 * for it. */
struct scratch {
    float *dt1, *dt2, *dh, *h;
};
static bool scratch_new(const struct ffn *f, const struct adapter *ad, struct arena *arena, int64_t rows,
                        struct scratch *s)
{
    int64_t wide = f->fc1.w.rows;
    bool one = ad && lora_present(&ad->fc1), two = ad && lora_present(&ad->fc2);
    bool need_h = f->fc2.w.g || (two && ad->fc2.a.g);
    s->dt1 = one ? arena_floats(arena, rows * ad->fc1.a.rows) : NULL;
    s->dt2 = two ? arena_floats(arena, rows * ad->fc2.a.rows) : NULL;
    s->dh = arena_floats(arena, rows * wide);
    s->h = need_h ? arena_floats(arena, rows * wide) : NULL;
    return s->dh && (!one || s->dt1) && (!two || s->dt2) && (!need_h || s->h);
}

bool expert_backward(const struct ffn *f, const struct adapter *ad, struct arena *arena, int64_t rows,
                     const float *z, const struct ffn_tape *tape, const float *dy, float *dz,
                     struct error *err)
{
    const struct lora *one = ad ? &ad->fc1 : NULL, *two = ad ? &ad->fc2 : NULL;
    int64_t n = rows * f->fc1.w.rows;
    bool below = dz || f->fc1.w.g || f->fc1.b.g || lora_trainable(one);
    struct arena_mark mark = arena_mark(arena);
    struct scratch s;
    if (!scratch_new(f, ad, arena, rows, &s))
        return no_memory(err);
    /* y = h W2^T + b2 + s2 t2 B2^T */
    if (lora_present(two))
        lora_inner_gradient(two, dy, rows, s.dt2);
    if (below)
        lora_input_gradient(&f->fc2, two, dy, s.dt2, rows, s.dh);
    /* h = act(u) */
    if (below)
        activation_backward_again(f->act, tape->u, s.dh, n, s.dh, s.h);
    else if (s.h)
        activation_forward(f->act, tape->u, n, s.h);
    lora_weight_gradient(&f->fc2, two, s.h, tape->t2, dy, s.dt2, rows);
    /* u = z W1^T + b1 + s1 t1 B1^T */
    if (below && lora_present(one))
        lora_inner_gradient(one, s.dh, rows, s.dt1);
    if (below)
        lora_weight_gradient(&f->fc1, one, z, tape->t1, s.dh, s.dt1, rows);
    if (dz)
        lora_input_gradient(&f->fc1, one, s.dh, s.dt1, rows, dz);
    arena_release(arena, mark);
    return true;
}

bool ffn_forward(const struct ffn *f, const struct pass *p, int layer, int64_t t, const float *z,
                 const float *z_all, float *y, struct ffn_tape **tape, struct error *err)
{
    if (!f->moe)
        return expert_forward(f, f->lora, p->arena, p->batch * t, z, y, p->train ? tape : NULL, err);
    struct ffn_tape *own = p->train ? arena_try(p->arena, sizeof *own) : NULL;
    if (p->train && !own)
        return no_memory(err);
    if (p->train)
        *tape = own;
    return moe_forward(f->moe, f, p, layer, t, z, z_all, y, own ? &own->moe : NULL, err);
}

bool ffn_backward(const struct ffn *f, const struct pass *p, int layer, int64_t t, const float *z,
                  const float *z_all, const struct ffn_tape *tape, const float *dy, float *dz, float *dz_all,
                  bool need_dz, struct error *err)
{
    if (!f->moe)
        return expert_backward(f, f->lora, p->arena, p->batch * t, z, tape, dy, need_dz ? dz : NULL, err);
    return moe_backward(f->moe, f, p, layer, t, z, z_all, tape->moe, dy, need_dz ? dz : NULL,
                        need_dz ? dz_all : NULL, err);
}

bool ffn_trainable(const struct ffn *f)
{
    const struct moe *m = f->moe;
    if (f->fc1.w.g || f->fc1.b.g || f->fc2.w.g || f->fc2.b.g)
        return true;
    if (f->lora && (lora_trainable(&f->lora->fc1) || lora_trainable(&f->lora->fc2)))
        return true;
    if (!m)
        return false;
    for (int e = 0; e < m->experts; e++)
        if (lora_trainable(&m->expert[e].fc1) || lora_trainable(&m->expert[e].fc2))
            return true;
    return m->router.g || m->bias.g || m->class_router.g || m->class_bias.g || m->negative.g || m->lambda.g;
}
