/* config.json of CLIP, in and out. */
#include "stages/model/clip_parts.h"

#define LAYER_LIMIT 1024

static const struct {
    const char *name;
    enum activation act;
} activations[] = {{"quick_gelu", ACT_QUICK_GELU}, {"gelu", ACT_GELU}, {"silu", ACT_SILU}};
#define ACTIVATIONS (sizeof activations / sizeof *activations)

const struct clip_config clip_vit_b32 = {
    .vision = {.width = 768, .layers = 12, .heads = 12, .mlp = 3072, .eps = 1e-5, .act = ACT_QUICK_GELU},
    .text = {.width = 512, .layers = 12, .heads = 8, .mlp = 2048, .eps = 1e-5, .act = ACT_QUICK_GELU},
    .image_size = 224,
    .patch = 32,
    .channels = 3,
    .vocab = 49408,
    .context = 77,
    .bos = 49406,
    .eos = 49407,
    .embed = 512};

/* Where an integer of config.json goes; absent and null keep the default that is already there. */
static bool integer(const json_t *o, const char *path, const char *key, int64_t min, int64_t *ret,
                    struct error *err)
{
    const json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v))
        return true;
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > CLIP_SIZE_LIMIT)
        return error_set(err, NULL, ERROR_INPUT, "'%s': '%s' must be an integer from %lld to %d", path, key,
                         (long long)min, CLIP_SIZE_LIMIT);
    *ret = json_integer_value(v);
    return true;
}
static bool activation_of(const json_t *o, const char *path, enum activation *ret, struct error *err)
{
    const json_t *v = json_object_get(o, "hidden_act");
    if (!v || json_is_null(v))
        return true;
    for (size_t i = 0; json_is_string(v) && i < ACTIVATIONS; i++)
        if (!strcmp(json_string_value(v), activations[i].name)) {
            *ret = activations[i].act;
            return true;
        }
    return error_set(err, NULL, ERROR_INPUT,
                     "'%s': 'hidden_act' is '%s'; weft knows quick_gelu, gelu and silu", path,
                     json_is_string(v) ? json_string_value(v) : "no string");
}
static bool tower_parse(const json_t *o, const char *path, struct tower_config *t, struct error *err)
{
    const json_t *eps = json_object_get(o, "layer_norm_eps");
    if (eps && !json_is_null(eps)) {
        if (!json_is_number(eps) || !(json_number_value(eps) > 0) || !(json_number_value(eps) < 1))
            return error_set(err, NULL, ERROR_INPUT,
                             "'%s': 'layer_norm_eps' must be a number between 0 and 1", path);
        t->eps = json_number_value(eps);
    }
    return integer(o, path, "hidden_size", 1, &t->width, err) &&
           integer(o, path, "intermediate_size", 1, &t->mlp, err) &&
           integer(o, path, "num_hidden_layers", 1, &t->layers, err) &&
           integer(o, path, "num_attention_heads", 1, &t->heads, err) && activation_of(o, path, &t->act, err);
}
static bool vision_parse(const json_t *o, const char *path, struct clip_config *c, struct error *err)
{
    return tower_parse(o, path, &c->vision, err) && integer(o, path, "image_size", 1, &c->image_size, err) &&
           integer(o, path, "patch_size", 1, &c->patch, err) &&
           integer(o, path, "num_channels", 1, &c->channels, err);
}
static bool text_parse(const json_t *o, const char *path, struct clip_config *c, struct error *err)
{
    return tower_parse(o, path, &c->text, err) && integer(o, path, "vocab_size", 1, &c->vocab, err) &&
           integer(o, path, "max_position_embeddings", 1, &c->context, err) &&
           integer(o, path, "bos_token_id", 0, &c->bos, err) &&
           integer(o, path, "eos_token_id", 0, &c->eos, err);
}
static bool tower_check(const char *path, const char *tower, const struct tower_config *t, struct error *err)
{
    if (t->layers > LAYER_LIMIT)
        return error_set(err, NULL, ERROR_INPUT, "'%s': %s tower: num_hidden_layers must be at most %d", path,
                         tower, LAYER_LIMIT);
    if (t->width % t->heads)
        return error_set(err, NULL, ERROR_INPUT,
                         "'%s': %s tower: hidden_size %lld is no multiple of num_attention_heads %lld", path,
                         tower, (long long)t->width, (long long)t->heads);
    return true;
}
bool clip_config_check(const struct clip_config *c, const char *path, struct error *err)
{
    if (!tower_check(path, "vision", &c->vision, err) || !tower_check(path, "text", &c->text, err))
        return false;
    if (c->channels != 3)
        return error_set(err, NULL, ERROR_INPUT, "'%s': num_channels is %lld; weft's images have 3", path,
                         (long long)c->channels);
    if (c->image_size % c->patch || c->image_size > 8192)
        return error_set(err, NULL, ERROR_INPUT,
                         "'%s': image_size %lld must be at most 8192 and a multiple of patch_size %lld", path,
                         (long long)c->image_size, (long long)c->patch);
    if (c->eos >= c->vocab || c->bos >= c->vocab)
        return error_set(err, NULL, ERROR_INPUT,
                         "'%s': bos_token_id and eos_token_id must be below vocab_size %lld", path,
                         (long long)c->vocab);
    return true;
}
bool clip_config_parse(const json_t *j, const char *path, struct clip_config *ret, struct error *err)
{
    const char *type = json_string_value(json_object_get(j, "model_type"));
    const json_t *vision = json_object_get(j, "vision_config"), *text = json_object_get(j, "text_config");
    struct clip_config c = clip_vit_b32;
    if (!json_is_object(j) || !type || strcmp(type, "clip"))
        return error_set(err, NULL, ERROR_INPUT,
                         "'%s': 'model_type' is '%s'; weft reads CLIP models (\"model_type\": \"clip\")",
                         path, type ? type : "absent");
    /* of the first versions of transformers; where both are there, these are the ones it believes */
    const json_t *old_vision = json_object_get(j, "vision_config_dict"),
                 *old_text = json_object_get(j, "text_config_dict");
    bool ok = vision_parse(vision, path, &c, err) && vision_parse(old_vision, path, &c, err) &&
              text_parse(text, path, &c, err) && text_parse(old_text, path, &c, err) &&
              integer(j, path, "projection_dim", 1, &c.embed, err) && clip_config_check(&c, path, err);
    if (ok)
        *ret = c;
    return ok;
}

