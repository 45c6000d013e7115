/* OpenAI's names for CLIP's weights (REFERENCE 2): its files call them otherwise than Hugging Face's, keep q,
 * k and v in one tensor (3C, C) and the two projections transposed (C, E). Numbers are the same, so a weight
 * is found by its Hugging Face name in either. */
#include "base/cleanup.h"
#include "stages/model/clip_parts.h"
#include <math.h>

/* How a weight lies in OpenAI's tensor. */
enum lie {
    ALL,
    FIRST_THIRD,
    SECOND_THIRD,
    LAST_THIRD,
    TRANSPOSED,
    LAYER /* "<l>." and a name of `inner` follow */
};
struct rename { /* a name that begins so: that beginning is replaced */
    const char *from, *to;
    enum lie lie;
};
static const struct rename outer[] = {
    {"vision_model.encoder.layers.", "visual.transformer.resblocks.", LAYER},
    {"text_model.encoder.layers.", "transformer.resblocks.", LAYER},
    {"vision_model.embeddings.class_embedding", "visual.class_embedding", ALL},
    {"vision_model.embeddings.patch_embedding", "visual.conv1", ALL},
    {"vision_model.embeddings.position_embedding.weight", "visual.positional_embedding", ALL},
    {"vision_model.pre_layrnorm", "visual.ln_pre", ALL},
    {"vision_model.post_layernorm", "visual.ln_post", ALL},
    {"visual_projection.weight", "visual.proj", TRANSPOSED},
    {"text_model.embeddings.token_embedding", "token_embedding", ALL},
    {"text_model.embeddings.position_embedding.weight", "positional_embedding", ALL},
    {"text_model.final_layer_norm", "ln_final", ALL},
    {"text_projection.weight", "text_projection", TRANSPOSED},
    {"", "", ALL}, /* logit_scale */
};
static const struct rename inner[] = {
    {"layer_norm1", "ln_1", ALL},
    {"layer_norm2", "ln_2", ALL},
    {"self_attn.q_proj.", "attn.in_proj_", FIRST_THIRD},
    {"self_attn.k_proj.", "attn.in_proj_", SECOND_THIRD},
    {"self_attn.v_proj.", "attn.in_proj_", LAST_THIRD},
    {"self_attn.out_proj", "attn.out_proj", ALL},
    {"mlp.fc1", "mlp.c_fc", ALL},
    {"mlp.fc2", "mlp.c_proj", ALL},
    {"", "", ALL},
};
static const struct rename *row_of(const struct rename *r, const char *name)
{
    while (strncmp(name, r->from, strlen(r->from)) != 0)
        r++;
    return r;
}
static enum lie translate(const char *name, char *to, size_t room)
{
    const struct rename *r = row_of(outer, name);
    const char *rest = name + strlen(r->from);
    if (r->lie != LAYER) {
        snprintf(to, room, "%s%s", r->to, rest);
        return r->lie;
    }
    int number = (int)strspn(rest, "0123456789.");
    const struct rename *in = row_of(inner, rest + number);
    snprintf(to, room, "%s%.*s%s%s", r->to, number, rest, in->to, rest + number + strlen(in->from));
    return in->lie;
}

