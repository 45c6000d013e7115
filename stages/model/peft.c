/* LoRA adapters of the vision tower's feed-forwards, and their PEFT folders. */
#include "stages/model/peft.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "stages/io/safetensors.h"
#include <math.h>

#define PREFIX     "base_model.model."
#define LAYER      "vision_model.encoder.layers."
#define RANK_LIMIT (1 << 16)

static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for a LoRA adapter");
}
/* ---- structs ---- */
static bool mat_new(struct mat *w, int64_t rows, int64_t cols, bool train, struct arena *a)
{
    size_t bytes = (size_t)(rows * cols) * sizeof(float);
    *w = (struct mat){.w = arena_try(a, bytes), .rows = rows, .cols = cols};
    if (train)
        w->g = arena_try(a, bytes);
    return w->w && (!train || w->g);
}
static bool lora_new(struct lora *l, const struct linear *base, int64_t rank, double scale, bool train,
                     struct arena *a)
{
    l->scale = (float)scale;
    return mat_new(&l->a, rank, base->w.cols, train, a) && mat_new(&l->b, base->w.rows, rank, train, a);
}
/* All matrices zero. */
static bool set_new(const struct clip *m, int64_t rank, double alpha, double scale, bool train,
                    struct arena *a, struct adapter_set **ret, struct error *err)
{
    struct adapter_set *s = arena_alloc(a, sizeof *s);
    s->layers = (int)m->config.vision.layers;
    s->rank = rank;
    s->alpha = alpha;
    s->layer = arena_alloc(a, (size_t)s->layers * sizeof *s->layer);
    for (int l = 0; l < s->layers; l++)
        if (!lora_new(&s->layer[l].fc1, &m->vision[l].ffn.fc1, rank, scale, train, a) ||
            !lora_new(&s->layer[l].fc2, &m->vision[l].ffn.fc2, rank, scale, train, a))
            return no_memory(err);
    *ret = s;
    return true;
}
bool adapter_new(const struct clip *m, int64_t rank, double alpha, uint64_t seed, bool train, struct arena *a,
                 struct adapter_set **ret, struct error *err)
{
    struct adapter_set *s;
    if (!set_new(m, rank, alpha, alpha / (double)rank, train, a, &s, err))
        return false;
    struct rng_stream stream = rng_stream(seed, "lora.init");
    for (int i = 0; i < 2 * s->layers; i++) {
        struct mat *w = i % 2 ? &s->layer[i / 2].fc2.a : &s->layer[i / 2].fc1.a;
        struct rng r = rng_at(stream, (uint64_t)i, 0);
        float bound = 1 / sqrtf((float)w->cols);
        for (int64_t k = 0; k < mat_size(w); k++)
            w->w[k] = bound * (2 * rng_uniform(&r) - 1);
    }
    *ret = s;
    return true;
}
void clip_attach(struct clip *m, const struct adapter_set *s)
{
    for (int l = 0; l < m->config.vision.layers; l++)
        m->vision[l].ffn.lora = s ? &s->layer[l] : NULL;
}
void adapter_each(struct adapter_set *s, void (*see)(void *arg, const char *name, struct mat *w), void *arg)
{
    for (int l = 0; l < s->layers; l++)
        for (int k = 0; k < 4; k++) {
            char name[128];
            struct lora *lora = k < 2 ? &s->layer[l].fc1 : &s->layer[l].fc2;
            snprintf(name, sizeof name, PREFIX LAYER "%d.mlp.fc%d.lora_%c.weight", l, k / 2 + 1,
                     k % 2 ? 'B' : 'A');
            see(arg, name, k % 2 ? &lora->b : &lora->a);
        }
}

/* ---- adapter_config.json ---- */
static bool refuse(struct error *err, const char *path, const char *what)
{
    return error_set(err, NULL, ERROR_INPUT, "'%s': %s", path, what);
}
static bool empty(const json_t *v)
{
    return !v || json_is_null(v) || json_is_false(v) || (json_is_object(v) && !json_object_size(v)) ||
           (json_is_array(v) && !json_array_size(v));
}
/* A list of module names that end in fc1 or fc2; a string is a pattern, whose reach the tensors show. */
static bool targets_ok(const json_t *targets)
{
    size_t i;
    json_t *v;
    json_array_foreach(targets, i, v)
    {
        const char *name = json_string_value(v), *last = name ? strrchr(name, '.') : NULL;
        last = last ? last + 1 : name;
        if (!last || (strcmp(last, "fc1") && strcmp(last, "fc2")))
            return false;
    }
    return json_is_string(targets) || json_array_size(targets) > 0;
}
static bool config_read(const char *path, int64_t *rank, double *alpha, double *scale, struct error *err)
{
    AUTO_JSON j = json_read(path, err);
    if (!j || !json_get_int(j, "r", rank, err) || !json_get_real(j, "lora_alpha", alpha, err))
        return j ? error_context(err, "'%s'", path) : false;
    if (strcmp(json_string_or(j, "peft_type", "LORA"), "LORA"))
        return refuse(err, path, "'peft_type' must be LORA");
    if (*rank < 1 || *rank > RANK_LIMIT || !isfinite(*alpha))
        return refuse(err, path, "'r' must be from 1 to 65536 and 'lora_alpha' finite");
    if (!empty(json_object_get(j, "use_dora")))
        return refuse(err, path, "DoRA adapters ('use_dora') are beyond weft; train with use_dora false");
    if (!empty(json_object_get(j, "rank_pattern")) || !empty(json_object_get(j, "alpha_pattern")))
        return refuse(
            err, path,
            "one rank and alpha for all layers is needed: rank_pattern, alpha_pattern must be empty");
    if (!empty(json_object_get(j, "modules_to_save")) || strcmp(json_string_or(j, "bias", "none"), "none"))
        return refuse(err, path,
                      "only LoRA matrices are read: 'bias' must be none and 'modules_to_save' empty");
    if (!targets_ok(json_object_get(j, "target_modules")))
        return refuse(err, path, "'target_modules' must name fc1 and fc2 alone");
    *scale = *alpha / (json_bool_or(j, "use_rslora", false) ? sqrt((double)*rank) : (double)*rank);
    return true;
}

