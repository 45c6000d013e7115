/* The features of a data set with its ids, as stages that compare sets of samples read them. */
#ifndef STAGES_JOB_FEATURE_ROWS_H
#define STAGES_JOB_FEATURE_ROWS_H
#include "base/json.h"
#include "stages/stage.h"

struct feature_rows {
    int64_t n, d;
    float *x;    /* (n,d), from the run's arena */
    json_t *ids; /* (n) */
};
/* Of the port's reference i. */
bool feature_rows_read(struct stage_context *ctx, const char *port, int i, struct feature_rows *ret,
                       struct error *err) MUST_CHECK;
static inline void feature_rows_auto(struct feature_rows *f)
{
    json_decref(f->ids);
}
/* relevance (n) of the port `relevance`, for as many rows as f has. */
bool feature_rows_relevance(struct stage_context *ctx, const struct feature_rows *f, const float **ret,
                            struct error *err) MUST_CHECK;
/* The rows that a selection (port, reference i) means, in pick order; what of selection.json is needed by
 * name is the caller's: *ret_json is a new reference. Ids must be those of f. */
bool feature_rows_selection(struct stage_context *ctx, const struct feature_rows *f, const char *port, int i,
                            int64_t **ret, int64_t *ret_n, json_t **ret_json, struct error *err) MUST_CHECK;
#endif
