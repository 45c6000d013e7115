/* The tensors of full-size CLIP models: names and shapes as the published files have them, Hugging Face's and
 * OpenAI's (REFERENCE 2), written down once more beside the model's own table. */
#ifndef TESTS_UNIT_CLIP_ROWS_H
#define TESTS_UNIT_CLIP_ROWS_H
#include <stdint.h>
#include <stdio.h>

struct clip_size {
    int64_t width, layers, patch, image;
    int64_t text_width, embed; /* 12 layers, 77 positions, 49408 ids */
};
static const struct clip_size vit_b32 = {768, 12, 32, 224, 512, 512}, vit_b16 = {768, 12, 16, 224, 512, 512},
                              vit_l14 = {1024, 24, 14, 224, 768, 768},
                              vit_l14_336 = {1024, 24, 14, 336, 768, 768};

struct clip_row {
    char name[160];
    int rank;
    int64_t shape[4], n;
};
struct clip_rows {
    struct clip_row row[800];
    int n;
};
/* shape ends with 0 */
static inline void clip_row_add(struct clip_rows *r, const char *at, const char *name, const int64_t *shape)
{
    struct clip_row *x = &r->row[r->n++];
    *x = (struct clip_row){.n = 1};
    snprintf(x->name, sizeof x->name, "%s%s", at, name);
    for (; shape[x->rank]; x->rank++) {
        x->shape[x->rank] = shape[x->rank];
        x->n *= shape[x->rank];
    }
}
#define ROW(name, ...) clip_row_add(r, at, name, (const int64_t[]){__VA_ARGS__, 0})
static inline void clip_pair(struct clip_rows *r, const char *at, const char *name, int64_t out, int64_t in)
{
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    ROW(full, out, in);
    snprintf(full, sizeof full, "%s.bias", name);
    ROW(full, out);
}
static inline void clip_blocks_hf(struct clip_rows *r, const char *tower, int64_t layers, int64_t d)
{
    for (int l = 0; l < layers; l++) {
        char at[64];
        snprintf(at, sizeof at, "%s_model.encoder.layers.%d.", tower, l);
        clip_pair(r, at, "layer_norm1", d, 0);
        clip_pair(r, at, "layer_norm2", d, 0);
        clip_pair(r, at, "self_attn.q_proj", d, d);
        clip_pair(r, at, "self_attn.k_proj", d, d);
        clip_pair(r, at, "self_attn.v_proj", d, d);
        clip_pair(r, at, "self_attn.out_proj", d, d);
        clip_pair(r, at, "mlp.fc1", 4 * d, d);
        clip_pair(r, at, "mlp.fc2", d, 4 * d);
    }
}
static inline void clip_rows_hf(struct clip_rows *r, const struct clip_size *s)
{
    const char *at = "vision_model.embeddings.";
    int64_t d = s->width, t = s->text_width, tokens = s->image / s->patch * (s->image / s->patch) + 1;
    r->n = 0;
    ROW("class_embedding", d);
    ROW("patch_embedding.weight", d, 3, s->patch, s->patch);
    ROW("position_embedding.weight", tokens, d);
    clip_pair(r, "vision_model.", "pre_layrnorm", d, 0);
    clip_pair(r, "vision_model.", "post_layernorm", d, 0);
    clip_blocks_hf(r, "vision", s->layers, d);
    at = "text_model.embeddings.";
    ROW("token_embedding.weight", 49408, t);
    ROW("position_embedding.weight", 77, t);
    clip_pair(r, "text_model.", "final_layer_norm", t, 0);
    clip_blocks_hf(r, "text", 12, t);
    at = "";
    ROW("visual_projection.weight", s->embed, d);
    ROW("text_projection.weight", s->embed, t);
    ROW("logit_scale", 0);
}
static inline void clip_blocks_openai(struct clip_rows *r, const char *tower, int64_t layers, int64_t d)
{
    for (int l = 0; l < layers; l++) {
        char at[64];
        snprintf(at, sizeof at, "%stransformer.resblocks.%d.", tower, l);
        ROW("attn.in_proj_weight", 3 * d, d);
        ROW("attn.in_proj_bias", 3 * d);
        clip_pair(r, at, "attn.out_proj", d, d);
        clip_pair(r, at, "ln_1", d, 0);
        clip_pair(r, at, "mlp.c_fc", 4 * d, d);
        clip_pair(r, at, "mlp.c_proj", d, 4 * d);
        clip_pair(r, at, "ln_2", d, 0);
    }
}
static inline void clip_rows_openai(struct clip_rows *r, const struct clip_size *s)
{
    const char *at = "";
    int64_t d = s->width, t = s->text_width, tokens = s->image / s->patch * (s->image / s->patch) + 1;
    r->n = 0;
    ROW("positional_embedding", 77, t);
    ROW("text_projection", t, s->embed);
    ROW("logit_scale", 0);
    ROW("visual.class_embedding", d);
    ROW("visual.positional_embedding", tokens, d);
    ROW("visual.proj", d, s->embed);
    ROW("visual.conv1.weight", d, 3, s->patch, s->patch);
    clip_pair(r, at, "visual.ln_pre", d, 0);
    clip_blocks_openai(r, "visual.", s->layers, d);
    clip_pair(r, at, "visual.ln_post", d, 0);
    clip_blocks_openai(r, "", 12, t);
    ROW("token_embedding.weight", 49408, t);
    clip_pair(r, at, "ln_final", t, 0);
}
#undef ROW
#endif
