/* What the files of the stage comigs share: one client's round of CoMiGS. Two LoRA experts over the frozen
 * seed in every feed-forward, 0 the generalist, whose mean over the clients comes back each round, 1 the
 * specialist, which stays; a linear router on each token weighs both. Experts learn from one part of the
 * client's images, routers from another, by turns. */
#ifndef STAGES_JOB_COMIGS_H
#define STAGES_JOB_COMIGS_H
#include "stages/job/training.h"
#include "stages/model/peft.h"
#include "stages/stage.h"

enum { COMIGS_GENERALIST, COMIGS_SPECIALIST, COMIGS_EXPERTS };
struct comigs_params {
    struct train_params train;
    int64_t rank, steps, router_every, router_steps, horizon;
    double alpha, beta2, lr_end, lr_router, balance_loss, importance, holdout;
    const char *scaling;
};
struct comigs_weight { /* one that learns at times */
    struct mat *w;
    float *g; /* its gradient, also while w->g is NULL */
    bool router;
};
struct comigs {
    struct stage_context *ctx;
    const struct comigs_params *p;
    struct clip *model;
    struct dataset *data;
    float *text; /* (classes, E) */
    struct comigs_weight *weight;
    int n;
    struct training state; /* optimisers: of the experts, of the routers */
};
/* comigs_state.c: the mixture over the seed with its optimisers, from the state of the round before and the
 * clients' mean, where these are connected. */
bool comigs_begin(struct comigs *x, struct error *err) MUST_CHECK;
bool comigs_save(struct comigs *x, struct error *err) MUST_CHECK;
/* From now on gradients are made for routers alone, or for experts alone. */
void comigs_turn(struct comigs *x, bool routers);
/* comigs_round.c: the steps of a round. */
bool comigs_round(struct comigs *x, struct error *err) MUST_CHECK;
#endif
