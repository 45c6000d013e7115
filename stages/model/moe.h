/* Mixture of LoRA experts in the feed-forward slot, with the context-aware router (paper eq. 5 and 6):
 *   l = clamp(lambda,0,1)    c = mean over the sequence's tokens of z    zt = (1-l) z + l c
 *   pi = softmax_p((zt . e_p + b_p) / temperature)    y = sum over the top-k of w_p FFN_p(z)
 * Experts see z, not zt. The gradient flows through c unless the context comes from a separate pass of the
 * seed model. */
#ifndef STAGES_MODEL_MOE_H
#define STAGES_MODEL_MOE_H
#include "stages/model/block.h"

enum moe_gate {
    MOE_GATE_RAW,      /* w_p = pi_p (the paper) */
    MOE_GATE_RENORM,   /* w_p = pi_p / sum of the selected: with top-1 exactly 1, router gradient exactly 0 */
    MOE_GATE_STRAIGHT, /* forward as renorm, backward as raw */
    MOE_GATE_SOFT      /* all experts, w_p = pi_p; top_k is ignored */
};
enum moe_context {
    MOE_CONTEXT_SELF /* mean of the block's own input */,
    MOE_CONTEXT_SEED /* pass->context */
};
struct moe {
    int experts;                  /* K */
    const struct adapter *expert; /* (K); an expert whose fc1.a.w is NULL is the seed's own feed-forward */
    struct mat router;            /* e: (K, C) */
    struct mat bias;              /* b: (K, 1) or absent */
    struct mat lambda;            /* (1, 1) */
    int top_k;
    enum moe_gate gate;
    enum moe_context context;
    float temperature; /* 1 */
};
struct moe_tape;
/* z (B,T,C) -> y (B,T,C). t as in ffn_forward: with row0 (t == 1 while pass->t > 1) the context is still the
 * mean over all pass->t tokens, so `z_all` (B,pass->t,C) is given beside the rows z to route. z_all == z when
 * t == pass->t. */
bool moe_forward(const struct moe *m, const struct ffn *f, const struct pass *p, int layer, int64_t t,
                 const float *z, const float *z_all, float *y, struct moe_tape **tape,
                 struct error *err) MUST_CHECK;
/* dz is overwritten; dz_all (B,pass->t,C) receives (+=) the gradient through the context when it is not NULL
 * and t != pass->t; when t == pass->t that gradient is part of dz. */
bool moe_backward(const struct moe *m, const struct ffn *f, const struct pass *p, int layer, int64_t t,
                  const float *z, const float *z_all, const struct moe_tape *tape, const float *dy, float *dz,
                  float *dz_all, struct error *err) MUST_CHECK;
#endif
