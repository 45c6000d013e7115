/* A CLIP model: its weight table, its structs, random weights, gradients, and its end. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/safetensors.h"
#include "stages/model/clip_parts.h"
#include <math.h>

bool clip_no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for the model");
}

/* ---- the table ---- */
struct walk {
    void (*see)(void *arg, const char *name, struct mat *w, int rank, const int64_t *shape);
    void *arg;
};
#define SHAPE(...)                                                                                           \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[])                             \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }

static void see_named(const struct walk *k, const char *prefix, const char *name, struct mat *w, int rank,
                      const int64_t *shape)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    k->see(k->arg, full, w, rank, shape);
}
static void see_norm(const struct walk *k, const char *prefix, const char *name, struct norm *n,
                     int64_t width)
{
    char full[160];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    see_named(k, full, ".weight", &n->w, SHAPE(width));
    see_named(k, full, ".bias", &n->b, SHAPE(width));
}
static void see_linear(const struct walk *k, const char *prefix, const char *name, struct linear *l,
                       int64_t out, int64_t in)
{
    char full[160];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    see_named(k, full, ".weight", &l->w, SHAPE(out, in));
    see_named(k, full, ".bias", &l->b, SHAPE(out));
}
static void see_blocks(const struct walk *k, const char *tower, struct block *b, const struct tower_config *c)
{
    for (int64_t l = 0; l < c->layers; l++, b++) {
        char at[96];
        snprintf(at, sizeof at, "%s.encoder.layers.%lld.", tower, (long long)l);
        see_norm(k, at, "layer_norm1", &b->ln1, c->width);
        see_linear(k, at, "self_attn.q_proj", &b->q, c->width, c->width);
        see_linear(k, at, "self_attn.k_proj", &b->k, c->width, c->width);
        see_linear(k, at, "self_attn.v_proj", &b->v, c->width, c->width);
        see_linear(k, at, "self_attn.out_proj", &b->o, c->width, c->width);
        see_norm(k, at, "layer_norm2", &b->ln2, c->width);
        see_linear(k, at, "mlp.fc1", &b->ffn.fc1, c->mlp, c->width);
        see_linear(k, at, "mlp.fc2", &b->ffn.fc2, c->width, c->mlp);
    }
}
void clip_each_weight(struct clip *m,
                      void (*see)(void *arg, const char *name, struct mat *w, int rank, const int64_t *shape),
                      void *arg)
{
    const struct walk k = {see, arg};
    const struct clip_config *c = &m->config;
    int64_t cv = c->vision.width, ct = c->text.width;
    see(arg, "logit_scale", &m->logit_scale, 0, NULL);
    see_named(&k, "vision_model.embeddings.", "class_embedding", &m->class_embed, SHAPE(cv));
    see_named(&k, "vision_model.embeddings.", "patch_embedding.weight", &m->patch_embed,
              SHAPE(cv, c->channels, c->patch, c->patch));
    see_named(&k, "vision_model.embeddings.", "position_embedding.weight", &m->vision_pos,
              SHAPE(clip_tokens(m), cv));
    see_norm(&k, "vision_model.", "pre_layrnorm", &m->pre_norm, cv);
    see_blocks(&k, "vision_model", m->vision, &c->vision);
    see_norm(&k, "vision_model.", "post_layernorm", &m->post_norm, cv);
    see(arg, "visual_projection.weight", &m->visual_projection.w, SHAPE(c->embed, cv));
    if (!m->text)
        return;
    see_named(&k, "text_model.embeddings.", "token_embedding.weight", &m->token_embed, SHAPE(c->vocab, ct));
    see_named(&k, "text_model.embeddings.", "position_embedding.weight", &m->text_pos, SHAPE(c->context, ct));
    see_blocks(&k, "text_model", m->text, &c->text);
    see_norm(&k, "text_model.", "final_layer_norm", &m->final_norm, ct);
    see(arg, "text_projection.weight", &m->text_projection.w, SHAPE(c->embed, ct));
}

