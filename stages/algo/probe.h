/* Linear probe, client (1) against public (0), on frozen features (paper appendix A): the relevance g. */
#ifndef STAGES_ALGO_PROBE_H
#define STAGES_ALGO_PROBE_H
#include "base/arena.h"
#include "base/error.h"
#include "stages/tensor/optim.h"

enum probe_loss { PROBE_BCE /* one logit with bias */, PROBE_SOFTMAX /* two logits, no bias */ };
struct probe {
    enum probe_loss loss;
    int64_t d;
    struct mat w; /* (1,d) or (2,d) */
    struct mat b; /* (1,1) or absent */
};
/* Mean loss of the samples index (n) of features (.,d); += its gradient into w.g and b.g. */
float probe_gradient(struct probe *p, const float *features, const int64_t *label, const int64_t *index,
                     int64_t n);
/* features (n,d), label (n) 0/1; order (n) is the visiting order of one epoch e: order + e*n. Batches are
 * consecutive, the last smaller. w and b hold the initial values and are trained in place; gradients that
 * they lack come from the arena. losses (batches*epochs) may be NULL. */
bool probe_train(struct probe *p, const float *features, const int64_t *label, const int64_t *order,
                 int64_t n, int64_t batch, int64_t epochs, const struct optim_config *o, struct arena *a,
                 float *losses, struct error *err) MUST_CHECK;
/* score (n): sigmoid or softmax probability of class 1. */
void probe_score(const struct probe *p, const float *features, int64_t n, float *score);
#endif
