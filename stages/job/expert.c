/* Stage expert: a client's LoRA expert and its router vectors.
 *   1. LoRA in the feed-forwards of every layer, fine-tuned on the client's images and, aligned with the
 * other clients, on its proxies among the public images. Labels are joint: the client's classes, then the
 * public ones.
 *   2. The mean input of every feed-forward of the trained expert over the same samples (evaluation
 * transform). Without public data the expert learns from the client's images alone (the paper's "w/o
 * alignment"). */
#include "base/cleanup.h"
#include "stages/io/tokenizer.h"
#include "stages/job/effort.h"
#include "stages/job/training.h"
#include "stages/model/moe_vectors.h"
#include "stages/model/peft.h"
#include "stages/model/prompt.h"
#include <omp.h>
#include <string.h>

struct expert_params {
    struct train_params train;
    int64_t rank;
    double alpha;
    const char *labels, *e_data;
};
#define P(...) PARAM(struct expert_params, __VA_ARGS__)
static const struct param params[] = {
    P(rank, .def = "16", .min = 1, .max = 4096, .doc = "rank of the LoRA", .source = "paper 4.1"),
    P(alpha, .def = "32", .min = 0, .max = 1e6, .doc = "scale of the LoRA is alpha / rank",
      .source = "paper 4.1"),
    TRAIN_PARAMS(struct expert_params, "10", "0.01", "paper 4.1"),
    P(labels, .def = "joint", .choices = "joint|private",
      .doc = "joint: the softmax is over the client's classes and then the public ones; private: over the "
             "client's "
             "alone, and the proxies, which have none of these, only shape the router vectors",
      .source = "paper 3.3, baselines"),
    P(e_data, .def = "private+proxy", .choices = "private+proxy|private",
      .doc = "samples whose mean makes the router vectors", .source = "paper 3.3; private: FlexOlmo"),
    {0}};
static const struct port inputs[] = {
    {.name = "model", .type = ARTIFACT_MODEL, .doc = "the seed model, frozen"},
    {.name = "private", .type = ARTIFACT_IMAGES, .private_ok = true, .doc = "the client's images"},
    {.name = "public",
     .type = ARTIFACT_IMAGES,
     .optional = true,
     .doc = "public images; with 'proxy' or not at all"},
    {.name = "proxy",
     .type = ARTIFACT_SELECTION,

     .optional = true,
     .doc = "the client's proxies among them"},
    {0}};
static const struct port outputs[] = {{.name = "adapter",
                                       .type = ARTIFACT_ADAPTER,
                                       .releases = true,
                                       .release = "LoRA weights of the feed-forwards",
                                       .doc = "PEFT folder"},
                                      {.name = "router",
                                       .type = ARTIFACT_ROUTER,
                                       .releases = true,
                                       .release = "per-layer means over private and proxy samples",
                                       .doc = "router vectors"},
                                      {0}};
static bool check(const void *params_, struct error *err)
{
    const struct expert_params *p = params_;
    return train_check(&p->train, err);
}
static bool prefix(const void *params_)
{
    const struct expert_params *p = params_;
    return train_prefix(&p->train);
}

struct expert {
    struct stage_context *ctx;
    const struct expert_params *p;
    struct clip *model;
    struct dataset *data[2]; /* private, public */
    int64_t own, proxies;    /* samples: the first `own`, then the proxies */
    struct train_sample *sample;
    int64_t classes; /* of the softmax */
    float *text;     /* (classes, E) */
    struct adapter_set *adapter;
    struct train train;
    bool failed; /* while adding weights */
};
static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for an expert");
}
static bool joint(const struct expert *x)
{
    return x->data[1] && !strcmp(x->p->labels, "joint");
}

