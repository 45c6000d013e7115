/* The unified model: building it over a seed model, and its folder. */
#include "stages/model/unified.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "stages/io/safetensors.h"
#include <math.h>
#include <string.h>

#define EXPERTS_LIMIT 4096
#define FORMAT        "weft-moe-1"

static const char *const gates[] = {"raw", "renorm", "straight", "soft", "smear"};
static const char *const contexts[] = {"self", "seed", "class", "patches", "causal", "batch"};
static const char *const shares[] = {"none", "added", "rest"};
#define COUNT(names) (int)(sizeof(names) / sizeof *(names))

/* The parts of a router: their names, unified_each's words for them, and where they are in struct moe. */
static const struct {
    const char *name;
    char kind;
    int rank; /* of (K,C) */
    size_t offset;
} parts[UNIFIED_PARTS] = {
    [UNIFIED_ROUTER] = {"weight", 'r', 2, offsetof(struct moe, router)},
    [UNIFIED_LAMBDA] = {"lambda", 'l', 0, offsetof(struct moe, lambda)},
    [UNIFIED_BIAS] = {"bias", 'b', 1, offsetof(struct moe, bias)},
    [UNIFIED_CLASS_ROUTER] = {"class_weight", 'r', 2, offsetof(struct moe, class_router)},
    [UNIFIED_CLASS_BIAS] = {"class_bias", 'b', 1, offsetof(struct moe, class_bias)},
    [UNIFIED_NEGATIVE] = {"negative_bias", 'b', 1, offsetof(struct moe, negative)},
    [UNIFIED_BALANCE] = {"balance_bias", 's', 1, offsetof(struct moe, balance)},
};
static struct mat *part_of(struct moe *moe, int part)
{
    return (struct mat *)((char *)moe + parts[part].offset);
}
static int find_name(const char *name, const char *const *names, int n)
{
    int i = 0;
    while (i < n && strcmp(name, names[i]) != 0)
        i++;
    return i < n ? i : -1;
}
bool unified_gate_parse(const char *name, enum moe_gate *ret)
{
    int i = find_name(name, gates, COUNT(gates));
    *ret = i < 0 ? MOE_GATE_RAW : (enum moe_gate)i;
    return i >= 0;
}
bool unified_context_parse(const char *name, enum moe_context *ret)
{
    int i = find_name(name, contexts, COUNT(contexts));
    *ret = i < 0 ? MOE_CONTEXT_SELF : (enum moe_context)i;
    return i >= 0;
}
static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for a unified model");
}

