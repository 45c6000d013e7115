/* Router vectors: what a client's expert sees at the input of each feed-forward, averaged over its samples.
 * One vote a sample: the mean over samples of each sample's mean over tokens. They initialise the rows of the
 * unified model's routers (paper section 3.3), directly or in one of the forms of moe_vectors_router. On disk
 * (ARTIFACT_ROUTER): router.safetensors with "mean.<l>" (C) over all tokens, "cls.<l>" (C) over class tokens
 * alone and "square.<l>" () the mean of |z|^2; router.json with "samples", "layers", "width" and the maker's
 * words. */
#ifndef STAGES_MODEL_MOE_VECTORS_H
#define STAGES_MODEL_MOE_VECTORS_H
#include "base/json.h"
#include "stages/model/clip.h"

struct moe_vectors {
    int64_t layers, width, samples;
    int64_t tokens;     /* of a sample; set by moe_vectors_load */
    double *mean, *cls; /* (layers, C) */
    double *square;     /* (layers) */
};
/* Zero sums; NULL: out of memory. */
struct moe_vectors *moe_vectors_new(struct arena *a, int64_t layers, int64_t width);
/* An observer's see(), arg the sums: adds every sample of "mlp_in". All layers and tokens must be computed.
 */
void moe_vectors_see(void *arg, const char *what, int layer, const float *x, int64_t batch, int64_t t,
                     int64_t c);
/* Sums to means. */
void moe_vectors_finish(struct moe_vectors *v);

/* info: more members of router.json (borrowed), may be NULL. */
bool moe_vectors_save(const struct moe_vectors *v, const json_t *info, const char *dir,
                      struct error *err) MUST_CHECK;
/* Shapes are checked against m. */
bool moe_vectors_load(const char *dir, const struct clip *m, struct arena *a, struct moe_vectors **ret,
                      struct error *err) MUST_CHECK;

/* Router rows w and biases b from the means e_p of K clients; c is the mean of the e_p. */
enum moe_vectors_form {
    MOE_VECTORS_RAW,      /* w = e_p (the paper) */
    MOE_VECTORS_CENTRED,  /* zt and e_p both centred: w = e_p - c, b = -c.w */
    MOE_VECTORS_UNIT,     /* w = e_p / |e_p| */
    MOE_VECTORS_DISTANCE, /* nearest mean: w = e_p, b = -|e_p|^2 / 2 */
    MOE_VECTORS_COSINE    /* centred, then unit: w = (e_p - c) / |e_p - c|, b = -c.w */
};
/* Of which tokens: class tokens and patches may have rows of their own. */
enum moe_vectors_tokens { MOE_VECTORS_ALL, MOE_VECTORS_CLASS, MOE_VECTORS_PATCHES };
#define MOE_VECTORS_FORMS "raw|centred|unit|distance|cosine"
bool moe_vectors_parse(const char *name, enum moe_vectors_form *ret); /* false: no such form */
/* Rows of a router that is to learn from nothing: w (K,C) ~ U(+-1/sqrt(C)) of layer `layer`. */
void moe_vectors_random(struct rng_stream stream, int64_t layer, int n, int64_t width, float *w);
/* For one layer: w (K,C) and b (K); false when the form has no bias (b is zero then). */
bool moe_vectors_router(struct moe_vectors *const *client, int n, int64_t layer, enum moe_vectors_form form,
                        enum moe_vectors_tokens of, float *w, float *b);
/* The mean of n clients' means, in the arena. */
struct moe_vectors *moe_vectors_mean(struct moe_vectors *const *client, int n, struct arena *a);
#endif
