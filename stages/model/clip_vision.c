/* The vision tower: patches (a convolution with stride P as one matrix product), class token, positions,
 * pre_norm, blocks, and the class token's row through post_norm and the projection. e[b,0] = class + pos[0];
 * e[b,1+i] = W patch_i + pos[1+i];  x = pre_norm(e) */
#include "stages/model/clip_parts.h"

static struct tower vision_tower(const struct clip *m)
{
    return (struct tower){m->vision, m->config.vision.layers, &m->post_norm, &m->visual_projection,
                          "image_embeds"};
}
/* pixels (B,3,S,S) -> rows (B*n, 3*P*P); n patches row by row, each in the order channel, y, x. */
static void im2col(const struct clip_config *c, const float *pixels, int64_t batch, float *rows)
{
    int64_t s = c->image_size, p = c->patch, g = s / p, n = g * g, k = c->channels * p * p;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < batch * n; r++) {
        int64_t b = r / n, gy = r % n / g, gx = r % g;
        const float *im = pixels + b * c->channels * s * s;
        float *out = rows + r * k;
        for (int64_t ch = 0; ch < c->channels; ch++)
            for (int64_t y = 0; y < p; y++, out += p)
                memcpy(out, im + (ch * s + gy * p + y) * s + gx * p, (size_t)p * sizeof *out);
    }
}
static bool embed(const struct clip *m, const struct pass *p, const float *pixels, float *x,
                  struct error *err)
{
    int64_t n = p->t - 1, c = p->width, k = m->patch_embed.cols;
    struct arena_mark mark = arena_mark(p->arena);
    float *rows = arena_floats(p->arena, p->batch * n * k), *y = arena_floats(p->arena, p->batch * n * c);
    if (!rows || !y)
        return clip_no_memory(err);
    im2col(&m->config, pixels, p->batch, rows);
    linear_forward(&(struct linear){.w = m->patch_embed}, rows, p->batch * n, y, false);
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < p->batch * p->t; r++) {
        int64_t t = r % p->t;
        const float *from = t ? y + (r / p->t * n + t - 1) * c : m->class_embed.w,
                    *pos = m->vision_pos.w + t * c;
        for (int64_t i = 0; i < c; i++)
            x[r * c + i] = from[i] + pos[i];
    }
    arena_release(p->arena, mark);
    observe(p->observer, "embeddings", 0, x, p->batch, p->t, c);
    return true;
}
bool clip_image_forward(const struct clip *m, struct pass *p, const float *pixels, float *embeds,
                        float *pooled, struct clip_tape **tape, struct error *err)
{
    p->t = clip_tokens(m);
    p->width = m->config.vision.width;
    int64_t rows = p->batch * p->t;
    struct tower w = vision_tower(m);
    struct clip_tape *t = p->train ? tape_new(p, w.layers) : NULL;
    int32_t *at = arena_try(p->arena, (size_t)p->batch * sizeof *at); /* zeros: the class token */
    float *e = arena_floats(p->arena, rows * p->width), *x = arena_floats(p->arena, rows * p->width);
    float *stats = t ? arena_floats(p->arena, 2 * rows) : NULL;
    if (!at || !e || !x || (p->train && !stats))
        return clip_no_memory(err);
    if (!embed(m, p, pixels, e, err))
        return false;
    layernorm_forward(&m->pre_norm, e, rows, x, stats, stats ? stats + rows : NULL);
    if (t) {
        t->at = at;
        t->embedded = e;
        t->mean = stats;
        t->rstd = stats + rows;
    }
    if (!tower_forward(&w, p, p->last_row0, x, at, embeds, pooled, t, err))
        return false;
    if (t)
        *tape = t;
    return true;
}

