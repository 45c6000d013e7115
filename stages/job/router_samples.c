#include "stages/job/router_samples.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "stages/io/tokenizer.h"
#include "stages/model/prompt.h"
#include <string.h>

static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for the samples of a router");
}
static bool has_public(struct stage_context *ctx)
{
    return stage_in(ctx, "public", 0) != NULL;
}
static bool check_inputs(struct stage_context *ctx, int64_t private_rows, struct error *err)
{
    bool private = stage_in_count(ctx, "private") > 0;
    if (has_public(ctx) != (stage_in_count(ctx, "proxies") > 0))
        return error_set(
            err, NULL, ERROR_INPUT,
            "inputs 'public' and 'proxies' belong together: connect both, or neither to train on "
            "private images");
    if (!has_public(ctx) && !private)
        return error_set(err, NULL, ERROR_INPUT,
                         "there is nothing to train on: connect 'public' and 'proxies'");
    return private || private_rows == 0 ||
           error_set(err, NULL, ERROR_INPUT, "'private_rows' has no effect without the input 'private'");
}
static bool open_sets(struct stage_context *ctx, struct router_samples *s, struct error *err)
{
    int clients = stage_in_count(ctx, "private");
    s->data = arena_alloc(ctx->arena, (size_t)(clients + 1) * sizeof *s->data);
    if (has_public(ctx)) {
        if (!dataset_open(stage_in(ctx, "public", 0), &s->data[0], err))
            return false;
        s->sets = 1;
    }
    for (int k = 0; k < clients; k++, s->sets++)
        if (!dataset_open(stage_in(ctx, "private", k), &s->data[s->sets], err))
            return error_context(err, "private data set %d", k);
    return true;
}

/* ---- samples: chosen (images of one set) ---- */
/* The new ones are appended to t->sample as well, in the selection's order. */
static bool mark_proxies(struct dataset *data, const char *path, bool *chosen, struct train *t,
                         struct train_sample *sample, struct error *err)
{
    AUTO_JSON selection = json_read(path, err);
    size_t i;
    json_t *id;
    if (!selection)
        return false;
    json_array_foreach(json_object_get(selection, "ids"), i, id)
    {
        const char *name = json_string_value(id);
        int64_t at = name ? dataset_find(data, name) : -1;
        if (at < 0)
            return error_set(err, NULL, ERROR_INPUT,
                             "proxy '%s' is not in the public data set: it was selected from another one",
                             name ? name : "?");
        if (!chosen[at])
            sample[t->count++] = (struct train_sample){0, at, dataset_label(data, at)};
        chosen[at] = true;
    }
    return true;
}
/* `rows` of n images, all when there are no more. */
static bool mark_private(struct stage_context *ctx, uint64_t seed, int client, int64_t n, int64_t rows,
                         bool *chosen, struct error *err)
{
    struct rng r = rng_at(rng_stream(seed, "router.private"), (uint64_t)client, 0);
    int64_t *order = arena_try(ctx->arena, (size_t)n * sizeof *order);
    if (!order)
        return no_memory(err);
    rng_permutation(&r, n, order);
    for (int64_t i = 0; i < n && (rows == 0 || i < rows); i++)
        chosen[order[i]] = true;
    return true;
}
/* Append the samples of a set, in its own order, which is that of the ids: the order of the clients'
 * selections does not matter. With order: given, proxies come client by client. Label 0 of the set is row
 * `first` of the texts. */
static bool add_set(struct stage_context *ctx, struct train *t, struct dataset *data, int set,
                    int64_t private_rows, int64_t first, struct train_sample *sample, struct error *err)
{
    int64_t n = dataset_count(data), before = t->count;
    int client = set - has_public(ctx);
    bool *chosen = arena_try(ctx->arena, (size_t)n + 1);
    if (!chosen)
        return no_memory(err);
    if (client >= 0 && !mark_private(ctx, (uint64_t)t->params->seed, client, n, private_rows, chosen, err))
        return false;
    for (int k = 0; client < 0 && k < stage_in_count(ctx, "proxies"); k++)
        if (!mark_proxies(data, stage_in_file(ctx, "proxies", k, "selection.json"), chosen, t, sample, err))
            return false;
    if (client < 0 && !strcmp(t->params->order, "given"))
        return true;
    t->count = before;
    for (int64_t i = 0; i < n; i++)
        if (chosen[i])
            sample[t->count++] = (struct train_sample){set, i, first + dataset_label(data, i)};
    return true;
}
static bool gather(struct stage_context *ctx, const struct router_samples *s, int64_t private_rows,
                   struct train *t, struct error *err)
{
    int64_t room = 0, first = 0;
    for (int set = 0; set < s->sets; set++)
        room += dataset_count(s->data[set]);
    struct train_sample *sample = arena_try(ctx->arena, (size_t)(room + 1) * sizeof *sample);
    if (!sample)
        return no_memory(err);
    t->sample = sample;
    for (int set = 0; set < s->sets; first += dataset_classes(s->data[set]), set++)
        if (!add_set(ctx, t, s->data[set], set, private_rows, first, sample, err))
            return false;
    return t->count > 0 ||
           error_set(err, NULL, ERROR_INPUT, "the proxies are empty: there is nothing to train on");
}

/* ---- texts ---- */
static void warn_shared_names(struct stage_context *ctx, const struct router_samples *s)
{
    int same = 0;
    for (int a = 0; a < s->sets; a++)
        for (int b = a + 1; b < s->sets; b++)
            same += dataset_shared_classes(s->data[a], s->data[b]);
    if (same)
        stage_warn(ctx, "%d class names are those of several data sets: the softmax has them more than once",
                   same);
}
static bool class_texts(struct stage_context *ctx, const struct router_samples *s, struct train *t,
                        struct error *err)
{
    AUTO(tokenizer) struct tokenizer *tok = NULL;
    int64_t e = t->model->config.embed, at = 0;
    for (int set = 0; set < s->sets; set++)
        t->classes += dataset_classes(s->data[set]);
    float *text = arena_floats(ctx->arena, t->classes * e);
    if (!text)
        return no_memory(err);
    t->text = text;
    if (!tokenizer_open(stage_in(ctx, "model", 0), &tok, err))
        return false;
    for (int set = 0; set < s->sets; at += dataset_classes(s->data[set]), set++)
        if (!prompt_features(t->model, tok, &t->params->prompt, dataset_class_names(s->data[set]),
                             dataset_classes(s->data[set]), text + at * e, err))
            return false;
    return true;
}

bool router_samples_open(struct stage_context *ctx, int64_t private_rows, struct train *t,
                         struct router_samples *ret, struct error *err)
{
    *ret = (struct router_samples){0};
    if (!check_inputs(ctx, private_rows, err) || !open_sets(ctx, ret, err))
        return false;
    t->data = ret->data;
    t->sets = ret->sets;
    t->count = t->classes = 0;
    warn_shared_names(ctx, ret);
    return gather(ctx, ret, private_rows, t, err) && class_texts(ctx, ret, t, err);
}
void router_samples_close(struct router_samples *s)
{
    for (int i = 0; i < s->sets; i++)
        dataset_close(s->data[i]);
}
