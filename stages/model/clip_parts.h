/* What the clip_*.c files share and nobody else needs. */
#ifndef STAGES_MODEL_CLIP_PARTS_H
#define STAGES_MODEL_CLIP_PARTS_H
#include "base/json.h"
#include "stages/io/safetensors.h"
#include "stages/model/clip.h"

/* No dimension of a real model comes near it; products of three stay inside int64_t. */
#define CLIP_SIZE_LIMIT (1 << 24)

/* clip_config.c. `path` names the file in errors. Missing fields are those of ViT-B/32; what weft cannot run
 * (another architecture or activation, sizes that do not divide) is ERROR_INPUT. */
bool clip_config_parse(const json_t *j, const char *path, struct clip_config *ret,
                       struct error *err) MUST_CHECK;
bool clip_config_check(const struct clip_config *c, const char *path, struct error *err) MUST_CHECK;
/* As transformers writes it; a new reference. type: of all weights. */
json_t *clip_config_json(const struct clip_config *c, bool with_text, enum dtype type);
extern const struct clip_config clip_vit_b32; /* openai/clip-vit-base-patch32: the defaults */

/* clip_openai.c. The file's tensors have OpenAI's names. */
bool clip_is_openai(const struct safetensors *s);
/* What OpenAI's code reads from the shapes, for a folder without config.json. The rest (activation, epsilon)
 * is the same in all of its models. */
bool clip_config_derive(const struct safetensors *s, struct clip_config *ret, struct error *err) MUST_CHECK;
/* The weight of that Hugging Face name and shape, as it is stored, whoever's names the file has: *ret is a
 * view of the map but for transposed matrices, which are copied to the arena (a NULL: only checked, no data).
 * *stored: the name in the file. Errors speak of that name and its shape. */
bool clip_stored(const struct safetensors *s, const char *name, int rank, const int64_t *shape,
                 struct arena *a, struct tensor *ret, const char **stored, struct error *err) MUST_CHECK;
/* clip_open.c */
bool clip_has_text(const struct safetensors *s);

/* clip.c: the structs with every shape set and no weights. */
bool clip_alloc(const struct clip_config *c, struct clip **ret, struct error *err) MUST_CHECK;

/* clip_tower.c: what both towers do once tokens are embedded. */
struct tower {
    struct block *block; /* (layers) */
    int64_t layers;
    const struct norm *norm;      /* of the pooled row */
    const struct linear *project; /* (E, C) */
    const char *embeds;           /* the observer's word for the result */
};
struct clip_tape {
    struct block_tape **block; /* (layers) */
    float *embedded;           /* (B,T,C) vision: what pre_norm saw */
    float *mean, *rstd;        /* (B*T) of pre_norm */
    int32_t *at;               /* (B) token that is pooled */
    float *row;                /* (B,C) its residual stream */
    float *row_mean, *row_rstd;
    float *pooled; /* (B,C) */
};
/* A zeroed tape in the pass' arena; NULL: out of memory. */
struct clip_tape *tape_new(const struct pass *p, int64_t layers);
/* x (B,T,C), changed in place -> embeds (B,E) of token at[b] of each sequence; pooled (B,C) may be NULL. */
bool tower_forward(const struct tower *w, const struct pass *p, bool row0, float *x, const int32_t *at,
                   float *embeds, float *pooled, struct clip_tape *tape, struct error *err) MUST_CHECK;
/* dembeds (B,E) -> *dx (B,T,C) in the arena, the gradient of the tower's input; NULL unless need_input. */
bool tower_backward(const struct tower *w, const struct pass *p, bool row0, const struct clip_tape *tape,
                    const float *dembeds, bool need_input, float **dx, struct error *err) MUST_CHECK;
bool clip_no_memory(struct error *err);
#endif
