/* The transformer block of block.h. Its two places for "class token only": tq, the rows of each sequence that
 * ask (queries, o, ln2), and tf, the rows that pass through the feed-forward. With row0 both are 1; a mixture
 * whose context is the mean over its own input still needs ln2 of every row: tq = T, tf = 1. */
#include "stages/model/block.h"
#include "stages/model/moe.h"
#include <string.h>

struct block_tape {
    int64_t tq, tf;
    float *x0, *mean1, *rstd1; /* input (B,T,C) and ln1's statistics (B,T) */
    float *q, *k, *v, *probs;  /* (B,tq,C), (B,T,C) twice, (B,H,tq,T) */
    float *y;                  /* attention's output (B,tq,C), kept only when o is trained */
    float *x1, *mean2, *rstd2; /* after the attention (B,tq,C) and ln2's statistics (B,tq) */
    float *z_all, *z;          /* ln2's output (B,tq,C); the rows of it that the feed-forward gets (B,tf,C) */
    struct ffn_tape *ffn;
};

static bool no_memory(int layer, struct error *err)
{
    return error_set(err, NULL, ERROR_TASK, "out of memory in transformer block %d", layer);
}

/* to (B,C) = row 0 of each sequence of x (B,t,C) */
static void gather_row0(const struct pass *p, const float *x, int64_t t, float *to)
{
    for (int64_t b = 0; b < p->batch; b++)
        memcpy(to + b * p->width, x + b * t * p->width, (size_t)p->width * sizeof *x);
}

/* row 0 of each sequence of x (B,t,C) += from (B,C) */
static void add_row0(const struct pass *p, const float *from, int64_t t, float *x)
{
    for (int64_t b = 0; b < p->batch; b++)
        add_into(x + b * t * p->width, from + b * p->width, p->width);
}

/* All buffers that the backward wants, from the arena; without training they are scratch like any other. */
static struct block_tape *tape_new(const struct block *b, const struct pass *p, bool row0)
{
    struct block_tape *s = arena_try(p->arena, sizeof *s);
    if (!s)
        return NULL;
    bool whole = b->ffn.moe && moe_context_of_all(b->ffn.moe);
    s->tf = row0 ? 1 : p->t;
    s->tq = whole ? p->t : s->tf;
    int64_t c = p->width, all = p->batch * p->t, rows = p->batch * s->tq;
    struct {
        float **at;
        int64_t n;
    } want[] = {
        {&s->x0, p->train ? all * c : 0},
        {&s->mean1, all},
        {&s->rstd1, all},
        {&s->q, rows * c},
        {&s->k, all * c},
        {&s->v, all * c},
        {&s->probs, p->train ? rows * b->heads * p->t : 0},
        {&s->y, p->train && b->o.w.g ? rows * c : 0},
        {&s->x1, rows * c},
        {&s->mean2, rows},
        {&s->rstd2, rows},
        {&s->z_all, rows * c},
        {&s->z, s->tf == s->tq ? 0 : p->batch * s->tf * c},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        *want[i].at = want[i].n ? arena_floats(p->arena, want[i].n) : NULL;
        if (want[i].n && !*want[i].at)
            return NULL;
    }
    if (s->tf == s->tq)
        s->z = s->z_all;
    return s;
}

/* x1 = x + o(attention(q(n1), k(n1), v(n1))),  n1 = ln1(x), for the first tq rows of each sequence */
static bool attend(const struct block *b, const struct pass *p, const float *x, struct block_tape *s)
{
    int64_t c = p->width, all = p->batch * p->t, rows = p->batch * s->tq;
    float *n1 = arena_floats(p->arena, all * c);
    float *nq = s->tq == p->t ? n1 : arena_floats(p->arena, rows * c);
    float *y = s->y ? s->y : arena_floats(p->arena, rows * c);
    if (!n1 || !nq || !y)
        return false;
    layernorm_forward(&b->ln1, x, all, n1, s->mean1, s->rstd1);
    if (nq != n1) {
        gather_row0(p, n1, p->t, nq);
        gather_row0(p, x, p->t, s->x1);
    } else {
        copy_into(s->x1, x, all * c);
    }
    linear_forward(&b->q, nq, rows, s->q, false);
    linear_forward(&b->k, n1, all, s->k, false);
    linear_forward(&b->v, n1, all, s->v, false);
    attention_forward(s->q, s->k, s->v, p->batch, s->tq, p->t, b->heads, c / b->heads, b->causal, y,
                      s->probs);
    linear_forward(&b->o, y, rows, s->x1, true);
    return true;
}