static json_t *tower_json(const struct clip_config *c, const struct tower_config *t, const char *type)
{
    const char *act = "";
    for (size_t i = 0; i < ACTIVATIONS; i++)
        if (activations[i].act == t->act)
            act = activations[i].name;
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:f, s:s, s:I, s:f}", "model_type", type, "hidden_size",
                     (json_int_t)t->width, "intermediate_size", (json_int_t)t->mlp, "num_hidden_layers",
                     (json_int_t)t->layers, "num_attention_heads", (json_int_t)t->heads, "layer_norm_eps",
                     t->eps, "hidden_act", act, "projection_dim", (json_int_t)c->embed, "attention_dropout",
                     0.0);
}
json_t *clip_config_json(const struct clip_config *c, bool with_text, enum dtype type)
{
    const char *name = type == DTYPE_F16 ? "float16" : type == DTYPE_BF16 ? "bfloat16" : "float32";
    json_t *vision = tower_json(c, &c->vision, "clip_vision_model");
    json_t *text = tower_json(c, &c->text, "clip_text_model");
    json_object_set_new(vision, "image_size", json_integer(c->image_size));
    json_object_set_new(vision, "patch_size", json_integer(c->patch));
    json_object_set_new(vision, "num_channels", json_integer(c->channels));
    json_object_set_new(text, "vocab_size", json_integer(c->vocab));
    json_object_set_new(text, "max_position_embeddings", json_integer(c->context));
    json_object_set_new(text, "bos_token_id", json_integer(c->bos));
    json_object_set_new(text, "eos_token_id", json_integer(c->eos));
    json_object_set_new(text, "pad_token_id", json_integer(c->eos));
    return json_pack("{s:[s], s:s, s:I, s:f, s:s, s:o, s:o}", "architectures",
                     with_text ? "CLIPModel" : "CLIPVisionModelWithProjection", "model_type", "clip",
                     "projection_dim", (json_int_t)c->embed, "logit_scale_init_value", 2.6592, "torch_dtype",
                     name, "vision_config", vision, "text_config", text);
}
