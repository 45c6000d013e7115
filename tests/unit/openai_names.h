/* A Hugging Face CLIP file as OpenAI would have written it: the names, the fused q, k, v and the transposed
 * projections spelt out one by one, so that the model's own table has something to be wrong against. */
#ifndef TESTS_UNIT_OPENAI_NAMES_H
#define TESTS_UNIT_OPENAI_NAMES_H
#include "base/arena.h"
#include "stages/io/safetensors.h"
#include <stdlib.h>
#include <string.h>

struct openai_copy {
    const struct safetensors *from;
    struct safetensors_writer *to;
    struct arena *arena; /* names and moved data, until it is written */
};
static inline const struct tensor *openai_source(const struct openai_copy *c, const char *name)
{
    const struct tensor *t = safetensors_find(c->from, name);
    if (!t)
        abort();
    return t;
}
static inline void openai_put(const struct openai_copy *c, const char *hf, const char *name)
{
    const struct tensor *t = openai_source(c, hf);
    safetensors_writer_add(c->to, name, t->dtype, t->rank, t->shape, t->data);
}
static inline void openai_pair(const struct openai_copy *c, const char *hf, const char *name)
{
    openai_put(c, arena_printf(c->arena, "%s.weight", hf), arena_printf(c->arena, "%s.weight", name));
    openai_put(c, arena_printf(c->arena, "%s.bias", hf), arena_printf(c->arena, "%s.bias", name));
}
static inline void openai_transposed(const struct openai_copy *c, const char *hf, const char *name)
{
    const struct tensor *t = openai_source(c, hf);
    int64_t rows = t->shape[0], cols = t->shape[1], size = dtype_size(t->dtype);
    char *data = arena_alloc(c->arena, (size_t)(t->n * size));
    for (int64_t i = 0; i < t->n; i++)
        memcpy(data + (i % cols * rows + i / cols) * size, (const char *)t->data + i * size, (size_t)size);
    safetensors_writer_add(c->to, name, t->dtype, 2, (const int64_t[]){cols, rows}, data);
}
static inline void openai_fused(const struct openai_copy *c, const char *hf, const char *name,
                                const char *what)
{
    const struct tensor *q = openai_source(c, arena_printf(c->arena, "%sself_attn.q_proj.%s", hf, what)),
                        *k = openai_source(c, arena_printf(c->arena, "%sself_attn.k_proj.%s", hf, what)),
                        *v = openai_source(c, arena_printf(c->arena, "%sself_attn.v_proj.%s", hf, what));
    size_t bytes = (size_t)(q->n * dtype_size(q->dtype));
    char *data = arena_alloc(c->arena, 3 * bytes);
    memcpy(data, q->data, bytes);
    memcpy(data + bytes, k->data, bytes);
    memcpy(data + 2 * bytes, v->data, bytes);
    safetensors_writer_add(c->to, arena_printf(c->arena, "%sattn.in_proj_%s", name, what), q->dtype, q->rank,
                           (const int64_t[]){3 * q->shape[0], q->shape[1]}, data);
}
static inline void openai_blocks(const struct openai_copy *c, const char *tower, const char *name)
{
    for (int l = 0;; l++) {
        const char *hf = arena_printf(c->arena, "%s.encoder.layers.%d.", tower, l),
                   *to = arena_printf(c->arena, "%stransformer.resblocks.%d.", name, l);
        if (!safetensors_find(c->from, arena_printf(c->arena, "%smlp.fc1.bias", hf)))
            return;
        openai_fused(c, hf, to, "weight");
        openai_fused(c, hf, to, "bias");
        openai_pair(c, arena_printf(c->arena, "%sself_attn.out_proj", hf),
                    arena_printf(c->arena, "%sattn.out_proj", to));
        openai_pair(c, arena_printf(c->arena, "%slayer_norm1", hf), arena_printf(c->arena, "%sln_1", to));
        openai_pair(c, arena_printf(c->arena, "%slayer_norm2", hf), arena_printf(c->arena, "%sln_2", to));
        openai_pair(c, arena_printf(c->arena, "%smlp.fc1", hf), arena_printf(c->arena, "%smlp.c_fc", to));
        openai_pair(c, arena_printf(c->arena, "%smlp.fc2", hf), arena_printf(c->arena, "%smlp.c_proj", to));
    }
}
/* Also the three numbers that OpenAI's archives keep among the weights. */
static inline bool openai_write(const struct safetensors *from, const char *path, struct error *err)
{
    struct arena a;
    arena_init(&a);
    struct openai_copy c = {from, safetensors_writer_new(), &a};
    static const int64_t number = 32;
    safetensors_writer_add(c.to, "input_resolution", DTYPE_I64, 0, NULL, &number);
    safetensors_writer_add(c.to, "context_length", DTYPE_I64, 0, NULL, &number);
    safetensors_writer_add(c.to, "vocab_size", DTYPE_I64, 0, NULL, &number);
    openai_put(&c, "logit_scale", "logit_scale");
    openai_put(&c, "vision_model.embeddings.class_embedding", "visual.class_embedding");
    openai_put(&c, "vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight");
    openai_put(&c, "vision_model.embeddings.position_embedding.weight", "visual.positional_embedding");
    openai_pair(&c, "vision_model.pre_layrnorm", "visual.ln_pre");
    openai_pair(&c, "vision_model.post_layernorm", "visual.ln_post");
    openai_blocks(&c, "vision_model", "visual.");
    openai_transposed(&c, "visual_projection.weight", "visual.proj");
    if (safetensors_find(from, "text_projection.weight")) {
        openai_put(&c, "text_model.embeddings.token_embedding.weight", "token_embedding.weight");
        openai_put(&c, "text_model.embeddings.position_embedding.weight", "positional_embedding");
        openai_pair(&c, "text_model.final_layer_norm", "ln_final");
        openai_blocks(&c, "text_model", "");
        openai_transposed(&c, "text_projection.weight", "text_projection");
    }
    bool ok = safetensors_write(c.to, path, err);
    arena_done(&a);
    return ok;
}
#endif