/* ---- building ---- */
/* A copy of n values in m's arena, with a gradient when train. */
static bool mat_copy(struct clip *m, struct mat *to, const float *from, int64_t rows, int64_t cols,
                     bool train)
{
    size_t bytes = (size_t)(rows * cols) * sizeof(float);
    *to = (struct mat){.w = arena_try(&m->arena, bytes), .rows = rows, .cols = cols};
    if (train)
        to->g = arena_try(&m->arena, bytes);
    if (!to->w || (train && !to->g))
        return false;
    memcpy(to->w, from, bytes);
    return true;
}
static bool lora_copy(struct clip *m, struct lora *to, const struct lora *from, bool train)
{
    to->scale = from->scale;
    return mat_copy(m, &to->a, from->a.w, from->a.rows, from->a.cols, train) &&
           mat_copy(m, &to->b, from->b.w, from->b.rows, from->b.cols, train);
}
static bool layer_build(struct clip *m, struct moe *moe, int l, struct adapter_set *const *experts,
                        const struct unified_values *values, bool train)
{
    int64_t k = moe->experts;
    struct adapter *expert = arena_alloc(&m->arena, (size_t)k * sizeof *expert);
    moe->expert = expert;
    for (int64_t i = 0; i < k; i++)
        if (experts[i] && (!lora_copy(m, &expert[i].fc1, &experts[i]->layer[l].fc1, train) ||
                           !lora_copy(m, &expert[i].fc2, &experts[i]->layer[l].fc2, train)))
            return false;
    for (int i = 0; i < UNIFIED_PARTS; i++) {
        int64_t rows = parts[i].rank > 0 ? k : 1, cols = parts[i].rank > 1 ? m->config.vision.width : 1;
        if (values->part[i] && !mat_copy(m, part_of(moe, i), values->part[i][l], rows, cols, train))
            return false;
    }
    return true;
}
bool unified_build(struct clip *m, struct adapter_set *const *experts, int n,
                   const struct unified_values *values, const struct unified_options *o, bool train,
                   struct error *err)
{
    int layers = (int)m->config.vision.layers;
    struct moe *moe = arena_alloc(&m->arena, (size_t)layers * sizeof *moe);
    for (int l = 0; l < layers; l++) {
        moe[l] = (struct moe){.experts = n,
                              .top_k = o->top_k,
                              .gate = o->gate,
                              .context = o->context,
                              .shared = o->shared,
                              .temperature = (float)o->temperature};
        if (!layer_build(m, &moe[l], l, experts, values, train))
            return no_memory(err);
        if (!moe_check(&moe[l], err))
            return false;
    }
    for (int l = 0; l < layers; l++) {
        m->vision[l].ffn.lora = NULL;
        m->vision[l].ffn.moe = &moe[l];
    }
    m->moe = moe;
    return true;
}
bool unified_add_balance(struct clip *m, struct error *err)
{
    for (int64_t l = 0; l < m->config.vision.layers; l++) {
        struct mat *b = &m->moe[l].balance;
        int64_t n = m->moe[l].experts;
        if (b->w)
            return true;
        *b = (struct mat){.rows = n, .cols = 1};
        b->w = arena_try(&m->arena, (size_t)n * sizeof *b->w);
        b->g = arena_try(&m->arena, (size_t)n * sizeof *b->g);
        if (!b->w || !b->g)
            return no_memory(err);
        if (!moe_check(&m->moe[l], err))
            return false;
    }
    return true;
}
static void each_lora(char *name, size_t room, int used, struct lora *lora, int fc,
                      void (*see)(void *arg, char kind, const char *name, struct mat *w), void *arg)
{
    if (!lora->a.w)
        return;
    snprintf(name + used, room - (size_t)used, "mlp.fc%d.lora_A.weight", fc);
    see(arg, 'a', name, &lora->a);
    snprintf(name + used, room - (size_t)used, "mlp.fc%d.lora_B.weight", fc);
    see(arg, 'a', name, &lora->b);
}
void unified_each(struct clip *m, void (*see)(void *arg, char kind, const char *name, struct mat *w),
                  void *arg)
{
    char name[160];
    for (int l = 0; m->moe && l < m->config.vision.layers; l++) {
        struct moe *moe = &m->moe[l];
        struct adapter *expert = (struct adapter *)moe->expert; /* made by layer_build in m's own arena */
        for (int i = 0; i < UNIFIED_PARTS; i++)
            if (part_of(moe, i)->w) {
                snprintf(name, sizeof name, "layers.%d.router.%s", l, parts[i].name);
                see(arg, parts[i].kind, name, part_of(moe, i));
            }
        for (int k = 0; k < moe->experts; k++) {
            int used = snprintf(name, sizeof name,
                                "expert.%d.base_model.model.vision_model.encoder.layers.%d.", k, l);
            each_lora(name, sizeof name, used, &expert[k].fc1, 1, see, arg);
            each_lora(name, sizeof name, used, &expert[k].fc2, 2, see, arg);
        }
    }
}

