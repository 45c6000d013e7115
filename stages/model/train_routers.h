/* The losses on routers during a training: what a batch needs before, between and after its parts. */
#ifndef STAGES_MODEL_TRAIN_ROUTERS_H
#define STAGES_MODEL_TRAIN_ROUTERS_H
#include "base/arena.h"
#include "stages/model/moe.h"
#include "stages/model/moe_loss.h"

struct train_routers {
    struct moe_loss *loss; /* NULL: all of these do nothing */
    int64_t experts;
    double *load, *count;     /* (L,K) */
    double total[MOE_LOSSES]; /* of an epoch: sums over its samples */
};
/* m: the layers' mixtures, or NULL. */
bool train_routers_init(struct train_routers *r, struct moe_loss *loss, const struct moe *m, int64_t layers,
                        struct arena *a, struct error *err) MUST_CHECK;
/* Must a batch of n samples, parts of at most `part` in memory, pass once before to be counted? */
bool train_routers_count_first(const struct train_routers *r, int64_t n, int64_t part);
void train_routers_counted(struct train_routers *r); /* that pass is over */
/* A batch of n begins; its parts follow. counted: as above. */
void train_routers_begin(struct train_routers *r, int64_t n, bool counted);
void train_routers_end(struct train_routers *r, int64_t n); /* values go into the totals */
/* Gradients of the biases of the selection: the sign of an expert's visits in the batch less their mean. */
void train_routers_balance(const struct train_routers *r, const struct moe *m);
#endif
