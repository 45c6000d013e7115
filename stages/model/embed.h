/* Images through a frozen model, batch by batch: what embedding, classifier and evaluate share. Images are
 * decoded on the fly; only one batch of pixels is in memory. */
#ifndef STAGES_MODEL_EMBED_H
#define STAGES_MODEL_EMBED_H
#include "stages/io/dataset.h"
#include "stages/model/clip.h"

enum embed_kind {
    EMBED_POOLED,    /* (C) class token after the last norm, before the projection */
    EMBED_PROJECTED, /* (E) image embedding, not unit */
    EMBED_TOKENS,    /* (C) mean over all tokens of the last block's output */
    EMBED_BOTH /* (2C) pooled and tokens, each scaled to root mean square 1, so that neither rules the cosine
                */
};
#define EMBED_CHOICES "pooled|projected|tokens|both"
bool embed_parse(const char *name, enum embed_kind *ret); /* false: no such kind */
const char *embed_name(enum embed_kind k);
int64_t embed_width(const struct clip *m, enum embed_kind k);

struct embed_source {
    const struct clip *model;
    const struct dataset *data;
    int64_t batch;
    int threads; /* that decode */
    /* May be NULL; whoever looks at intermediate values (then every token is computed in every layer). */
    const struct observer *observer;
    /* Each batch, decoded once, goes through the model so many times (0: once), after choose() has attached
     * what is to be different: see() is called after each. */
    int times;
    void (*choose)(void *arg, int time);
    void *choose_arg;
    void (*progress)(void *arg, int64_t done, int64_t total); /* may be NULL */
    void *progress_arg;
};
/* See every sample in order, with the evaluation transform: embeds (n,E) and pooled (n,C) of samples first ..
 * first+n-1, valid during the call. see() returns false with *err set to stop. */
bool embed_each(const struct embed_source *s,
                bool (*see)(void *arg, int64_t first, int64_t n, const float *embeds, const float *pooled,
                            struct error *err),
                void *arg, struct error *err) MUST_CHECK;
/* Features out (count, embed_width) of all samples; unit: every row scaled to length 1. s->observer must be
 * NULL. */
bool embed_features(const struct embed_source *s, enum embed_kind k, bool unit, float *out,
                    struct error *err) MUST_CHECK;
#endif