bool block_forward(const struct block *b, const struct pass *p, int layer, bool row0, float *x,
                   struct block_tape **tape, struct error *err)
{
    int64_t c = p->width;
    struct arena_mark begin = arena_mark(p->arena);
    struct block_tape *s = tape_new(b, p, row0);
    if (!s)
        return no_memory(layer, err);
    if (p->train)
        copy_into(s->x0, x, p->batch * p->t * c);
    struct arena_mark kept = arena_mark(p->arena);
    if (!attend(b, p, x, s))
        return no_memory(layer, err);
    arena_release(p->arena, kept);
    /* x = x1 + ffn(z),  z = ln2(x1) */
    layernorm_forward(&b->ln2, s->x1, p->batch * s->tq, s->z_all, s->mean2, s->rstd2);
    if (s->z != s->z_all)
        gather_row0(p, s->z_all, s->tq, s->z);
    if (!row0)
        observe(p->observer, "mlp_in", layer, s->z, p->batch, p->t, c);
    float *out = s->tf == p->t ? x : arena_floats(p->arena, p->batch * c);
    if (!out)
        return no_memory(layer, err);
    if (!ffn_forward(&b->ffn, p, layer, s->tf, s->z, s->z_all, out, &s->ffn, err))
        return false;
    if (out == x) {
        add_into(x, s->x1, p->batch * p->t * c);
    } else {
        for (int64_t i = 0; i < p->batch; i++) {
            copy_into(x + i * p->t * c, s->x1 + i * s->tq * c, c);
            add_into(x + i * p->t * c, out + i * c, c);
        }
    }
    if (p->train)
        *tape = s;
    else
        arena_release(p->arena, begin);
    return true;
}

static bool trains(const struct linear *l)
{
    return l->w.g || l->b.g;
}
/* Whether anything from ln1 to the attention's inputs has weights to train; then also up to ln2. */
static bool input_side_trainable(const struct block *b)
{
    return b->ln1.w.g || b->ln1.b.g || trains(&b->q) || trains(&b->k) || trains(&b->v);
}
static bool below_ffn_trainable(const struct block *b)
{
    return input_side_trainable(b) || b->ln2.w.g || b->ln2.b.g || trains(&b->o);
}

/* The weights of q, k, v: n1 is made again from x0. */
static bool projection_weights(const struct block *b, const struct pass *p, const struct block_tape *s,
                               const float *dq, const float *dk, const float *dv)
{
    int64_t c = p->width, all = p->batch * p->t, rows = p->batch * s->tq;
    if (!trains(&b->q) && !trains(&b->k) && !trains(&b->v))
        return true;
    struct arena_mark mark = arena_mark(p->arena);
    float *n1 = arena_floats(p->arena, all * c);
    float *nq = s->tq == p->t ? n1 : arena_floats(p->arena, rows * c);
    if (!n1 || !nq)
        return false;
    layernorm_forward(&b->ln1, s->x0, all, n1, NULL, NULL);
    if (nq != n1)
        gather_row0(p, n1, p->t, nq);
    linear_weight_gradient(&b->q, nq, dq, rows);
    linear_weight_gradient(&b->k, n1, dk, all);
    linear_weight_gradient(&b->v, n1, dv, all);
    arena_release(p->arena, mark);
    return true;
}

/* dx1 (B,tq,C), the gradient after the attention, becomes dx (B,T,C); they are the same memory when tq == T,
 * else dx is zero outside row 0. */
