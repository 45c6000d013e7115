/* What the stage router trains on: the union of the clients' proxies among the public images, private images
 * of the clients (UnrestrictedMoE, a baseline that pools them), or both. The softmax is over the public
 * classes, then those of each client in the order of the input. */
#ifndef STAGES_JOB_ROUTER_SAMPLES_H
#define STAGES_JOB_ROUTER_SAMPLES_H
#include "stages/model/train.h"
#include "stages/stage.h"

struct router_samples {
    struct dataset **data; /* (sets) the public one, if it is connected, then the clients' */
    int sets;
};
/* Fills t: data, sample, text and what counts them; t->params and t->model are set. private_rows: images of
 * each client, drawn by the seed; 0: all. Whatever the return: router_samples_close. */
bool router_samples_open(struct stage_context *ctx, int64_t private_rows, struct train *t,
                         struct router_samples *ret, struct error *err) MUST_CHECK;
void router_samples_close(struct router_samples *s);
#endif