bool clip_is_openai(const struct safetensors *s)
{
    return safetensors_find(s, "visual.conv1.weight") != NULL;
}
/* t (rows, cols) -> data (cols, rows) of the arena; NULL: out of memory. */
static const void *transpose(const struct tensor *t, struct arena *a)
{
    int64_t rows = t->shape[0], cols = t->shape[1];
    size_t size = (size_t)dtype_size(t->dtype);
    const uint8_t *from = t->data;
    uint8_t *to = arena_try(a, (size_t)(rows * cols) * size);
    for (int64_t r = 0; to && r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            memcpy(to + (size_t)(c * rows + r) * size, from + (size_t)(r * cols + c) * size, size);
    return to;
}
/* A scalar that some exporters store with shape [1]. */
static const struct tensor *want(const struct safetensors *s, const char *name, int rank,
                                 const int64_t *shape, struct error *err)
{
    const struct tensor *t = rank ? NULL : safetensors_find(s, name);
    if (t && t->rank == 1 && t->shape[0] == 1)
        return safetensors_want(s, name, 1, t->shape, err);
    return safetensors_want(s, name, rank, shape, err);
}
bool clip_stored(const struct safetensors *s, const char *name, int rank, const int64_t *shape,
                 struct arena *a, struct tensor *ret, const char **stored, struct error *err)
{
    char other[256];
    int64_t lying[8];
    enum lie lie = ALL;
    snprintf(other, sizeof other, "%s", name);
    if (clip_is_openai(s))
        lie = translate(name, other, sizeof other);
    for (int i = 0; i < rank; i++)
        lying[i] = shape[lie == TRANSPOSED ? rank - 1 - i : i];
    bool third = lie >= FIRST_THIRD && lie <= LAST_THIRD;
    if (third)
        lying[0] *= 3;
    const struct tensor *t = want(s, other, rank, lying, err);
    if (!t)
        return false;
    *stored = t->name;
    *ret = *t;
    if (third) {
        ret->n /= 3;
        ret->data = (const char *)t->data + (lie - FIRST_THIRD) * ret->n * dtype_size(t->dtype);
    }
    if (lie == TRANSPOSED && a && !(ret->data = transpose(t, a)))
        return clip_no_memory(err);
    ret->name = name;
    ret->rank = rank;
    for (int i = 0; i < rank; i++)
        ret->shape[i] = shape[i];
    return true;
}

/* ---- sizes from shapes, as OpenAI's code finds them ---- */
#define HEAD        64 /* width of a head in all of its models */
#define SIZE(field) offsetof(struct clip_config, field)
static const struct size {
    const char *tensor;
    int rank, axis;
    size_t at; /* of an int64_t in struct clip_config */
    bool text;
} sizes[] = {
    {"visual.conv1.weight", 4, 0, SIZE(vision.width), false},
    {"visual.conv1.weight", 4, 1, SIZE(channels), false},
    {"visual.conv1.weight", 4, 3, SIZE(patch), false},
    {"visual.positional_embedding", 2, 0, SIZE(image_size), false}, /* tokens, for a moment */
    {"visual.transformer.resblocks.0.mlp.c_fc.weight", 2, 0, SIZE(vision.mlp), false},
    {"visual.proj", 2, 1, SIZE(embed), false},
    {"token_embedding.weight", 2, 0, SIZE(vocab), true},
    {"token_embedding.weight", 2, 1, SIZE(text.width), true},
    {"positional_embedding", 2, 0, SIZE(context), true},
    {"transformer.resblocks.0.mlp.c_fc.weight", 2, 0, SIZE(text.mlp), true},
};
static bool size_of(const struct safetensors *s, const struct size *row, struct clip_config *c,
                    struct error *err)
{
    const struct tensor *t = safetensors_want(s, row->tensor, -1, NULL, err);
    if (!t)
        return false;
    if (t->rank != row->rank)
        return error_set(err, NULL, ERROR_INPUT, "'%s': tensor '%s' has %d dimensions, but %d are needed",
                         safetensors_path(s, t), row->tensor, t->rank, row->rank);
    int64_t n = t->shape[row->axis];
    if (n < 1 || n > CLIP_SIZE_LIMIT)
        return error_set(err, NULL, ERROR_INPUT,
                         "'%s': dimension %d of tensor '%s' is %lld, not from 1 to %d",
                         safetensors_path(s, t), row->axis, row->tensor, (long long)n, CLIP_SIZE_LIMIT);
    memcpy((char *)c + row->at, &n, sizeof n);
    return true;
}
static int64_t count_layers(const struct safetensors *s, const char *tower)
{
    size_t n = strlen(tower);
    int64_t layers = 0;
    for (int i = 0; i < safetensors_count(s); i++) {
        const char *name = safetensors_at(s, i)->name;
        if (!strncmp(name, tower, n) &&
            strcmp(name + n + strspn(name + n, "0123456789"), ".ln_1.weight") == 0)
            layers++;
    }
    return layers;
}
static bool tower_sizes(const struct safetensors *s, const char *tower, struct tower_config *t,
                        struct error *err)
{
    t->layers = count_layers(s, tower);
    t->heads = t->width / HEAD;
    if (t->width % HEAD)
        return error_set(
            err, NULL, ERROR_INPUT,
            "'%s': a width of %lld (%s) is no multiple of %d, so the number of heads is unknown: "
            "say it in a config.json",
            safetensors_path(s, NULL), (long long)t->width, tower, HEAD);
    return true;
}
bool clip_config_derive(const struct safetensors *s, struct clip_config *ret, struct error *err)
{
    struct clip_config c = clip_vit_b32;
    bool text = clip_has_text(s);
    if (safetensors_find(s, "visual.attnpool.c_proj.weight"))
        return error_set(err, NULL, ERROR_INPUT,
                         "'%s' is a CLIP model with a ResNet; weft reads those with a ViT",
                         safetensors_path(s, NULL));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if ((text || !sizes[i].text) && !size_of(s, &sizes[i], &c, err))
            return false;
    c.image_size = c.patch * (int64_t)sqrt((double)(c.image_size - 1)); /* a class token, then a square */
    if (text) { /* the last two ids; elsewhere the defaults stay */
        c.eos = c.vocab - 1;
        c.bos = c.vocab > 1 ? c.vocab - 2 : 0;
    }
    if (!tower_sizes(s, "visual.transformer.resblocks.", &c.vision, err) ||
        (text && !tower_sizes(s, "transformer.resblocks.", &c.text, err)) ||
        !clip_config_check(&c, safetensors_path(s, NULL), err))
        return false;
    *ret = c;
    return true;
}
