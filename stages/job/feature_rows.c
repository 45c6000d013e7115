#include "stages/job/feature_rows.h"
#include "base/cleanup.h"
#include "stages/io/safetensors.h"
#include <string.h>

/* Tensors live in the mapped file: what is kept is copied. */
static float *copy_floats(const struct tensor *t, struct arena *a)
{
    float *x = arena_floats(a, t->n > 0 ? t->n : 1);
    const float *from = tensor_floats(t, a);
    if (x && from)
        memcpy(x, from, (size_t)t->n * sizeof *x);
    return from ? x : NULL;
}

bool feature_rows_read(struct stage_context *ctx, const char *port, int i, struct feature_rows *ret,
                       struct error *err)
{
    AUTO(safetensors) struct safetensors *s = NULL;
    *ret = (struct feature_rows){.ids = json_read(stage_in_file(ctx, port, i, "ids.json"), err)};
    if (!ret->ids || !safetensors_open(stage_in_file(ctx, port, i, "features.safetensors"), &s, err))
        return false;
    const struct tensor *t = safetensors_want(s, "features", -1, NULL, err);
    if (!t)
        return false;
    if (t->rank != 2 || t->shape[1] < 1 || (int64_t)json_array_size(ret->ids) != t->shape[0])
        return error_set(err, NULL, ERROR_INPUT,
                         "%s: the features must be a (samples, features) table, with an id a sample", port);
    ret->n = t->shape[0];
    ret->d = t->shape[1];
    ret->x = copy_floats(t, ctx->arena);
    return ret->x ||
           error_set(err, NULL, ERROR_TASK, "out of memory for %lld feature rows", (long long)ret->n);
}

bool feature_rows_relevance(struct stage_context *ctx, const struct feature_rows *f, const float **ret,
                            struct error *err)
{
    AUTO(safetensors) struct safetensors *s = NULL;
    if (!safetensors_open(stage_in_file(ctx, "relevance", 0, "relevance.safetensors"), &s, err))
        return false;
    const struct tensor *t = safetensors_want(s, "relevance", -1, NULL, err);
    if (!t)
        return false;
    if (t->n != f->n)
        return error_set(err, NULL, ERROR_INPUT,
                         "%lld feature rows and %lld relevances: they must be of the same public set",
                         (long long)f->n, (long long)t->n);
    *ret = copy_floats(t, ctx->arena);
    return *ret || error_set(err, NULL, ERROR_TASK, "out of memory for the relevance");
}

bool feature_rows_selection(struct stage_context *ctx, const struct feature_rows *f, const char *port, int i,
                            int64_t **ret, int64_t *ret_n, json_t **ret_json, struct error *err)
{
    json_t *j = *ret_json = json_read(stage_in_file(ctx, port, i, "selection.json"), err);
    if (!j)
        return false;
    const json_t *ids = json_object_get(j, "ids"), *indices = json_object_get(j, "indices");
    size_t n = json_array_size(ids);
    int64_t *row = *ret = arena_alloc(ctx->arena, (n + 1) * sizeof *row);
    bool ok = n > 0 && json_array_size(indices) == n;
    for (size_t k = 0; ok && k < n; k++) {
        row[k] = json_integer_value(json_array_get(indices, k));
        ok = row[k] >= 0 && row[k] < f->n &&
             json_equal(json_array_get(ids, k), json_array_get(f->ids, (size_t)row[k]));
    }
    *ret_n = (int64_t)n;
    if (ok)
        return true;
    json_decref(j);
    *ret_json = NULL;
    return error_set(err, NULL, ERROR_INPUT, "%s[%d] is no selection of samples of the features", port, i);
}