/* ---- loading ---- */
struct loading {
    const struct safetensors *file;
    struct error *err;
    bool ok;
};
static void load(void *arg, const char *name, struct mat *w)
{
    struct loading *l = arg;
    if (!l->ok)
        return;
    const int64_t shape[] = {w->rows, w->cols};
    const struct tensor *t = safetensors_want(l->file, name, 2, shape, l->err);
    struct arena a;
    arena_init(&a);
    const float *x = t ? tensor_floats(t, &a) : NULL;
    if (x)
        memcpy(w->w, x, (size_t)mat_size(w) * sizeof *x);
    else
        l->ok = t ? no_memory(l->err) : false;
    arena_done(&a);
}
bool peft_load(const char *dir, const struct clip *m, bool train, struct arena *a, struct adapter_set **ret,
               struct error *err)
{
    AUTO(mem) char *config = xprintf("%s/adapter_config.json", dir);
    AUTO(mem) char *weights = xprintf("%s/adapter_model.safetensors", dir);
    int64_t rank = 0;
    double alpha = 0, scale = 0;
    AUTO(safetensors) struct safetensors *file = NULL;
    struct adapter_set *s;
    if (!config_read(config, &rank, &alpha, &scale, err) || !safetensors_open(weights, &file, err) ||
        !set_new(m, rank, alpha, scale, train, a, &s, err))
        return false;
    struct loading l = {file, err, true};
    adapter_each(s, load, &l);
    if (!l.ok)
        return error_context(err, "adapter '%s' does not fit the model", dir);
    if (safetensors_count(file) != 4 * s->layers)
        return error_set(err, NULL, ERROR_INPUT,
                         "'%s' holds %d tensors, but fc1 and fc2 of the vision tower's %d layers have %d",
                         weights, safetensors_count(file), s->layers, 4 * s->layers);
    *ret = s;
    return true;
}

/* ---- saving ---- */
static void add(void *arg, const char *name, struct mat *w)
{
    safetensors_writer_add(arg, name, DTYPE_F32, 2, (const int64_t[]){w->rows, w->cols}, w->w);
}
static json_t *config_json(const struct adapter_set *s, const char *base_model)
{
    json_t *targets = json_array(); /* full names: a bare fc1 would also match the text tower */
    for (int i = 0; i < 2 * s->layers; i++)
        json_array_append_new(targets, json_sprintf(LAYER "%d.mlp.fc%d", i / 2, i % 2 + 1));
    bool rslora =
        s->layers && fabs(s->layer[0].fc1.scale * (double)s->rank - s->alpha) > 1e-3 * fabs(s->alpha);
    json_t *alpha = s->alpha == floor(s->alpha) && fabs(s->alpha) < 1e9 ? json_integer((json_int_t)s->alpha)
                                                                        : json_real(s->alpha);
    return json_pack("{s:s, s:I, s:o, s:f, s:s, s:o, s:b, s:b, s:b, s:b, s:b, s:{}, s:{}, s:n, s:n, s:o}",
                     "peft_type", "LORA", "r", (json_int_t)s->rank, "lora_alpha", alpha, "lora_dropout", 0.0,
                     "bias", "none", "target_modules", targets, "fan_in_fan_out", 0, "init_lora_weights", 1,
                     "use_rslora", rslora, "use_dora", 0, "inference_mode", 1, "rank_pattern",
                     "alpha_pattern", "modules_to_save", "task_type", "base_model_name_or_path",
                     base_model ? json_string(base_model) : json_null());
}
bool peft_save(const struct adapter_set *s, const char *base_model, const char *dir, struct error *err)
{
    AUTO(mem) char *config = xprintf("%s/adapter_config.json", dir);
    AUTO(mem) char *weights = xprintf("%s/adapter_model.safetensors", dir);
    AUTO_JSON j = config_json(s, base_model);
    if (!json_write(config, j, err))
        return false;
    struct safetensors_writer *w = safetensors_writer_new();
    adapter_each((struct adapter_set *)s, add, w); /* add only reads */
    return safetensors_write(w, weights, err);
}
