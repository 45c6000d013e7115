/* Class texts as classifier weights. */
#ifndef STAGES_MODEL_PROMPT_H
#define STAGES_MODEL_PROMPT_H
#include "stages/io/tokenizer.h"
#include "stages/model/clip.h"

/* Unit text features (N,E) of prompt_text(template_, name[i]) into out. */
bool prompt_features(const struct clip *m, const struct tokenizer *t, const char *template_,
                     const char *const *name, int64_t n, float *out, struct error *err) MUST_CHECK;
#endif
