#include "stages/model/moe_vectors.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/safetensors.h"
#include <math.h>
#include <string.h>

#define COLUMNS 64 /* columns a thread takes at a time */

static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for router vectors");
}
struct moe_vectors *moe_vectors_new(struct arena *a, int64_t layers, int64_t width)
{
    struct moe_vectors *v = arena_alloc(a, sizeof *v);
    *v = (struct moe_vectors){.layers = layers, .width = width};
    v->mean = arena_try(a, (size_t)(layers * width) * sizeof(double));
    v->cls = arena_try(a, (size_t)(layers * width) * sizeof(double));
    v->square = arena_try(a, (size_t)layers * sizeof(double));
    return v->mean && v->cls && v->square ? v : NULL;
}
void moe_vectors_see(void *arg, const char *what, int layer, const float *x, int64_t batch, int64_t t,
                     int64_t c)
{
    struct moe_vectors *v = arg;
    if (strcmp(what, "mlp_in") != 0)
        return;
    double *mean = v->mean + layer * c, *cls = v->cls + layer * c;
#pragma omp parallel for schedule(static)
    for (int64_t from = 0; from < c; from += COLUMNS) {
        int64_t n = c - from < COLUMNS ? c - from : COLUMNS;
        for (int64_t b = 0; b < batch; b++) {
            double sum[COLUMNS] = {0};
            const float *row = x + b * t * c + from;
            for (int64_t i = 0; i < t; i++)
                for (int64_t j = 0; j < n; j++)
                    sum[j] += (double)row[i * c + j];
            for (int64_t j = 0; j < n; j++) {
                mean[from + j] += sum[j] / (double)t;
                cls[from + j] += (double)row[j];
            }
        }
    }
    for (int64_t b = 0; b < batch; b++)
        v->square[layer] += dot_double(x + b * t * c, x + b * t * c, t * c) / (double)t;
    if (layer == 0)
        v->samples += batch;
}
void moe_vectors_finish(struct moe_vectors *v)
{
    double n = v->samples ? (double)v->samples : 1;
    for (int64_t i = 0; i < v->layers * v->width; i++) {
        v->mean[i] /= n;
        v->cls[i] /= n;
    }
    for (int64_t l = 0; l < v->layers; l++)
        v->square[l] /= n;
}

/* ---- files ---- */
static void narrow(const double *from, int64_t n, float *to)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = (float)from[i];
}
static void add(struct safetensors_writer *w, struct arena *a, const char *what, int64_t layer, int64_t n,
                const double *from, int rank)
{
    float *to = arena_alloc(a, (size_t)n * sizeof *to);
    narrow(from, n, to);
    safetensors_writer_add(w, arena_printf(a, "%s.%lld", what, (long long)layer), DTYPE_F32, rank, &n, to);
}
bool moe_vectors_save(const struct moe_vectors *v, const json_t *info, const char *dir, struct error *err)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    AUTO_JSON j = json_pack("{s:I, s:I, s:I}", "samples", (json_int_t)v->samples, "layers",
                            (json_int_t)v->layers, "width", (json_int_t)v->width);
    if (info)
        json_object_update(j, (json_t *)info); /* only read */
    if (!json_write(arena_printf(&a, "%s/router.json", dir), j, err))
        return false;
    struct safetensors_writer *w = safetensors_writer_new();
    for (int64_t l = 0; l < v->layers; l++) {
        add(w, &a, "mean", l, v->width, v->mean + l * v->width, 1);
        add(w, &a, "cls", l, v->width, v->cls + l * v->width, 1);
        add(w, &a, "square", l, 1, v->square + l, 0);
    }
    return safetensors_write(w, arena_printf(&a, "%s/router.safetensors", dir), err);
}
static bool fetch(const struct safetensors *f, const char *what, int64_t layer, int rank, int64_t n,
                  struct arena *a, double *to, struct error *err)
{
    const struct tensor *t =
        safetensors_want(f, arena_printf(a, "%s.%lld", what, (long long)layer), rank, &n, err);
    const float *x = t ? tensor_floats(t, a) : NULL;
    if (!t)
        return false;
    if (!x)
        return no_memory(err);
    for (int64_t i = 0; i < n; i++)
        to[i] = (double)x[i];
    return true;
}
bool moe_vectors_load(const char *dir, const struct clip *m, struct arena *a, struct moe_vectors **ret,
                      struct error *err)
{
    AUTO(safetensors) struct safetensors *f = NULL;
    AUTO_JSON j = json_read(arena_printf(a, "%s/router.json", dir), err);
    struct moe_vectors *v = moe_vectors_new(a, m->config.vision.layers, m->config.vision.width);
    if (!v)
        return no_memory(err);
    v->tokens = clip_tokens(m);
    if (!j || !json_get_int(j, "samples", &v->samples, err) ||
        !safetensors_open(arena_printf(a, "%s/router.safetensors", dir), &f, err))
        return error_context(err, "router vectors '%s'", dir);
    for (int64_t l = 0; l < v->layers; l++)
        if (!fetch(f, "mean", l, 1, v->width, a, v->mean + l * v->width, err) ||
            !fetch(f, "cls", l, 1, v->width, a, v->cls + l * v->width, err) ||
            !fetch(f, "square", l, 0, 1, a, v->square + l, err))
            return error_context(err, "router vectors '%s'", dir);
    *ret = v;
    return true;
}