static bool embed_trainable(const struct clip *m)
{
    return m->class_embed.g || m->patch_embed.g || m->vision_pos.g || m->pre_norm.w.g || m->pre_norm.b.g;
}
/* de (B,T,C): gradient of the embeddings. */
static bool embed_backward(const struct clip *m, const struct pass *p, const float *pixels, const float *de,
                           struct error *err)
{
    int64_t n = p->t - 1, c = p->width, k = m->patch_embed.cols, b = p->batch;
    if (m->vision_pos.g) /* a sum over images for each (token, channel) */
        column_sums(de, b, p->t * c, m->vision_pos.g);
    float *cls = arena_floats(p->arena, b * c), *dy = arena_floats(p->arena, b * n * c);
    float *rows = arena_floats(p->arena, b * n * k);
    if (!cls || !dy || !rows)
        return clip_no_memory(err);
    for (int64_t i = 0; i < b; i++) {
        memcpy(cls + i * c, de + i * p->t * c, (size_t)c * sizeof *cls);
        memcpy(dy + i * n * c, de + (i * p->t + 1) * c, (size_t)(n * c) * sizeof *dy);
    }
    if (m->class_embed.g)
        column_sums(cls, b, c, m->class_embed.g);
    if (m->patch_embed.g) {
        im2col(&m->config, pixels, b, rows);
        linear_backward(&(struct linear){.w = m->patch_embed}, rows, dy, b * n, NULL);
    }
    return true;
}
bool clip_image_backward(const struct clip *m, const struct pass *p, const struct clip_tape *tape,
                         const float *pixels, const float *dembeds, struct error *err)
{
    struct tower w = vision_tower(m);
    bool deep = embed_trainable(m);
    float *dx;
    if (!tower_backward(&w, p, p->last_row0, tape, dembeds, deep, &dx, err))
        return false;
    if (!deep)
        return true;
    /* x = pre_norm(e) */
    float *de = arena_try(p->arena, (size_t)(p->batch * p->t * p->width) * sizeof *de);
    if (!de)
        return clip_no_memory(err);
    layernorm_backward(&m->pre_norm, tape->embedded, tape->mean, tape->rstd, dx, p->batch * p->t, de);
    return embed_backward(m, p, pixels, de, err);
}

/* ---- the router context of the seed model ---- */
struct mean_keeper {
    const float **mean; /* (layers) -> (B,C) */
};
static void keep_mean(void *arg, const char *what, int layer, const float *x, int64_t batch, int64_t t,
                      int64_t c)
{
    struct mean_keeper *k = arg;
    if (strcmp(what, "mlp_in"))
        return;
    float *mean = (float *)k->mean[layer];
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < batch; b++) {
        for (int64_t j = 0; j < c; j++)
            mean[b * c + j] = 0;
        for (int64_t i = 0; i < t; i++)
            for (int64_t j = 0; j < c; j++)
                mean[b * c + j] += x[(b * t + i) * c + j];
        for (int64_t j = 0; j < c; j++)
            mean[b * c + j] /= (float)t;
    }
}
bool clip_seed_context(const struct clip *m, struct arena *a, const float *pixels, int64_t batch,
                       const float ***ret, struct error *err)
{
    int64_t layers = m->config.vision.layers, c = m->config.vision.width;
    struct mean_keeper k;
    k.mean = arena_try(a, (size_t)layers * sizeof *k.mean);
    for (int64_t l = 0; k.mean && l < layers; l++)
        if (!(k.mean[l] = arena_floats(a, batch * c)))
            k.mean = NULL;
    struct arena_mark mark = arena_mark(a);
    struct clip seed = *m;
    seed.vision = arena_try(a, (size_t)layers * sizeof *seed.vision);
    float *embeds = arena_floats(a, batch * m->config.embed);
    if (!k.mean || !seed.vision || !embeds)
        return clip_no_memory(err);
    for (int64_t l = 0; l < layers; l++) {
        seed.vision[l] = m->vision[l];
        seed.vision[l].ffn.moe = NULL;
        seed.vision[l].ffn.lora = NULL;
    }
    struct observer o = {keep_mean, &k};
    struct pass p = {.batch = batch, .arena = a, .observer = &o};
    if (!clip_image_forward(&seed, &p, pixels, embeds, NULL, NULL, err))
        return false;
    arena_release(a, mark);
    *ret = k.mean;
    return true;
}
