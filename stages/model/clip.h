/* CLIP: two towers of blocks and a shared embedding space (REFERENCE: HF layout of config.json and
 * safetensors). */
#ifndef STAGES_MODEL_CLIP_H
#define STAGES_MODEL_CLIP_H
#include "base/rng.h"
#include "stages/model/block.h"
#include "stages/model/moe.h"

struct tower_config {
    int64_t width, layers, heads, mlp;
    double eps;
    enum activation act;
};
struct clip_config {
    struct tower_config vision, text;
    int64_t image_size, patch, channels; /* vision: T = (image_size/patch)^2 + 1 */
    int64_t vocab, context;              /* text */
    int64_t eos, bos;                    /* end and start ids */
    int64_t embed;                       /* E, projection_dim */
};
struct safetensors;
struct clip {
    struct clip_config config;
    const char
        *name; /* what its config.json calls it, for adapters: "openai/clip-vit-base-patch32"; or NULL */
    /* vision */
    struct mat class_embed, patch_embed /* (C, 3*P*P) */, vision_pos /* (T, C) */;
    struct norm pre_norm, post_norm;
    struct block *vision;            /* (layers) */
    struct linear visual_projection; /* (E, C), no bias */
    /* text */
    struct mat token_embed /* (V, Ct) */, text_pos;
    struct block *text; /* NULL: a folder with the vision tower alone */
    struct norm final_norm;
    struct linear text_projection;
    struct mat logit_scale; /* (1,1), a logarithm */
    /* what clip_open attached for a weft_moe folder, else NULL; (vision layers) */
    struct moe *moe;
    struct arena arena;        /* owns structs and converted or new weights */
    struct safetensors *files; /* mapped; NULL: a new model */
};
/* One table drives names, shapes, load, save and gradients: see() is called for every weight with its Hugging
 * Face name and shape. */
void clip_each_weight(struct clip *m,
                      void (*see)(void *arg, const char *name, struct mat *w, int rank, const int64_t *shape),
                      void *arg);

/* Open a Hugging Face folder (frozen, mapped), one with OpenAI's tensors, or a weft_moe folder (config.json
 * with "model_type": "weft_moe"). Missing, misshapen and unknown tensors are ERROR_INPUT. docs/models.md */
bool clip_open(const char *dir, struct clip **ret, struct error *err) MUST_CHECK;
/* The same checks without a look at the seed's weights, which stay NULL: for who takes the folder as it is.
 */
bool clip_inspect(const char *dir, struct clip **ret, struct error *err) MUST_CHECK;
/* A new model with random weights (HF's CLIP initialisation from stream "clip.init" of seed). */
bool clip_new(const struct clip_config *c, uint64_t seed, struct clip **ret, struct error *err) MUST_CHECK;
/* Give every weight a gradient (pretraining). */
bool clip_train_all(struct clip *m, struct error *err) MUST_CHECK;
/* config.json and model.safetensors as transformers reads them, float32. */
bool clip_save(const struct clip *m, const char *dir, struct error *err) MUST_CHECK;
/* The same of other values, float32, which make() gives one weight at a time (safetensors_writer_make). */
bool clip_save_made(const struct clip *m, const char *dir,
                    const void *(*make)(void *arg, const char *name, struct error *err), void *arg,
                    struct error *err) MUST_CHECK;
/* The same of the weights of m's files as they are stored there, in their types. */
bool clip_save_stored(const struct clip *m, const char *dir, struct error *err) MUST_CHECK;
/* preprocessor_config.json: how the evaluation's images are made, for transformers' CLIPImageProcessor. */
bool clip_save_preprocessor(const struct clip *m, const char *dir, struct error *err) MUST_CHECK;
bool clip_has_other_names(const struct clip *m); /* those files do not have Hugging Face's names */
bool clip_weights_file(const char *name);        /* x.safetensors, x.safetensors.index.json */
void clip_free(struct clip *m);
static inline void clip_auto(struct clip **m)
{
    clip_free(*m);
}
int64_t clip_tokens(const struct clip *m); /* T of the vision tower */

/* pixels (B,3,S,S) normalised -> embeds (B,E), not unit; pooled (B,C) = post_norm of the class token, may be
 * NULL. *tape is set when p->train. p->batch is the caller's, t and width are filled in here. */
struct clip_tape;
bool clip_image_forward(const struct clip *m, struct pass *p, const float *pixels, float *embeds,
                        float *pooled, struct clip_tape **tape, struct error *err) MUST_CHECK;
/* dembeds (B,E). Stops below the first block that has anything trainable. */
bool clip_image_backward(const struct clip *m, const struct pass *p, const struct clip_tape *tape,
                         const float *pixels, const float *dembeds, struct error *err) MUST_CHECK;
/* ids (B,ctx) int32, ctx <= context -> embeds (B,E) at the first end token. */
bool clip_text_forward(const struct clip *m, struct pass *p, const int32_t *ids, int64_t ctx, float *embeds,
                       struct clip_tape **tape, struct error *err) MUST_CHECK;
bool clip_text_backward(const struct clip *m, const struct pass *p, const struct clip_tape *tape,
                        const int32_t *ids, int64_t ctx, const float *dembeds, struct error *err) MUST_CHECK;
/* Per-layer mean MLP input of the model without its mixture (B,C each, from the arena): the router context of
 * MOE_CONTEXT_SEED. */
bool clip_seed_context(const struct clip *m, struct arena *a, const float *pixels, int64_t batch,
                       const float ***ret, struct error *err) MUST_CHECK;

/* Logits (B,N) = exp(logit_scale) unit(img) text^T; text (N,E) unit rows. Mean cross-entropy when label is
 * given, with dimg (B,E) when not NULL. */
bool clip_classify(const float *img, const float *text, float scale, const int64_t *label, int64_t batch,
                   int64_t classes, int64_t embed, struct arena *a, float *logits, float *dimg, float *loss,
                   struct error *err) MUST_CHECK;
#endif