/* ---- forms ---- */
bool moe_vectors_parse(const char *name, enum moe_vectors_form *ret)
{
    static const char *const names[] = {"raw", "centred", "unit", "distance", "cosine"};
    for (int i = 0; i <= MOE_VECTORS_COSINE; i++)
        if (!strcmp(name, names[i])) {
            *ret = (enum moe_vectors_form)i;
            return true;
        }
    return false;
}
/* Entry `at` of e_p: that of patches follows from the other two. */
static double entry(const struct moe_vectors *v, enum moe_vectors_tokens of, int64_t at)
{
    double t = (double)v->tokens;
    if (of == MOE_VECTORS_CLASS)
        return v->cls[at];
    return of == MOE_VECTORS_ALL ? v->mean[at] : (t * v->mean[at] - v->cls[at]) / (t - 1);
}
/* Column j of the mean of all e_p. */
static double centre(struct moe_vectors *const *client, int n, enum moe_vectors_tokens of, int64_t at)
{
    double sum = 0;
    for (int p = 0; p < n; p++)
        sum += entry(client[p], of, at);
    return sum / n;
}
struct moe_vectors *moe_vectors_mean(struct moe_vectors *const *client, int n, struct arena *a)
{
    struct moe_vectors *v = moe_vectors_new(a, client[0]->layers, client[0]->width);
    if (!v)
        return NULL;
    v->tokens = client[0]->tokens;
    for (int64_t i = 0; i < v->layers * v->width; i++) {
        v->mean[i] = centre(client, n, MOE_VECTORS_ALL, i);
        v->cls[i] = centre(client, n, MOE_VECTORS_CLASS, i);
    }
    return v;
}
bool moe_vectors_router(struct moe_vectors *const *client, int n, int64_t layer, enum moe_vectors_form form,
                        enum moe_vectors_tokens of, float *w, float *b)
{
    int64_t width = client[0]->width, at = layer * width;
    bool centred = form == MOE_VECTORS_CENTRED || form == MOE_VECTORS_COSINE;
    for (int p = 0; p < n; p++) {
        double square = 0, along = 0; /* |w|^2 and c.w */
        for (int64_t j = 0; j < width; j++) {
            double c = centred ? centre(client, n, of, at + j) : 0, x = entry(client[p], of, at + j) - c;
            square += x * x;
            along += c * x;
        }
        bool unit = form == MOE_VECTORS_UNIT || form == MOE_VECTORS_COSINE;
        double scale = unit && square > 0 ? 1 / sqrt(square) : 1;
        for (int64_t j = 0; j < width; j++) {
            double c = centred ? centre(client, n, of, at + j) : 0;
            w[p * width + j] = (float)(scale * (entry(client[p], of, at + j) - c));
        }
        b[p] = (float)(form == MOE_VECTORS_DISTANCE ? -square / 2 : -scale * along);
    }
    return centred || form == MOE_VECTORS_DISTANCE;
}
void moe_vectors_random(struct rng_stream stream, int64_t layer, int n, int64_t width, float *w)
{
    float bound = 1 / sqrtf((float)width);
    for (int k = 0; k < n; k++) {
        struct rng r = rng_at(stream, (uint64_t)layer, (uint32_t)k);
        for (int64_t j = 0; j < width; j++)
            w[k * width + j] = bound * (2 * rng_uniform(&r) - 1);
    }
}
