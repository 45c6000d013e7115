/* What the files of the stage merge share. */
#ifndef STAGES_JOB_MERGE_H
#define STAGES_JOB_MERGE_H
#include "stages/model/clip.h"
#include "stages/stage.h"

struct merge_params {
    const char *method;
    const char *gate, *context, *vectors, *kinds, *init, *seed_expert; /* of moe */
    double lambda, temperature;
    int64_t top_k, seed;
    bool negative_bias;
    const char *average, *trim; /* of the dense methods */
    double scaling, density, drop;
};
/* Write the output of ctx, the parameters' method. model: the seed, dense, open. */
bool merge_moe(struct stage_context *ctx, struct clip *model, struct error *err) MUST_CHECK;
bool merge_dense(struct stage_context *ctx, struct clip *model, struct error *err) MUST_CHECK;
#endif