static bool attend_backward(const struct block *b, const struct pass *p, const struct block_tape *s,
                            const float *dx1, float *dx)
{
    int64_t c = p->width, all = p->batch * p->t, rows = p->batch * s->tq, d = c / b->heads;
    float *dq = arena_floats(p->arena, rows * c), *dk = arena_floats(p->arena, all * c);
    float *dv = arena_floats(p->arena, all * c), *dn = arena_floats(p->arena, all * c);
    float *dy = arena_floats(p->arena, rows * c);
    if (!dq || !dk || !dv || !dn || !dy)
        return false;
    /* x1 = x + o(y) */
    linear_input_gradient(&b->o, dx1, rows, dy, false);
    /* y = attention(q, k, v) */
    attention_backward(s->q, s->k, s->v, s->probs, dy, p->batch, s->tq, p->t, b->heads, d, b->causal, dq, dk,
                       dv);
    /* q, k, v of n1 */
    if (!projection_weights(b, p, s, dq, dk, dv))
        return false;
    linear_input_gradient(&b->k, dk, all, dn, false);
    linear_input_gradient(&b->v, dv, all, dn, true);
    if (s->tq == p->t) {
        linear_input_gradient(&b->q, dq, all, dn, true);
    } else {
        linear_input_gradient(&b->q, dq, rows, dy, false);
        add_row0(p, dy, p->t, dn);
        for (int64_t i = 0; i < p->batch; i++)
            copy_into(dx + i * p->t * c, dx1 + i * c, c);
    }
    /* n1 = ln1(x) */
    layernorm_backward(&b->ln1, s->x0, s->mean1, s->rstd1, dn, all, dx);
    return true;
}

/* dz (B,tq,C) through x1 += ffn(ln2(x1)), given dout (B,tf,C) */
static bool slot_backward(const struct block *b, const struct pass *p, int layer, const struct block_tape *s,
                          const float *dout, float *dz, bool need_dz, struct error *err)
{
    if (s->tf == s->tq)
        return ffn_backward(&b->ffn, p, layer, s->tf, s->z, s->z_all, s->ffn, dout, dz, NULL, need_dz, err);
    float *dz0 = arena_floats(p->arena, p->batch * p->width);
    if (!dz0)
        return no_memory(layer, err);
    if (need_dz)
        memset(dz, 0, (size_t)(p->batch * s->tq * p->width) * sizeof *dz);
    if (!ffn_backward(&b->ffn, p, layer, s->tf, s->z, s->z_all, s->ffn, dout, dz0, dz, need_dz, err))
        return false;
    if (need_dz)
        add_row0(p, dz0, s->tq, dz);
    return true;
}

bool block_backward(const struct block *b, const struct pass *p, int layer, bool row0,
                    const struct block_tape *s, float *dx, bool need_dx, struct error *err)
{
    int64_t c = p->width, rows = p->batch * s->tq;
    bool need_dz = need_dx || below_ffn_trainable(b);
    struct arena_mark mark = arena_mark(p->arena);
    float *dz = need_dz ? arena_floats(p->arena, rows * c) : NULL;
    float *top = s->tf == p->t ? dx : arena_floats(p->arena, p->batch * c);
    if ((need_dz && !dz) || !top)
        return no_memory(layer, err);
    if (top != dx)
        gather_row0(p, dx, p->t, top);
    /* x = x1 + ffn(z) */
    if (!slot_backward(b, p, layer, s, top, dz, need_dz, err))
        return false;
    if (need_dz) {
        /* z = ln2(x1); x1's gradient takes the place of x's, row by row */
        float *dx1 = s->tq == p->t ? dx : top;
        layernorm_backward(&b->ln2, s->x1, s->mean2, s->rstd2, dz, rows, dx1);
        linear_weight_gradient(&b->o, s->y, dx1, rows);
        if ((need_dx || input_side_trainable(b)) && !attend_backward(b, p, s, dx1, dx))
            return no_memory(layer, err);
    }
    arena_release(p->arena, mark);
    return true;
}

bool block_trainable(const struct block *b)
{
    return below_ffn_trainable(b) || ffn_trainable(&b->ffn);
}
