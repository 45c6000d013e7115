#include "stages/model/embed.h"
#include "base/cleanup.h"
#include <math.h>
#include <string.h>

static const char *const kinds[] = {"pooled", "projected", "tokens", "both"};

bool embed_parse(const char *name, enum embed_kind *ret)
{
    for (int i = 0; i <= EMBED_BOTH; i++)
        if (!strcmp(name, kinds[i])) {
            *ret = (enum embed_kind)i;
            return true;
        }
    return false;
}
const char *embed_name(enum embed_kind k)
{
    return kinds[k];
}
int64_t embed_width(const struct clip *m, enum embed_kind k)
{
    int64_t c = m->config.vision.width;
    return k == EMBED_PROJECTED ? m->config.embed : k == EMBED_BOTH ? 2 * c : c;
}

/* One batch through the vision tower; a mixture whose router wants the seed's context gets it first. */
static bool forward(const struct embed_source *s, struct arena *a, const float *pixels, int64_t n,
                    float *embeds, float *pooled, struct error *err)
{
    const struct clip *m = s->model;
    struct pass p = {.batch = n, .arena = a, .last_row0 = !s->observer, .observer = s->observer};
    if (m->moe && m->moe[0].context == MOE_CONTEXT_SEED) {
        const float **context = NULL;
        if (!clip_seed_context(m, a, pixels, n, &context, err))
            return false;
        p.context = context;
    }
    return clip_image_forward(m, &p, pixels, embeds, pooled, NULL, err);
}

bool embed_each(const struct embed_source *s,
                bool (*see)(void *arg, int64_t first, int64_t n, const float *embeds, const float *pooled,
                            struct error *err),
                void *arg, struct error *err)
{
    const struct clip_config *c = &s->model->config;
    int64_t count = dataset_count(s->data), batch = s->batch < count ? s->batch : count;
    int64_t side = c->image_size;
    AUTO(arena) struct arena arena;
    arena_init(&arena);
    float *pixels = arena_floats(&arena, batch * 3 * side * side);
    float *embeds = arena_floats(&arena, batch * c->embed),
          *pooled = arena_floats(&arena, batch * c->vision.width);
    int64_t *index = arena_try(&arena, (size_t)batch * sizeof *index);
    if (!pixels || !embeds || !pooled || !index)
        return error_set(err, NULL, ERROR_TASK, "out of memory for a batch of %lld images", (long long)batch);
    struct transform t = transform_eval((int)side);
    struct rng_stream unused = rng_stream(0, "embed"); /* the evaluation transform draws nothing */
    for (int64_t first = 0; first < count; first += batch) {
        int64_t n = count - first < batch ? count - first : batch;
        for (int64_t i = 0; i < n; i++)
            index[i] = first + i;
        if (!loader_batch(s->data, index, n, &t, unused, 0, s->threads, pixels, err))
            return false;
        for (int time = 0; time < (s->times ? s->times : 1); time++) {
            struct arena_mark mark = arena_mark(&arena);
            if (s->choose)
                s->choose(s->choose_arg, time);
            if (!forward(s, &arena, pixels, n, embeds, pooled, err) ||
                !see(arg, first, n, embeds, pooled, err))
                return false;
            arena_release(&arena, mark);
        }
        if (s->progress)
            s->progress(s->progress_arg, first + n, count);
    }
    return true;
}

/* ---- features ---- */
struct collect {
    enum embed_kind kind;
    bool unit;
    int64_t layers, channels, width; /* blocks, C, row of out */
    float *mean;                     /* (batch,C) of the batch that is running */
    float *out;
};

/* Mean over the tokens of the last block's output. */
static void see_hidden(void *arg, const char *what, int layer, const float *x, int64_t batch, int64_t t,
                       int64_t c)
{
    struct collect *k = arg;
    if (layer != k->layers || strcmp(what, "hidden") != 0)
        return;
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < batch; b++) {
        float *mean = k->mean + b * c;
        memset(mean, 0, (size_t)c * sizeof *mean);
        for (int64_t i = 0; i < t; i++)
            for (int64_t j = 0; j < c; j++)
                mean[j] += x[(b * t + i) * c + j];
        for (int64_t j = 0; j < c; j++)
            mean[j] /= (float)t;
    }
}
/* y (n) = x scaled so that sum y^2 = square; a zero row stays zero. y may be x. */
static void scale_row(float *y, const float *x, int64_t n, double square)
{
    double s = dot_double(x, x, n);
    float f = s > 0 ? (float)sqrt(square / s) : 0;
    for (int64_t i = 0; i < n; i++)
        y[i] = f * x[i];
}
static bool see_batch(void *arg, int64_t first, int64_t n, const float *embeds, const float *pooled,
                      struct error *err)
{
    struct collect *k = arg;
    int64_t c = k->channels;
    const float *from = k->kind == EMBED_PROJECTED ? embeds : k->kind == EMBED_TOKENS ? k->mean : pooled;
    for (int64_t i = 0; i < n; i++) {
        float *row = k->out + (first + i) * k->width;
        if (k->kind == EMBED_BOTH) {
            scale_row(row, pooled + i * c, c, (double)c);
            scale_row(row + c, k->mean + i * c, c, (double)c);
        } else {
            memcpy(row, from + i * k->width, (size_t)k->width * sizeof *row);
        }
        if (k->unit)
            scale_row(row, row, k->width, 1);
        if (!isfinite(dot_double(row, row, k->width)))
            return error_set(err, NULL, ERROR_TASK,
                             "the model gives numbers that are not finite for sample %lld",
                             (long long)(first + i));
    }
    return true;
}

bool embed_features(const struct embed_source *s, enum embed_kind k, bool unit, float *out, struct error *err)
{
    const struct tower_config *v = &s->model->config.vision;
    struct collect c = {k, unit, v->layers, v->width, embed_width(s->model, k), NULL, out};
    struct observer observer = {see_hidden, &c};
    struct embed_source source = *s;
    AUTO(arena) struct arena arena;
    arena_init(&arena);
    if (k == EMBED_TOKENS || k == EMBED_BOTH) {
        c.mean = arena_floats(&arena, s->batch * v->width);
        if (!c.mean)
            return error_set(err, NULL, ERROR_TASK, "out of memory for token means");
        source.observer = &observer;
    }
    return embed_each(&source, see_batch, &c, err);
}
