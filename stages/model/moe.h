/* Mixture of LoRA experts in the feed-forward slot, with the context-aware router (paper eq. 5 and 6):
 *   l = clamp(lambda,0,1)    c = mean over the sequence's tokens of z    zt = (1-l) z + l c
 *   x_p = (zt . e_p + b_p + min(n_p,0)) / temperature    pi = softmax(x)
 *   y = sum over the top-k of w_p FFN_p(z)
 * Experts see z, not zt. The gradient flows through c unless the context comes from a separate pass of the
 * seed model. docs/unified-model.md has the other forms of c, w and e. */
#ifndef STAGES_MODEL_MOE_H
#define STAGES_MODEL_MOE_H
#include "stages/model/block.h"

enum moe_gate {
    MOE_GATE_RAW,      /* w_p = pi_p (the paper) */
    MOE_GATE_RENORM,   /* w_p = pi_p / sum of the selected: with top-1 exactly 1, router gradient exactly 0 */
    MOE_GATE_STRAIGHT, /* forward as renorm, backward as raw */
    MOE_GATE_SOFT,     /* all experts, w_p = pi_p; top_k is ignored */
    MOE_GATE_SMEAR     /* one expert a sequence whose weights are W + sum pi_p s_p B_p A_p, pi from c alone */
};
enum moe_context {
    MOE_CONTEXT_SELF,    /* mean of the block's own input over all tokens */
    MOE_CONTEXT_SEED,    /* pass->context */
    MOE_CONTEXT_CLASS,   /* the sequence's first token */
    MOE_CONTEXT_PATCHES, /* mean over the others */
    MOE_CONTEXT_CAUSAL,  /* c_t = mean of z_0 .. z_t */
    MOE_CONTEXT_BATCH    /* c_t = mean over the pass' sequences of z_t: parity with the authors' code alone */
};
/* Expert 0, when it is not one of the softmax' but works on every token, beside the top-k. */
enum moe_shared {
    MOE_SHARED_NONE,
    MOE_SHARED_ADDED, /* w_0 = 1 */
    MOE_SHARED_REST   /* w_0 = 1 - sum of the others */
};
struct moe {
    int experts;                  /* K */
    const struct adapter *expert; /* (K); an expert whose fc1.a.w is NULL is the seed's own feed-forward */
    struct mat router;            /* e: (K, C); a shared expert's row is unused */
    struct mat bias;              /* b: (K, 1) or absent */
    struct mat class_router;      /* e of class tokens, where these have rows of their own; or absent */
    struct mat class_bias;        /* b of class tokens: as class_router, and where there is b */
    struct mat negative;          /* n: (K, 1) or absent; the seed's own feed-forward has none that moves */
    struct mat balance; /* (K, 1) added to pi where the top-k are selected, no gradient; or absent */
    struct mat lambda;  /* (1, 1) */
    int top_k;
    enum moe_gate gate;
    enum moe_context context;
    enum moe_shared shared;
    float temperature; /* 1 */
};
/* Experts of the softmax: those from this one on. */
static inline int64_t moe_first_scored(const struct moe *m)
{
    return m->shared != MOE_SHARED_NONE;
}
/* Does the context want every token's z, even where one alone is routed? */
static inline bool moe_context_of_all(const struct moe *m)
{
    return m->context == MOE_CONTEXT_SELF || m->context == MOE_CONTEXT_PATCHES;
}
/* What cannot go together: false and one sentence. */
bool moe_check(const struct moe *m, struct error *err) MUST_CHECK;

struct moe_tape;
/* z (B,T,C) -> y (B,T,C). t as in ffn_forward: with row0 (t == 1 while pass->t > 1) the context may still be
 * the mean over all pass->t tokens, so `z_all` (B,pass->t,C) is given beside the rows z to route. z_all == z
 * when t == pass->t, and where the context does not want it. */
bool moe_forward(const struct moe *m, const struct ffn *f, const struct pass *p, int layer, int64_t t,
                 const float *z, const float *z_all, float *y, struct moe_tape **tape,
                 struct error *err) MUST_CHECK;
/* dz is overwritten; dz_all (B,pass->t,C) receives (+=) the gradient through the context when z_all != z;
 * when they are the same that gradient is part of dz. */
bool moe_backward(const struct moe *m, const struct ffn *f, const struct pass *p, int layer, int64_t t,
                  const float *z, const float *z_all, const struct moe_tape *tape, const float *dy, float *dz,
                  float *dz_all, struct error *err) MUST_CHECK;
#endif
