/* Stage router: the last fine-tuning of a unified model, on public data alone. Router vectors, biases,
 * lambdas and the experts' LoRA move on the union of the clients' proxies, against the public classes' texts.
 * A public sample that several clients selected counts once. */
#include "base/cleanup.h"
#include "base/json.h"
#include "stages/io/tokenizer.h"
#include "stages/job/effort.h"
#include "stages/job/router_losses.h"
#include "stages/job/training.h"
#include "stages/model/prompt.h"
#include "stages/model/unified.h"
#include <omp.h>
#include <string.h>

struct router_params {
    struct train_params train;
    struct router_losses losses;
    const char *moves;
    double lr_lambda, lr_router;
};
#define P(...) PARAM(struct router_params, __VA_ARGS__)
static const struct param params[] = {
    TRAIN_PARAMS(struct router_params, "5", "0.001", "paper 4.1"),
    {.name = "train",
     .type = PARAM_STRING,
     .offset = offsetof(struct router_params, moves),
     .def = "both",
     .choices = "router|experts|both",
     .doc = "what moves: router vectors, biases and lambdas; the experts' LoRA; or both",
     .source = "paper 3.3"},
    P(lr_lambda, .def = "1", .min = 0, .max = 1e6, .doc = "learning rate of the lambdas as a multiple of lr",
      .source = "REFERENCE 1.1"),
    P(lr_router, .def = "1", .min = 0, .max = 1e6,
      .doc = "learning rate of router vectors and biases as a multiple of lr"),
    ROUTER_LOSSES(struct router_params),
    {0}};
static const struct port inputs[] = {
    {.name = "model", .type = ARTIFACT_MODEL, .doc = "a unified model, from the stage merge"},
    {.name = "public", .type = ARTIFACT_IMAGES, .doc = "public images"},
    {.name = "proxies", .type = ARTIFACT_SELECTION, .many = true, .doc = "the clients' proxies among them"},
    {0}};
static const struct port outputs[] = {
    {.name = "model", .type = ARTIFACT_MODEL, .doc = "the fine-tuned unified model"}, {0}};
static bool check(const void *params_, struct error *err)
{
    const struct router_params *p = params_;
    return train_check(&p->train, err);
}
static bool prefix(const void *params_)
{
    const struct router_params *p = params_;
    return train_prefix(&p->train);
}

struct tuning {
    struct stage_context *ctx;
    const struct router_params *p;
    struct clip *model;
    struct dataset *data;
    struct train train;
    bool failed; /* while adding weights */
};
static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for the fine-tuning of a router");
}

/* ---- the union of the proxies ---- */
static bool mark(struct tuning *x, const char *path, bool *chosen, struct error *err)
{
    AUTO_JSON selection = json_read(path, err);
    size_t i;
    json_t *id;
    if (!selection)
        return false;
    json_array_foreach(json_object_get(selection, "ids"), i, id)
    {
        const char *name = json_string_value(id);
        int64_t at = name ? dataset_find(x->data, name) : -1;
        if (at < 0)
            return error_set(err, NULL, ERROR_INPUT,
                             "proxy '%s' is not in the public data set: it was selected from another one",
                             name ? name : "?");
        chosen[at] = true;
    }
    return true;
}
/* In the data set's order, which is that of the ids: the order of the clients does not matter. */
static bool gather_samples(struct tuning *x, struct error *err)
{
    int64_t n = dataset_count(x->data), count = 0;
    bool *chosen = arena_try(x->ctx->arena, (size_t)n * sizeof *chosen);
    struct train_sample *sample = arena_try(x->ctx->arena, (size_t)n * sizeof *sample);
    if (!chosen || !sample)
        return no_memory(err);
    for (int k = 0; k < stage_in_count(x->ctx, "proxies"); k++)
        if (!mark(x, stage_in_file(x->ctx, "proxies", k, "selection.json"), chosen, err))
            return false;
    for (int64_t i = 0; i < n; i++)
        if (chosen[i])
            sample[count++] = (struct train_sample){0, i, dataset_label(x->data, i)};
    x->train.sample = sample;
    x->train.count = count;
    return count > 0 ||
           error_set(err, NULL, ERROR_INPUT, "the proxies are empty: there is nothing to train on");
}
static bool class_texts(struct tuning *x, struct error *err)
{
    AUTO(tokenizer) struct tokenizer *tok = NULL;
    int64_t n = dataset_classes(x->data);
    float *text = arena_floats(x->ctx->arena, n * x->model->config.embed);
    if (!text)
        return no_memory(err);
    x->train.text = text;
    x->train.classes = n;
    return tokenizer_open(stage_in(x->ctx, "model", 0), &tok, err) &&
           prompt_features(x->model, tok, &x->p->train.prompt, dataset_class_names(x->data), n, text, err);
}

