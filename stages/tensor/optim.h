/* Optimisers with PyTorch's semantics. State is owned by the optimiser; gradients are zeroed by optim_step.
 */
#ifndef STAGES_TENSOR_OPTIM_H
#define STAGES_TENSOR_OPTIM_H
#include "base/arena.h"
#include "stages/tensor/mat.h"

enum optim_kind { OPTIM_SGD, OPTIM_ADAM, OPTIM_ADAMW };
struct optim_config {
    enum optim_kind kind;
    double lr, weight_decay;
    double momentum;          /* SGD */
    bool nesterov;            /* SGD */
    double beta1, beta2, eps; /* Adam: 0.9 0.999 1e-8 */
};
struct optim;
/* Memory comes from the arena. */
struct optim *optim_new(const struct optim_config *config, struct arena *a);
/* Have the optimiser move m (m->g must be set). lr_scale multiplies config.lr (a group's own rate); false on
 * exhaustion. */
bool optim_add(struct optim *o, struct mat *m, double lr_scale, struct error *err) MUST_CHECK;
/* One step at learning rate lr_now (schedules are the caller's), then zero all gradients. SGD: g += wd p; v =
 * g at the first step, else momentum v + g; p -= lr (nesterov ? g + momentum v : v). */
void optim_step(struct optim *o, double lr_now);
double optim_grad_norm(const struct optim *o); /* global L2, fixed order */
void optim_clip(struct optim *o,
                double max_norm); /* factor max / (norm + 1e-6) when norm > max; 0: nothing */
void optim_zero(struct optim *o);

/* What an optimiser has moved and remembers, to be kept and put back: its i-th matrix, in the order in which
 * they were added. False past the last. */
struct optim_state {
    float *weight;         /* (n) */
    float *first, *second; /* (n), as the update rule has them, else NULL */
    int64_t n;
};
bool optim_state(const struct optim *o, int i, struct optim_state *ret);
int64_t optim_steps(const struct optim *o); /* taken so far */
void optim_set_steps(struct optim *o, int64_t steps);
#endif
