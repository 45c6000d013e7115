/* Stage router: the last fine-tuning of a unified model, on public data alone. Router vectors, biases,
 * lambdas and the experts' LoRA move on the union of the clients' proxies, against the public classes' texts.
 * A public sample that several clients selected counts once. A baseline that may pool the clients' images
 * trains on these too, or on these alone. */
#include "base/cleanup.h"
#include "base/json.h"
#include "stages/job/effort.h"
#include "stages/job/router_losses.h"
#include "stages/job/router_samples.h"
#include "stages/job/training.h"
#include "stages/model/unified.h"
#include <omp.h>
#include <string.h>

struct router_params {
    struct train_params train;
    struct router_losses losses;
    const char *moves;
    double lr_lambda, lr_router;
    int64_t private_rows;
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
    P(private_rows, .def = "0", .min = 0, .max = 1e9, .unit = "images",
      .doc = "of 'private': images of each client, drawn at random; 0: all",
      .source = "UnrestrictedMoE; authors' code: 500"),
    ROUTER_LOSSES(struct router_params),
    {0}};
static const struct port inputs[] = {
    {.name = "model", .type = ARTIFACT_MODEL, .doc = "a unified model, from the stage merge"},
    {.name = "public", .type = ARTIFACT_IMAGES, .optional = true, .doc = "public images; with 'proxies'"},
    {.name = "proxies",
     .type = ARTIFACT_SELECTION,
     .many = true,
     .optional = true,
     .doc = "the clients' proxies among them"},
    {.name = "private",
     .type = ARTIFACT_IMAGES,
     .many = true,
     .optional = true,
     .private_ok = true,
     .doc =
         "clients' images, for a baseline that pools them (UnrestrictedMoE): of several clients only where "
         "privacy.allow names the task"},
    {0}};
static const struct port outputs[] = {{.name = "model",
                                       .type = ARTIFACT_MODEL,
                                       .releases = true,
                                       .release = "weights of routers and experts",
                                       .doc = "the fine-tuned unified model"},
                                      {0}};
static bool check(const void *params_, struct error *err)
{
    const struct router_params *p = params_;
    if (p->losses.balance_rate > 0 && !strcmp(p->moves, "experts"))
        return error_set(err, NULL, ERROR_INPUT,
                         "'balance_rate' moves routers: with 'train: experts' they stay");
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
    struct router_samples samples;
    struct train train;
    bool failed; /* while adding weights */
};
static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for the fine-tuning of a router");
}

/* ---- training ---- */
static void add_weight(void *arg, char kind, const char *name, struct mat *w)
{
    struct tuning *x = arg;
    bool expert = kind == 'a';
    double scale = expert ? 1 : kind == 'l' ? x->p->lr_lambda : x->p->lr_router;
    if (kind == 's')
        return; /* no gradient moves it: router_losses_set */
    if (!strcmp(x->p->moves, expert ? "router" : "experts"))
        w->g = NULL; /* frozen: no gradient is made */
    else if (!optim_add(x->train.optim, w, scale, NULL))
        x->failed = true;
}
static bool train(struct tuning *x, struct error *err)
{
    struct train *t = &x->train;
    t->name = "router";
    t->threads = x->ctx->threads;
    t->total = t->count * x->p->train.epochs;
    t->optim = train_optim(t->params, x->ctx->arena);
    unified_each(x->model, add_weight, x);
    if (x->failed)
        return no_memory(err);
    return router_losses_set(x->ctx, &x->p->losses, x->model, t, err) && training_run(x->ctx, t, err);
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
    x->train.params = &x->p->train;
    x->train.model = x->model;
    if (!unified_load(x->model, dir, true, err) ||
        !router_samples_open(x->ctx, x->p->private_rows, &x->train, &x->samples, err) || !train(x, err))
        return false;
    report_lambda(x);
    return write_model(x, err);
}
static bool run(struct stage_context *ctx, struct error *err)
{
    struct tuning x = {.ctx = ctx, .p = ctx->params};
    omp_set_num_threads(ctx->threads);
    bool ok = tune(&x, err);
    router_samples_close(&x.samples);
    clip_free(x.model);
    return ok;
}
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    const struct router_params *p = params_;
    bool part = p->private_rows > 0 && p->private_rows < in->own;
    double own = (double)(part ? p->private_rows : in->own);
    ret->flops = effort_train_flops(&p->train, in, (double)in->chosen + own);
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
