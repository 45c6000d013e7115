/* What the stages that train share: their state, that is the weights that move and the optimisers' memory,
 * kept after passes and taken up again. Everything else is a function of the number of the pass. */
#ifndef STAGES_JOB_TRAINING_H
#define STAGES_JOB_TRAINING_H
#include "stages/model/train.h"
#include "stages/stage.h"

struct training {
    struct stage_context *ctx;
    struct optim *optim[2]; /* of whose matrices the state consists; the second may be NULL */
};
/* Take up the state of an earlier run, if the context has one: the passes behind it. 0: from the beginning,
 * and nothing has changed; a state that does not fit is a warning. */
int64_t training_resume(const struct training *g);
/* After a pass: keep the state where it is time for it. False: the run is to end here. */
bool training_passed(const struct training *g, int64_t passes, struct error *err) MUST_CHECK;
/* The state as a file of its own, for a stage that hands it to the next one. Reading changes nothing when it
 * fails. */
bool training_write(const struct training *g, int64_t passes, const char *path, struct error *err) MUST_CHECK;
bool training_read(const struct training *g, const char *path, struct error *err) MUST_CHECK;
/* train_run with the context's reporters and checkpoints. The caller has set all but these; t->arg stays the
 * reporters'. */
bool training_run(struct stage_context *ctx, struct train *t, struct error *err) MUST_CHECK;
#endif