/* ---- reading ---- */
struct reading {
    struct unified_options options;
    int n, layers;
    struct adapter_set **expert;
    struct unified_values values;
    struct arena arena; /* of everything read; the model gets copies */
};
static bool bad(const char *path, struct error *err, const char *what)
{
    return error_set(err, NULL, ERROR_INPUT, "'%s': %s", path, what);
}
static bool options_read(const json_t *j, const char *path, struct reading *r, struct error *err)
{
    int64_t n, top_k;
    int shared = find_name(json_string_or(j, "shared", "none"), shares, COUNT(shares));
    if (strcmp(json_string_or(j, "format", ""), FORMAT) != 0)
        return bad(path, err, "'format' must be " FORMAT);
    if (!json_get_int(j, "num_experts", &n, err) || !json_get_int(j, "top_k", &top_k, err))
        return error_context(err, "'%s'", path);
    if (n < 1 || n > EXPERTS_LIMIT || top_k < 1 || top_k > n)
        return bad(path, err, "'num_experts' must be from 1 to 4096 and 'top_k' from 1 to that");
    r->n = (int)n;
    r->options.top_k = (int)top_k;
    r->options.temperature = json_real_or(j, "temperature", 1);
    if (!(r->options.temperature > 0) || !isfinite(r->options.temperature))
        return bad(path, err, "'temperature' must be above 0");
    if (!unified_gate_parse(json_string_or(j, "gate", ""), &r->options.gate))
        return bad(path, err, "'gate' must be one of " UNIFIED_GATES);
    if (!unified_context_parse(json_string_or(j, "context", ""), &r->options.context))
        return bad(path, err, "'context' must be one of " UNIFIED_CONTEXTS);
    if (shared < 0)
        return bad(path, err, "'shared' must be none, added or rest");
    r->options.shared = (enum moe_shared)shared;
    return true;
}
static bool is_seed(const json_t *config, int k)
{
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(config, "seed_experts"), i,
                       v) if (json_integer_value(v) == k) return true;
    return false;
}
static bool experts_read(const struct clip *m, const char *dir, const json_t *config, struct reading *r,
                         struct error *err)
{
    r->expert = arena_alloc(&r->arena, (size_t)r->n * sizeof *r->expert);
    for (int k = 0; k < r->n; k++)
        if (!is_seed(config, k) && !peft_load(arena_printf(&r->arena, "%s/expert_%d", dir, k), m, false,
                                              &r->arena, &r->expert[k], err))
            return error_context(err, "expert %d of '%s'", k, dir);
    return true;
}
/* One part of all layers; they are copied, for the file is closed when the model is built. */
static bool part_read(const struct clip *m, const struct safetensors *f, struct reading *r, int part,
                      struct error *err)
{
    int64_t shape[] = {r->n, m->config.vision.width}, n = 1;
    const float **layer = arena_alloc(&r->arena, (size_t)r->layers * sizeof *layer);
    for (int i = 0; i < parts[part].rank; i++)
        n *= shape[i];
    for (int l = 0; l < r->layers; l++) {
        const char *name = arena_printf(&r->arena, "layers.%d.router.%s", l, parts[part].name);
        const struct tensor *t = safetensors_want(f, name, parts[part].rank, shape, err);
        const float *x = t ? tensor_floats(t, &r->arena) : NULL;
        float *own = arena_floats(&r->arena, n);
        if (!t)
            return false;
        if (!x || !own)
            return no_memory(err);
        layer[l] = memcpy(own, x, (size_t)n * sizeof *own);
    }
    r->values.part[part] = layer;
    return true;
}
static bool router_read(const struct clip *m, const char *path, struct reading *r, struct error *err)
{
    AUTO(safetensors) struct safetensors *f = NULL;
    int known = 0;
    if (!safetensors_open(path, &f, err))
        return false;
    for (int i = 0; i < UNIFIED_PARTS; i++) {
        bool there = safetensors_find(f, arena_printf(&r->arena, "layers.0.router.%s", parts[i].name));
        if ((there || i == UNIFIED_ROUTER || i == UNIFIED_LAMBDA) && !part_read(m, f, r, i, err))
            return false;
        known += there ? r->layers : 0;
    }
    return known == safetensors_count(f) ||
           error_set(err, NULL, ERROR_INPUT, "'%s' has %d tensors, of which %d are known", path,
                     safetensors_count(f), known);
}
bool unified_load(struct clip *m, const char *dir, bool train, struct error *err)
{
    AUTO(mem) char *path = xprintf("%s/config.json", dir);
    AUTO(mem) char *router = xprintf("%s/router.safetensors", dir);
    AUTO_JSON config = json_read(path, err);
    struct reading r = {.layers = (int)m->config.vision.layers};
    arena_init(&r.arena);
    bool ok = config && options_read(config, path, &r, err) && experts_read(m, dir, config, &r, err) &&
              router_read(m, router, &r, err) &&
              unified_build(m, r.expert, r.n, &r.values, &r.options, train, err);
    arena_done(&r.arena);
    return ok;
}

