/* Where the tokens of a mixture of experts go: an observer of forward passes that counts, per layer, the
 * class token apart from the patches. The class token alone becomes the image's embedding, so that a mean
 * over all tokens would hide what counts (REFERENCE section 6). */
#ifndef STAGES_JOB_ROUTING_H
#define STAGES_JOB_ROUTING_H
#include "stages/model/clip.h"
#include <jansson.h>

enum { ROUTING_CLASS, ROUTING_PATCHES, ROUTING_KINDS };
struct routing_count {    /* sums over tokens; pi are the router's probabilities */
    int64_t tokens, same; /* same: whose most probable expert is that of the layer before */
    double entropy;       /* of pi, nats */
    double margin;        /* largest pi minus the second */
    double max_pi;
    double *taken; /* (experts) tokens that were sent there */
};
struct routing {
    int64_t experts, layers;
    struct routing_count (*layer)[ROUTING_KINDS]; /* (layers) */
    int *top; /* (room) most probable expert of the running batch's tokens in the layer before */
    int64_t room;
};
/* m->moe is not NULL; arrays from the arena. A batch has at most that many images. */
bool routing_begin(struct routing *r, const struct clip *m, int64_t batch, struct arena *a,
                   struct error *err) MUST_CHECK;
/* struct observer's see, arg a routing. Called for one layer after the other of a batch. */
void routing_see(void *arg, const char *what, int layer, const float *x, int64_t batch, int64_t t,
                 int64_t experts);
/* [{layer, class_token, patches: {tokens, share, entropy, margin, mean_max_pi[, same_as_before]}}]; new
 * reference. */
json_t *routing_json(const struct routing *r);
#endif
