/* A CLIP model from a folder, Hugging Face's or one with OpenAI's tensors. Weights are the mapped file itself
 * where it holds aligned float32 as the model has them; all others are converted once into the model's arena.
 */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/model/clip_parts.h"
#include "stages/model/unified.h"

/* ---- weights ---- */
struct loading {
    struct clip *m;
    json_t *used; /* names in the file */
    bool values;
    struct error *err;
    bool failed;
};
static void load_weight(void *arg, const char *name, struct mat *w, int rank, const int64_t *shape)
{
    struct loading *l = arg;
    struct tensor t;
    const char *stored;
    if (l->failed)
        return;
    l->failed =
        !clip_stored(l->m->files, name, rank, shape, l->values ? &l->m->arena : NULL, &t, &stored, l->err);
    if (l->failed)
        return;
    json_object_set_new(l->used, stored, json_true());
    if (l->values && !(w->w = (float *)tensor_floats(&t, &l->m->arena)))
        l->failed = !clip_no_memory(l->err);
}
static bool ends(const char *s, const char *tail)
{
    size_t n = strlen(s), t = strlen(tail);
    return n >= t && !strcmp(s + n - t, tail);
}
/* No weights: numbers that older writers kept among them. */
static bool is_buffer(const char *name)
{
    return ends(name, ".position_ids") || !strcmp(name, "input_resolution") ||
           !strcmp(name, "context_length") || !strcmp(name, "vocab_size");
}
/* A layer that nobody asked for would be a layer silently left out. */
static bool check_extra(const struct safetensors *s, const json_t *used, const char *config,
                        struct error *err)
{
    int extra = 0;
    const struct tensor *first = NULL;
    for (int i = 0; i < safetensors_count(s); i++) {
        const struct tensor *t = safetensors_at(s, i);
        if (is_buffer(t->name) || json_object_get(used, t->name))
            continue;
        first = first ? first : t;
        extra++;
    }
    if (!first)
        return true;
    AUTO(buf) struct buf others = {0};
    if (extra > 1)
        buf_printf(&others, " (and %d more)", extra - 1);
    return error_set(err, NULL, ERROR_INPUT,
                     "'%s': tensor '%s'%s is no part of the CLIP model that '%s' describes",
                     safetensors_path(s, first), first->name, buf_str(&others), config);
}
bool clip_has_text(const struct safetensors *s)
{
    const char *const starts[] = {"text_model.", "transformer.", "token_embedding."};
    for (int i = 0; i < safetensors_count(s); i++)
        for (int k = 0; k < 3; k++)
            if (!strncmp(safetensors_at(s, i)->name, starts[k], strlen(starts[k])))
                return true;
    return false;
}
static bool load_weights(struct clip *m, const char *config, bool values, struct error *err)
{
    if (!clip_has_text(m->files)) /* a vision tower alone is enough for everything but class texts */
        m->text = NULL;
    AUTO_JSON used = json_object();
    struct loading l = {m, used, values, err, false};
    clip_each_weight(m, load_weight, &l);
    return !l.failed && check_extra(m->files, used, config, err);
}

/* ---- the folder ---- */
static bool is_pickle(const char *path)
{
    return ends(path, ".pt") || ends(path, ".pth") || ends(path, ".bin") || ends(path, ".ckpt");
}
static bool refuse_pickle(const char *path, struct error *err)
{
    return error_set(err, NULL, ERROR_INPUT,
                     "'%s' is in PyTorch's own format, which weft does not read: save its tensors as "
                     "model.safetensors in a folder, which takes three lines of Python (docs/models.md)",
                     path);
}
static bool refuse_place(const char *dir, struct error *err)
{
    if (!fs_exists(dir))
        return error_set(err, NULL, ERROR_INPUT, "there is no folder '%s'", dir);
    return is_pickle(dir)
               ? refuse_pickle(dir, err)
               : error_set(err, NULL, ERROR_INPUT,
                           "'%s' is no folder; a model is one with config.json and model.safetensors", dir);
}
/* Where there is no safetensors file, what lies there instead may tell why. */
static bool open_weights(const char *dir, struct safetensors **ret, struct error *err)
{
    AUTO(mem) char *single = xprintf("%s/model.safetensors", dir);
    AUTO(mem) char *index = xprintf("%s/model.safetensors.index.json", dir);
    char **list;
    size_t n;
    bool pickle = false;
    if (!fs_is_dir(dir))
        return refuse_place(dir, err);
    if (fs_exists(single) || fs_exists(index) || !fs_list_tree(dir, &list, &n, NULL))
        return safetensors_open_model(dir, ret, err);
    for (size_t i = 0; i < n && !pickle; i++)
        if ((pickle = !strchr(list[i], '/') && is_pickle(list[i]))) {
            AUTO(mem) char *path = xprintf("%s/%s", dir, list[i]);
            refuse_pickle(path, err);
        }
    fs_list_free(list, n);
    return !pickle && safetensors_open_model(dir, ret, err);
}
/* config.json, or with OpenAI's names what the shapes say: a model without weights. *unified: the folder is
 * one. */
static bool read_config(const char *path, const struct safetensors *s, struct clip **ret, bool *unified,
                        struct error *err)
{
    struct clip_config c;
    *unified = false;
    if (clip_is_openai(s) && !fs_exists(path))
        return clip_config_derive(s, &c, err) && clip_alloc(&c, ret, err);
    AUTO_JSON j = json_read(path, err);
    if (!j)
        return false;
    *unified = !strcmp(json_string_or(j, "model_type", ""), "weft_moe");
    const json_t *seed = *unified ? json_object_get(j, "seed_config") : j;
    if (!clip_config_parse(seed, path, &c, err) || !clip_alloc(&c, ret, err))
        return false;
    const char *name = json_string_or(seed, "_name_or_path", "");
    (*ret)->name = *name ? arena_strdup(&(*ret)->arena, name) : NULL;
    return true;
}
static bool open_folder(const char *dir, bool values, struct clip **ret, struct error *err)
{
    AUTO(mem) char *path = xprintf("%s/config.json", dir);
    AUTO(safetensors) struct safetensors *s = NULL;
    AUTO(clip) struct clip *m = NULL;
    bool unified;
    if (!open_weights(dir, &s, err) || !read_config(path, s, &m, &unified, err))
        return false;
    m->files = s;
    s = NULL;
    if (!load_weights(m, path, values, err) || (unified && !unified_load(m, dir, false, err)))
        return false;
    *ret = m;
    m = NULL;
    return true;
}
bool clip_open(const char *dir, struct clip **ret, struct error *err)
{
    return open_folder(dir, true, ret, err) || error_context(err, "cannot open model '%s'", dir);
}
bool clip_inspect(const char *dir, struct clip **ret, struct error *err)
{
    return open_folder(dir, false, ret, err) || error_context(err, "cannot open model '%s'", dir);
}