/* ---- training ---- */
static void add_weight(void *arg, char kind, const char *name, struct mat *w)
{
    struct tuning *x = arg;
    bool expert = kind == 'a';
    double scale = expert ? 1 : kind == 'l' ? x->p->lr_lambda : x->p->lr_router;
    if (!strcmp(x->p->moves, expert ? "router" : "experts"))
        w->g = NULL; /* frozen: no gradient is made */
    else if (!optim_add(x->train.optim, w, scale, NULL))
        x->failed = true;
}
static bool train(struct tuning *x, struct error *err)
{
    struct train *t = &x->train;
    t->params = &x->p->train;
    t->name = "router";
    t->model = x->model;
    t->data = &x->data;
    t->sets = 1;
    t->threads = x->ctx->threads;
    t->total = t->count * x->p->train.epochs;
    t->optim = train_optim(t->params, x->ctx->arena);
    unified_each(x->model, add_weight, x);
    if (x->failed)
        return no_memory(err);
    return router_losses_set(x->ctx, &x->p->losses, t, err) && training_run(x->ctx, t, err);
}
static void report_lambda(const struct tuning *x)
{
    double sum = 0;
    int64_t layers = x->model->config.vision.layers;
    for (int64_t l = 0; l < layers; l++)
        sum += (double)x->model->moe[l].lambda.w[0];
    stage_metric(x->ctx, "lambda", sum / (double)layers, x->p->train.epochs);
}

/* ---- output ---- */
/* The experts keep their names; the seed's weights and the tokenizer stay what they are. */
static bool write_model(struct tuning *x, struct error *err)
{
    const char *from = stage_in(x->ctx, "model", 0), *to = x->ctx->outputs[0];
    AUTO_JSON config = json_read(stage_in_file(x->ctx, "model", 0, "config.json"), err);
    int n = x->model->moe->experts;
    const char **names = arena_alloc(x->ctx->arena, (size_t)n * sizeof *names);
    if (!config)
        return false;
    for (int k = 0; k < n; k++) {
        const char *name =
            json_string_value(json_array_get(json_object_get(config, "expert_names"), (size_t)k));
        names[k] = name ? name : arena_printf(x->ctx->arena, "%d", k);
    }
    return unified_save(x->model, names, from, to, err) && unified_link(from, to, err);
}
static bool tune(struct tuning *x, struct error *err)
{
    const char *dir = stage_in(x->ctx, "model", 0);
    if (!clip_open(dir, &x->model, err))
        return false;
    if (!x->model->moe)
        return error_set(err, NULL, ERROR_INPUT, "the model '%s' has no router: it is no unified model", dir);
    if (!unified_load(x->model, dir, true, err) ||
        !dataset_open(stage_in(x->ctx, "public", 0), &x->data, err) || !gather_samples(x, err) ||
        !class_texts(x, err) || !train(x, err))
        return false;
    report_lambda(x);
    return write_model(x, err);
}
static bool run(struct stage_context *ctx, struct error *err)
{
    struct tuning x = {.ctx = ctx, .p = ctx->params};
    omp_set_num_threads(ctx->threads);
    bool ok = tune(&x, err);
    dataset_close(x.data);
    clip_free(x.model);
    return ok;
}
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    const struct router_params *p = params_;
    ret->flops = effort_train_flops(&p->train, in, (double)in->chosen);
    ret->bytes = in->bytes;
    ret->peak = cost_count(effort_train_memory(&p->train, in));
    ret->makes = (struct cost_output){.bytes = in->model, .forward = in->forward};
}
const struct stage stage_router = {
    .name = "router",
    .version = 2,
    .doc = "Fine-tunes a unified model's routers and experts on the union of the clients' proxies.",
    .params = params,
    .params_size = sizeof(struct router_params),
    .inputs = inputs,
    .outputs = outputs,
    .check = check,
    .prefix = prefix,
    .cost = cost,
    .run = run};
