/* One pre-norm transformer block, forward and backward:
 *   x += o(attention(q(n1), k(n1), v(n1))),  n1 = ln1(x)
 *   x += ffn(z),                             z  = ln2(x)
 * The feed-forward slot is dense, LoRA or a mixture of LoRA experts: the only place where the paper's methods
 * act. */
#ifndef STAGES_MODEL_BLOCK_H
#define STAGES_MODEL_BLOCK_H
#include "base/arena.h"
#include "stages/tensor/ops.h"

struct lora {     /* y += scale (x A^T) B^T */
    struct mat a; /* (r, in) */
    struct mat b; /* (out, r) */
    float scale;  /* alpha / r */
};
struct adapter { /* the LoRA of one layer's feed-forward */
    struct lora fc1, fc2;
};
struct moe;      /* stages/model/moe.h */
struct moe_loss; /* stages/model/moe_loss.h */
struct ffn { /* fc2(act(fc1(z))), plus the adapter's terms, or the mixture of experts over the same base */
    struct linear fc1, fc2;
    enum activation act;
    const struct adapter *lora; /* at most one of lora and moe is set */
    const struct moe *moe;
};
struct block {
    struct norm ln1, ln2;
    struct linear q, k, v, o;
    struct ffn ffn;
    int64_t heads;
    bool causal;
};

/* Someone who looks at intermediate values: "embeddings", "hidden", "mlp_in", "moe_probs" (B,T,K) or
 * (B,1,K), "moe_selected" likewise as 0/1, "moe_out", "pooled", ... x is (batch, t, c), valid during the call
 * only. */
struct observer {
    void (*see)(void *arg, const char *what, int layer, const float *x, int64_t batch, int64_t t, int64_t c);
    void *arg;
};
static inline void observe(const struct observer *o, const char *what, int layer, const float *x,
                           int64_t batch, int64_t t, int64_t c)
{
    if (o)
        o->see(o->arg, what, layer, x, batch, t, c);
}

/* One pass through a stack of blocks. All tensors come from the arena, which the caller marks and releases.
 */
struct pass {
    int64_t batch, t; /* B sequences of T tokens */
    int64_t width;    /* C */
    struct arena *arena;
    bool train;     /* save what the backward needs */
    bool last_row0; /* in the LAST block only row 0 of each sequence (the class token) is needed: skip the
                       rest */
    const struct observer *observer;
    const float *const
        *context;          /* per layer (B,C): router context from elsewhere (moe context = seed), or NULL */
    struct moe_loss *loss; /* losses on the routers' distributions, stages/model/moe_loss.h; or NULL */
};
struct block_tape; /* what one block saved; lives in the pass' arena */

/* x (B,T,C) in place. row0: only row 0 of each sequence is computed after the attention's keys and values;
 * the other rows of x are then unspecified. *tape is set when pass->train. False: out of memory. */
bool block_forward(const struct block *b, const struct pass *p, int layer, bool row0, float *x,
                   struct block_tape **tape, struct error *err) MUST_CHECK;
/* dx (B,T,C): gradient of the output on entry (rows but 0 are zero when row0), of the input on return.
 * need_dx false: nothing below this block is trainable; then only weight gradients are made and dx is
 * unspecified afterwards. */
bool block_backward(const struct block *b, const struct pass *p, int layer, bool row0,
                    const struct block_tape *tape, float *dx, bool need_dx, struct error *err) MUST_CHECK;

/* ffn.c: the slot itself: y (B,t,C) = ffn(z), z (B,t,C); t is pass->t, or 1 when row0. z_all (B,pass->t,C) is
 * what a mixture's context averages over (== z when t == pass->t; NULL is allowed when the slot is no
 * mixture). */
struct ffn_tape;
bool ffn_forward(const struct ffn *f, const struct pass *p, int layer, int64_t t, const float *z,
                 const float *z_all, float *y, struct ffn_tape **tape, struct error *err) MUST_CHECK;
/* dz (B,t,C) is overwritten when need_dz; dz_all (B,pass->t,C) receives (+=) what flows through a mixture's
 * context when t != pass->t, NULL otherwise. */
bool ffn_backward(const struct ffn *f, const struct pass *p, int layer, int64_t t, const float *z,
                  const float *z_all, const struct ffn_tape *tape, const float *dy, float *dz, float *dz_all,
                  bool need_dz, struct error *err) MUST_CHECK;
/* ffn_forward of one dense or LoRA expert on gathered rows, for moe.c: y (R,C) = fc2'(act(fc1'(z))) with the
 * adapter's terms; ad NULL or without weights: the base. tape may be NULL. */
bool expert_forward(const struct ffn *f, const struct adapter *ad, struct arena *arena, int64_t rows,
                    const float *z, float *y, struct ffn_tape **tape, struct error *err) MUST_CHECK;
/* dz (R,C) overwritten when not NULL; gradients of the adapter and, where not frozen, of the base accumulate.
 */
bool expert_backward(const struct ffn *f, const struct adapter *ad, struct arena *arena, int64_t rows,
                     const float *z, const struct ffn_tape *tape, const float *dy, float *dz,
                     struct error *err) MUST_CHECK;
/* Any weight of the block below or in it that has a gradient. */
bool block_trainable(const struct block *b);
bool ffn_trainable(const struct ffn *f);
#endif