/* ---- structs ---- */
static void set_shape(void *arg, const char *name, struct mat *w, int rank, const int64_t *shape)
{
    w->rows = rank ? shape[0] : 1;
    w->cols = 1;
    for (int i = 1; i < rank; i++)
        w->cols *= shape[i];
}
static struct block *blocks_new(struct arena *a, const struct tower_config *c, bool causal)
{
    struct block *b = arena_alloc(a, (size_t)c->layers * sizeof *b);
    for (int64_t l = 0; l < c->layers; l++) {
        b[l].heads = c->heads;
        b[l].causal = causal;
        b[l].ffn.act = c->act;
        b[l].ln1.eps = b[l].ln2.eps = (float)c->eps;
    }
    return b;
}
bool clip_alloc(const struct clip_config *c, struct clip **ret, struct error *err)
{
    struct clip *m = xcalloc(1, sizeof *m);
    arena_init(&m->arena);
    m->config = *c;
    m->vision = blocks_new(&m->arena, &c->vision, false);
    m->text = blocks_new(&m->arena, &c->text, true);
    m->pre_norm.eps = m->post_norm.eps = (float)c->vision.eps;
    m->final_norm.eps = (float)c->text.eps;
    clip_each_weight(m, set_shape, NULL);
    *ret = m;
    return true;
}
void clip_free(struct clip *m)
{
    if (!m)
        return;
    safetensors_close(m->files);
    arena_done(&m->arena);
    free(m);
}
int64_t clip_tokens(const struct clip *m)
{
    int64_t side = m->config.image_size / m->config.patch;
    return side * side + 1;
}

/* ---- from random numbers ---- */
struct initing {
    struct clip *m;
    struct rng_stream stream;
    uint64_t index; /* of the weight: its place in the random stream */
    bool failed;
};
static bool ends(const char *s, const char *tail)
{
    size_t n = strlen(s), t = strlen(tail);
    return n >= t && !strcmp(s + n - t, tail);
}
/* Standard deviation of a weight's initial values, as transformers' CLIP has it (initializer_factor 1, range
 * 0.02). */
static double init_std(const struct clip *m, const char *name)
{
    bool text = !strncmp(name, "text", 4);
    const struct tower_config *c = text ? &m->config.text : &m->config.vision;
    double width = 1 / sqrt((double)c->width), depth = 1 / sqrt(2.0 * (double)c->layers);
    if (strstr(name, "q_proj") || strstr(name, "k_proj") || strstr(name, "v_proj") || strstr(name, "fc2"))
        return width * depth;
    if (strstr(name, "fc1"))
        return width / sqrt(2.0);
    if (ends(name, "patch_embedding.weight") || ends(name, "position_embedding.weight") ||
        ends(name, "token_embedding.weight"))
        return 0.02;
    return width; /* out_proj, class_embedding and the two projections */
}
static void init_weight(void *arg, const char *name, struct mat *w, int rank, const int64_t *shape)
{
    struct initing *s = arg;
    int64_t n = mat_size(w);
    uint64_t index = s->index++;
    w->w = arena_floats(&s->m->arena, n);
    if (!w->w) {
        s->failed = true;
        return;
    }
    bool norm = strstr(name, "norm") != NULL;
    if (norm || rank == 0 || ends(name, ".bias")) {
        float value = rank == 0 ? 2.6592f : norm && ends(name, ".weight") ? 1 : 0;
        for (int64_t i = 0; i < n; i++)
            w->w[i] = value;
        return;
    }
    float std = (float)init_std(s->m, name);
    struct rng r = rng_at(s->stream, index, 0);
    for (int64_t i = 0; i < n; i++)
        w->w[i] = std * rng_normal(&r);
}
bool clip_new(const struct clip_config *c, uint64_t seed, struct clip **ret, struct error *err)
{
    AUTO(clip) struct clip *m = NULL;
    if (!clip_config_check(c, "the new model", err) || !clip_alloc(c, &m, err))
        return false;
    struct initing s = {m, rng_stream(seed, "clip.init"), 0, false};
    clip_each_weight(m, init_weight, &s);
    if (s.failed)
        return clip_no_memory(err);
    *ret = m;
    m = NULL;
    return true;
}

/* ---- gradients ---- */
struct training {
    struct clip *m;
    bool failed;
};
static void train_weight(void *arg, const char *name, struct mat *w, int rank, const int64_t *shape)
{
    struct training *l = arg;
    size_t bytes = (size_t)mat_size(w) * sizeof(float);
    if (l->failed)
        return;
    w->g = arena_try(&l->m->arena, bytes);
    l->failed = !w->g;
    if (l->m->files && !l->failed) { /* mapped read-only: move to memory of our own */
        float *own = arena_floats(&l->m->arena, mat_size(w));
        if ((l->failed = !own))
            return;
        memcpy(own, w->w, bytes);
        w->w = own;
    }
}
bool clip_train_all(struct clip *m, struct error *err)
{
    struct training l = {m, false};
    clip_each_weight(m, train_weight, &l);
    return !l.failed || clip_no_memory(err);
}