/* ---- writing ---- */
static bool config_write(const struct clip *m, const char *const *names, const char *seed_dir,
                         const char *dir, struct error *err)
{
    AUTO(mem) char *from = xprintf("%s/config.json", seed_dir);
    AUTO(mem) char *to = xprintf("%s/config.json", dir);
    AUTO_JSON seed = json_read(from, err);
    if (!seed)
        return false;
    json_t *inner = json_object_get(seed, "seed_config"), *list = json_array(), *seeds = json_array();
    const struct moe *moe = m->moe;
    for (int k = 0; k < moe->experts; k++) {
        json_array_append_new(list, names ? json_string(names[k]) : json_sprintf("%d", k));
        if (!moe->expert[k].fc1.a.w)
            json_array_append_new(seeds, json_integer(k));
    }
    AUTO_JSON config =
        json_pack("{s:s, s:s, s:O, s:i, s:o, s:o, s:i, s:s, s:s, s:f}", "model_type", "weft_moe", "format",
                  FORMAT, "seed_config", inner ? inner : seed, "num_experts", moe->experts, "expert_names",
                  list, "seed_experts", seeds, "top_k", moe->top_k, "gate", gates[moe->gate], "context",
                  contexts[moe->context], "temperature", (double)moe->temperature);
    if (moe->shared)
        json_object_set_new(config, "shared", json_string(shares[moe->shared]));
    return json_write(to, config, err);
}
static void add_router(void *arg, char kind, const char *name, struct mat *w)
{
    int rank = kind == 'r' ? 2 : kind == 'l' ? 0 : 1;
    if (kind != 'a')
        safetensors_writer_add(arg, name, DTYPE_F32, rank, (int64_t[]){w->rows, w->cols}, w->w);
}
bool unified_save_router(const struct clip *m, const char *const *names, const char *seed_dir,
                         const char *dir, struct error *err)
{
    AUTO(mem) char *path = xprintf("%s/router.safetensors", dir);
    if (!config_write(m, names, seed_dir, dir, err))
        return false;
    struct safetensors_writer *w = safetensors_writer_new();
    unified_each((struct clip *)m, add_router, w); /* add_router only reads */
    return safetensors_write(w, path, err);
}
/* Expert k of all layers as an adapter set; false: it is the seed's own. */
static bool expert_set(const struct clip *m, int k, struct adapter *layer, struct adapter_set *ret)
{
    for (int l = 0; l < m->config.vision.layers; l++)
        layer[l] = m->moe[l].expert[k];
    const struct lora *lora = &layer[0].fc1;
    *ret = (struct adapter_set){(int)m->config.vision.layers, layer, lora->a.rows,
                                (double)lora->scale * (double)lora->a.rows};
    return lora->a.w;
}
bool unified_save(const struct clip *m, const char *const *names, const char *seed_dir, const char *dir,
                  struct error *err)
{
    if (!unified_save_router(m, names, seed_dir, dir, err))
        return false;
    AUTO(mem) struct adapter *layer = xcalloc((size_t)m->config.vision.layers, sizeof *layer);
    for (int k = 0; k < m->moe->experts; k++) {
        struct adapter_set set;
        AUTO(mem) char *folder = xprintf("%s/expert_%d", dir, k);
        if (expert_set(m, k, layer, &set) &&
            (!fs_mkdirs(folder, err) || !peft_save(&set, m->name, folder, err)))
            return false;
    }
    return true;
}
static bool link_files(const char *from, const char *to, bool weights, struct error *err)
{
    char **list;
    size_t n;
    bool ok = true;
    if (!fs_list_tree(from, &list, &n, err))
        return false;
    for (size_t i = 0; ok && i < n; i++) {
        if (strchr(list[i], '/') || !strcmp(list[i], "config.json") ||
            !strcmp(list[i], "router.safetensors") || (!weights && clip_weights_file(list[i])))
            continue;
        AUTO(mem) char *source = xprintf("%s/%s", from, list[i]);
        AUTO(mem) char *link = xprintf("%s/%s", to, list[i]);
        AUTO(mem) char *real = realpath(source, NULL);
        ok = (real && fs->symlink(real, link) == 0) ||
             error_errno(err, "cannot link '%s' to '%s'", link, source);
    }
    fs_list_free(list, n);
    return ok;
}
bool unified_link(const char *from, const char *to, struct error *err)
{
    return link_files(from, to, true, err);
}
bool unified_link_tokenizer(const char *from, const char *to, struct error *err)
{
    return link_files(from, to, false, err);
}