/* ---- samples and texts ---- */
static bool open_inputs(struct expert *x, struct error *err)
{
    struct stage_context *ctx = x->ctx;
    if (stage_in_count(ctx, "public") != stage_in_count(ctx, "proxy"))
        return error_set(
            err, NULL, ERROR_INPUT,
            "inputs 'public' and 'proxy' belong together: connect both, or neither to train on the "
            "client's images alone");
    if (!clip_open(stage_in(ctx, "model", 0), &x->model, err))
        return false;
    if (x->model->moe)
        return error_set(err, NULL, ERROR_INPUT,
                         "an expert starts from a dense model; this one is a unified model");
    if (!dataset_open(stage_in(ctx, "private", 0), &x->data[0], err) ||
        (stage_in(ctx, "public", 0) && !dataset_open(stage_in(ctx, "public", 0), &x->data[1], err)))
        return false;
    x->own = dataset_count(x->data[0]);
    return x->own > 0 || error_set(err, NULL, ERROR_INPUT, "the client's data set has no images");
}
/* Proxies are found by id, so that the same set in another order is no mistake. */
static bool add_proxies(struct expert *x, const json_t *ids, struct error *err)
{
    int64_t offset = dataset_classes(x->data[0]);
    for (int64_t i = 0; i < x->proxies; i++) {
        const char *id = json_string_value(json_array_get(ids, (size_t)i));
        int64_t at = id ? dataset_find(x->data[1], id) : -1;
        if (at < 0)
            return error_set(err, NULL, ERROR_INPUT,
                             "proxy '%s' is not in the public data set: it was selected from another one",
                             id ? id : "?");
        x->sample[x->own + i] = (struct train_sample){1, at, offset + dataset_label(x->data[1], at)};
    }
    return true;
}
static bool gather_samples(struct expert *x, struct error *err)
{
    AUTO_JSON selection = NULL;
    const json_t *ids = NULL;
    if (x->data[1]) {
        selection = json_read(stage_in_file(x->ctx, "proxy", 0, "selection.json"), err);
        if (!selection)
            return false;
        ids = json_object_get(selection, "ids");
        x->proxies = (int64_t)json_array_size(ids);
    }
    x->sample = arena_try(x->ctx->arena, (size_t)(x->own + x->proxies) * sizeof *x->sample);
    if (!x->sample)
        return no_memory(err);
    for (int64_t i = 0; i < x->own; i++)
        x->sample[i] = (struct train_sample){0, i, dataset_label(x->data[0], i)};
    return add_proxies(x, ids, err);
}
static void warn_shared_names(struct expert *x)
{
    int64_t same = 0;
    for (int a = 0; a < dataset_classes(x->data[0]); a++)
        for (int b = 0; b < dataset_classes(x->data[1]); b++)
            same += !strcmp(dataset_class(x->data[0], a), dataset_class(x->data[1], b));
    if (same)
        stage_warn(x->ctx,
                   "%lld class names are both the client's and public: the joint softmax has them twice",
                   (long long)same);
}
static bool class_texts(struct expert *x, struct error *err)
{
    AUTO(tokenizer) struct tokenizer *tok = NULL;
    int64_t own = dataset_classes(x->data[0]), public = joint(x) ? dataset_classes(x->data[1]) : 0,
            e = x->model->config.embed;
    const struct prompt_params *prompt = &x->p->train.prompt;
    x->classes = own + public;
    x->text = arena_floats(x->ctx->arena, x->classes * e);
    if (!x->text)
        return no_memory(err);
    if (public)
        warn_shared_names(x);
    return tokenizer_open(stage_in(x->ctx, "model", 0), &tok, err) &&
           prompt_features(x->model, tok, prompt, dataset_class_names(x->data[0]), own, x->text, err) &&
           (!public || prompt_features(x->model, tok, prompt, dataset_class_names(x->data[1]), public,
                                       x->text + own * e, err));
}

/* ---- training ---- */
static void add_weight(void *arg, const char *name, struct mat *w)
{
    struct expert *x = arg;
    if (!optim_add(x->train.optim, w, 1, NULL))
        x->failed = true;
}
static bool train(struct expert *x, struct error *err)
{
    struct train *t = &x->train;
    *t = (struct train){.params = &x->p->train,
                        .name = "expert",
                        .model = x->model,
                        .data = x->data,
                        .sets = x->data[1] ? 2 : 1,
                        .sample = x->sample,
                        .count = joint(x) ? x->own + x->proxies : x->own,
                        .text = x->text,
                        .classes = x->classes,
                        .threads = x->ctx->threads};
    t->total =
        t->count * x->p->train.epochs + (strcmp(x->p->e_data, "private") ? x->own + x->proxies : x->own);
    if (!adapter_new(x->model, x->p->rank, x->p->alpha, (uint64_t)x->p->train.seed, true, x->ctx->arena,
                     &x->adapter, err))
        return false;
    clip_attach(x->model, x->adapter);
    t->optim = train_optim(t->params, x->ctx->arena);
    adapter_each(x->adapter, add_weight, x);
    if (x->failed)
        return no_memory(err);
    return training_run(x->ctx, t, err) && peft_save(x->adapter, x->model->name, x->ctx->outputs[0], err);
}
static bool make_vectors(struct expert *x, struct error *err)
{
    const struct clip_config *c = &x->model->config;
    bool own = !strcmp(x->p->e_data, "private");
    struct moe_vectors *v = moe_vectors_new(x->ctx->arena, c->vision.layers, c->vision.width);
    struct observer o = {moe_vectors_see, v};
    if (!v)
        return no_memory(err);
    x->train.count = own ? x->own : x->own + x->proxies;
    if (!train_observe(&x->train, &o, err))
        return false;
    moe_vectors_finish(v);
    AUTO_JSON info = json_pack("{s:I, s:I, s:s}", "private", (json_int_t)x->own, "proxies",
                               (json_int_t)(own ? 0 : x->proxies), "data", x->p->e_data);
    return moe_vectors_save(v, info, x->ctx->outputs[1], err);
}
static bool run(struct stage_context *ctx, struct error *err)
{
    struct expert x = {.ctx = ctx, .p = ctx->params};
    omp_set_num_threads(ctx->threads);
    bool ok = open_inputs(&x, err) && gather_samples(&x, err) && class_texts(&x, err) && train(&x, err) &&
              make_vectors(&x, err);
    dataset_close(x.data[0]);
    dataset_close(x.data[1]);
    clip_free(x.model);
    return ok;
}
/* The router vectors are one more pass, forward alone. */
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    const struct expert_params *p = params_;
    double model = (double)in->model, samples = (double)in->own + (double)in->chosen;
    ret->flops = effort_train_flops(&p->train, in, samples) + effort_of_input(in) * samples;
    ret->bytes = in->bytes;
    ret->peak = cost_count(effort_train_memory(&p->train, in));
    ret->makes = (struct cost_output){.bytes = cost_count(model / 10)};
}
const struct stage stage_expert = {
    .name = "expert",
    .version = 2,
    .doc = "A client's LoRA expert, trained on its images and its proxies, and its router vectors.",
    .params = params,
    .params_size = sizeof(struct expert_params),
    .inputs = inputs,
    .outputs = outputs,
    .check = check,
    .prefix = prefix,
    .cost = cost,
    .run = run};
