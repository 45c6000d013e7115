/* Scores on a labelled data set: the class names as texts, the predicted classes, the counts, and the two
 * artifacts made of them. What evaluate shares with every other stage that predicts. */
#ifndef STAGES_JOB_SCORING_H
#define STAGES_JOB_SCORING_H
#include "stages/io/dataset.h"
#include "stages/model/prompt.h"
#include "stages/stage.h"

/* Whose scores these are. */
struct scoring_names {
    const char *system, *domain, *replicate;
};
/* The parameter rows for a struct with the fields of scoring_names, `batch` and a `struct prompt_params
 * prompt`. */
#define SCORING_PARAMS(st)                                                                                   \
    PARAM(st, system, .def = "model", .doc = "name of the model in the table: its row"),                     \
        PARAM(st, domain, .def = "test", .doc = "name of the data set in the table: its column"),            \
        PARAM(st, replicate, .def = "",                                                                      \
              .doc = "which of several equal runs this is, for example the seed: the table gives their "     \
                     "mean and "                                                                             \
                     "spread"),                                                                              \
        PROMPT_PARAMS(st, prompt),                                                                           \
        PARAM(st, batch, .def = "64", .min = 1, .max = 65536, .unit = "images",                              \
              .doc = "images a forward pass")
/* The output ports that scoring_write fills. Only counts leave a client; what was said of each of its images
 * does not. */
#define SCORING_OUTPUTS(metrics_doc)                                                                         \
    {.name = "metrics",                                                                                      \
     .type = ARTIFACT_METRICS,                                                                               \
     .releases = true,                                                                                       \
     .release = "counts and averages",                                                                       \
     .doc = (metrics_doc)},                                                                                  \
    {                                                                                                        \
        .name = "predictions", .type = ARTIFACT_PREDICTIONS, .doc = "the predicted class of every image"     \
    }

struct scoring {
    const struct dataset *data; /* borrowed */
    int64_t samples, classes;
    int *predicted;         /* (samples) */
    int64_t *right, *count; /* (classes) */
};
/* Nothing seen yet; arrays from the arena. ERROR_INPUT when the set has no labelled image. */
bool scoring_begin(struct scoring *s, const struct dataset *data, struct arena *a,
                   struct error *err) MUST_CHECK;
/* The class names in the templates as unit rows (classes, E) from the arena; the tokenizer is that of the
 * model's folder `dir`. */
bool scoring_texts(const struct scoring *s, const struct clip *m, const char *dir,
                   const struct prompt_params *p, struct arena *a, const float **ret,
                   struct error *err) MUST_CHECK;
/* Scores z (n, classes) of samples first .. first+n-1: the highest is the prediction, the first of equal
 * ones. A score that is not finite is an error that names the sample. */
bool scoring_see(struct scoring *s, int64_t first, int64_t n, const float *z, struct error *err) MUST_CHECK;
/* All samples seen: the outputs `metrics` and `predictions`. `more` (borrowed, may be NULL) are further
 * members of metrics.json. */
bool scoring_write(struct stage_context *ctx, const struct scoring *s, struct scoring_names names,
                   json_t *more, struct error *err) MUST_CHECK;
#endif
