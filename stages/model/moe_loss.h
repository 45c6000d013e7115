/* Losses on the routers' distributions pi, added to a task's own loss. Rows are the tokens that a mixture
 * routes, E its experts with a score; every loss is a mean over rows, and then over the L mixtures of a
 * model: balance  E sum_e c_e f_e P_e    f_e: share of all visits that go to e, no gradient; P_e: mean of
 * pi_e (Switch with c_e = 1; CoMiGS with others) z        (log sum_e exp x_e)^2  x: what the softmax sees
 *   domain   - sum_e q_e log pi_e   q: whose sample it is (MoA)
 * f_e is that of the whole batch, not of the part of it that is in memory: no result depends on how a batch
 * is cut, but for rounding. Where it is cut, who trains counts the visits in a pass of its own before. */
#ifndef STAGES_MODEL_MOE_LOSS_H
#define STAGES_MODEL_MOE_LOSS_H
#include <stdint.h>

enum moe_loss_kind { MOE_LOSS_BALANCE, MOE_LOSS_Z, MOE_LOSS_DOMAIN, MOE_LOSSES };
/* Each pass with training and this in struct pass adds its part of the gradients in its backward. */
struct moe_loss {
    double weight[MOE_LOSSES]; /* 0: not this one */
    const double *coefficient; /* (K) c_e; NULL: all 1 */
    const float *target;       /* (B,K) q of this pass' sequences; a row of zeros: unknown, a loss of 0 */
    int64_t layers;            /* L */
    int64_t sequences;         /* of the whole batch */
    const double *load;        /* (L,K) f_e of the whole batch; NULL: this pass is the whole batch */
    double *count;             /* (L,K) += the visits of every pass, in its forward; NULL: not counted */
    double value[MOE_LOSSES];  /* += in every backward, for those with a weight: over a batch, its losses */
};
#endif
