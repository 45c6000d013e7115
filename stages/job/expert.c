/* Stage expert: a client's LoRA expert and its router vectors.
 *   1. LoRA in the feed-forwards of every layer, fine-tuned on the client's images and, aligned with the
 * other clients, on its proxies among the public images. Labels are joint: the client's classes, then the
 * public ones.
 *   2. The mean input of every feed-forward of the trained expert over the same samples (evaluation
 * transform). Without public data the expert learns from the client's images alone (the paper's "w/o
 * alignment"); without the client's, from its proxies alone (proxy-only). */
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
    bool e_drop_last;
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
    P(e_drop_last, .def = "false",
      .doc = "the router vectors leave out the last samples, those that do not fill a 'batch': proxies, for "
             "they come last",
      .source = "REFERENCE 1.1: authors' code"),
    {0}};
static const struct port inputs[] = {
    {.name = "model", .type = ARTIFACT_MODEL, .doc = "the seed model, frozen"},
    {.name = "private",
     .type = ARTIFACT_IMAGES,
     .private_ok = true,
     .optional = true,
     .doc = "the client's images; without them the expert is made of proxies alone"},
    {.name = "public",
     .type = ARTIFACT_IMAGES,
     .optional = true,
     .doc = "public images; with 'proxy' or not at all"},
    {.name = "proxy",
     .type = ARTIFACT_SELECTION,
     .many = true,
     .optional = true,
     .doc = "the client's proxies among them; of several selections the union"},
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
    struct dataset *data[2]; /* private, public; NULL: not connected */
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
/* Are the public classes in the softmax? */
static bool joint(const struct expert *x)
{
    return x->data[1] && !strcmp(x->p->labels, "joint");
}
static int64_t private_classes(const struct expert *x)
{
    return x->data[0] ? dataset_classes(x->data[0]) : 0;
}

/* ---- samples and texts ---- */
static bool check_inputs(struct expert *x, struct error *err)
{
    bool private = stage_in(x->ctx, "private", 0), public = stage_in(x->ctx, "public", 0);
    if (public != (stage_in_count(x->ctx, "proxy") > 0))
        return error_set(
            err, NULL, ERROR_INPUT,
            "inputs 'public' and 'proxy' belong together: connect both, or neither to train on the "
            "client's images alone");
    if (!private && !public)
        return error_set(err, NULL, ERROR_INPUT,
                         "there is nothing to train on: connect 'private', or 'public' and 'proxy', or all");
    const char *alone = !strcmp(x->p->labels, "private")   ? "labels"
                        : !strcmp(x->p->e_data, "private") ? "e_data"
                                                           : NULL;
    return private || !alone ||
           error_set(err, NULL, ERROR_INPUT, "'%s: private' needs the input 'private'", alone);
}
static bool open_inputs(struct expert *x, struct error *err)
{
    struct stage_context *ctx = x->ctx;
    if (!check_inputs(x, err) || !clip_open(stage_in(ctx, "model", 0), &x->model, err))
        return false;
    if (x->model->moe)
        return error_set(err, NULL, ERROR_INPUT,
                         "an expert starts from a dense model; this one is a unified model");
    if ((stage_in(ctx, "private", 0) && !dataset_open(stage_in(ctx, "private", 0), &x->data[0], err)) ||
        (stage_in(ctx, "public", 0) && !dataset_open(stage_in(ctx, "public", 0), &x->data[1], err)))
        return false;
    x->own = x->data[0] ? dataset_count(x->data[0]) : 0;
    return x->own > 0 || !x->data[0] ||
           error_set(err, NULL, ERROR_INPUT, "the client's data set has no images");
}
/* Proxies are found by id, so that the same set in another order is no mistake. In pick order, each once. */
static bool add_proxies(struct expert *x, const char *path, bool *chosen, struct error *err)
{
    AUTO_JSON selection = json_read(path, err);
    int64_t offset = private_classes(x);
    size_t i;
    json_t *id;
    if (!selection)
        return false;
    json_array_foreach(json_object_get(selection, "ids"), i, id)
    {
        const char *name = json_string_value(id);
        int64_t at = name ? dataset_find(x->data[1], name) : -1;
        if (at < 0)
            return error_set(err, NULL, ERROR_INPUT,
                             "proxy '%s' is not in the public data set: it was selected from another one",
                             name ? name : "?");
        if (!chosen[at])
            x->sample[x->own + x->proxies++] =
                (struct train_sample){x->data[0] != NULL, at, offset + dataset_label(x->data[1], at)};
        chosen[at] = true;
    }
    return true;
}
static bool gather_samples(struct expert *x, struct error *err)
{
    struct arena *a = x->ctx->arena;
    int64_t public = x->data[1] ? dataset_count(x->data[1]) : 0;
    bool *chosen = arena_try(a, (size_t) public + 1);
    x->sample = arena_try(a, (size_t)(x->own + public) * sizeof *x->sample);
    if (!x->sample || !chosen)
        return no_memory(err);
    for (int64_t i = 0; i < x->own; i++)
        x->sample[i] = (struct train_sample){0, i, dataset_label(x->data[0], i)};
    for (int k = 0; k < stage_in_count(x->ctx, "proxy"); k++)
        if (!add_proxies(x, stage_in_file(x->ctx, "proxy", k, "selection.json"), chosen, err))
            return false;
    return x->own + x->proxies > 0 ||
           error_set(err, NULL, ERROR_INPUT, "the proxies are empty: there is nothing to train on");
}
static void warn_shared_names(struct expert *x)
{
    int same = dataset_shared_classes(x->data[0], x->data[1]);
    if (same)
        stage_warn(x->ctx,
                   "%d class names are both the client's and public: the joint softmax has them twice", same);
}
static bool class_texts(struct expert *x, struct error *err)
{
    AUTO(tokenizer) struct tokenizer *tok = NULL;
    int64_t own = private_classes(x), public = joint(x) ? dataset_classes(x->data[1]) : 0,
            e = x->model->config.embed;
    const struct prompt_params *prompt = &x->p->train.prompt;
    x->classes = own + public;
    x->text = arena_floats(x->ctx->arena, x->classes * e);
    if (!x->text)
        return no_memory(err);
    if (own && public)
        warn_shared_names(x);
    return tokenizer_open(stage_in(x->ctx, "model", 0), &tok, err) &&
           (!own ||
            prompt_features(x->model, tok, prompt, dataset_class_names(x->data[0]), own, x->text, err)) &&
           (!public || prompt_features(x->model, tok, prompt, dataset_class_names(x->data[1]), public,
                                       x->text + own * e, err));
}

/* Samples, from the first on, whose mean makes the router vectors. */
static int64_t observed(const struct expert *x)
{
    int64_t n = strcmp(x->p->e_data, "private") ? x->own + x->proxies : x->own;
    return x->p->e_drop_last ? n - n % x->p->train.batch : n;
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
                        .data = x->data + !x->data[0],
                        .sets = (x->data[0] != NULL) + (x->data[1] != NULL),
                        .sample = x->sample,
                        .count = joint(x) ? x->own + x->proxies : x->own,
                        .text = x->text,
                        .classes = x->classes,
                        .threads = x->ctx->threads};
    t->total = t->count * x->p->train.epochs + observed(x);
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
    if (!(x->train.count = observed(x)))
        return error_set(err, NULL, ERROR_INPUT,
                         "'e_drop_last' leaves nothing: there are fewer samples than a 'batch'");
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
    .doc = "A client's LoRA expert, trained on its images, its proxies or both, and its router vectors.",
    .params = params,
    .params_size = sizeof(struct expert_params),
    .inputs = inputs,
    .outputs = outputs,
    .check = check,
    .prefix = prefix,
    .cost = cost,
    .run = run};
