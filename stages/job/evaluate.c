/* Stage evaluate: accuracy of a model on a labelled data set. The classes are the data set's own names; the
 * prediction is the class whose text is nearest to the image. For a mixture of experts it also reports where
 * tokens go. */
#include "base/cleanup.h"
#include "base/json.h"
#include "stages/job/effort.h"
#include "stages/model/embed.h"
#include "stages/model/peft.h"
#include "stages/model/prompt.h"
#include "stages/stage.h"
#include "stages/tensor/gemm.h"
#include <math.h>
#include <omp.h>
#include <string.h>

struct evaluate_params {
    const char *system, *domain, *replicate;
    struct prompt_params prompt;
    int64_t batch;
};
static const struct param params[] = {
    PARAM(struct evaluate_params, system, .def = "model", .doc = "name of the model in the table: its row"),
    PARAM(struct evaluate_params, domain, .def = "test",
          .doc = "name of the data set in the table: its column"),
    PARAM(struct evaluate_params, replicate, .def = "",
          .doc = "which of several equal runs this is, for example the seed: the table gives their mean and "
                 "spread"),
    PROMPT_PARAMS(struct evaluate_params, prompt),
    PARAM(struct evaluate_params, batch, .def = "64", .min = 1, .max = 65536, .unit = "images",
          .doc = "images a forward pass"),
    {0}};

/* Token counts of one layer: [0] the class token, [1] the patches. */
struct layer_routing {
    int64_t tokens[2];
    double max_pi[2]; /* sum of the largest probability */
    double *taken[2]; /* (experts) tokens that went there */
};
struct evaluation {
    const struct dataset *data;
    int64_t classes, embed, experts, layers;
    const float *text;           /* (classes, E) */
    float *logits;               /* (batch, classes) */
    int64_t *right, *count;      /* (classes) */
    struct layer_routing *layer; /* NULL for a dense model */
};

static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_TASK, "out of memory for the evaluation");
}

static void see_routing(void *arg, const char *what, int layer, const float *x, int64_t batch, int64_t t,
                        int64_t experts)
{
    struct evaluation *e = arg;
    bool probs = !strcmp(what, "moe_probs");
    if ((!probs && strcmp(what, "moe_selected") != 0) || layer < 0 || layer >= e->layers ||
        experts != e->experts)
        return;
    struct layer_routing *r = &e->layer[layer];
    for (int64_t i = 0; i < batch * t; i++) {
        int kind = i % t > 0;
        const float *row = x + i * experts;
        double top = 0;
        for (int64_t k = 0; k < experts; k++) {
            top = row[k] > top ? row[k] : top;
            if (!probs)
                r->taken[kind][k] += row[k];
        }
        if (probs) {
            r->tokens[kind]++;
            r->max_pi[kind] += top;
        }
    }
}
/* Unit length of the image does not move the nearest class; the lowest index wins a tie. */
static bool see_batch(void *arg, int64_t first, int64_t n, const float *embeds, const float *pooled,
                      struct error *err)
{
    struct evaluation *e = arg;
    (void)pooled;
    gemm(false, true, n, e->classes, e->embed, 1, embeds, e->embed, e->text, e->embed, 0, e->logits,
         e->classes);
    for (int64_t i = 0; i < n; i++) {
        const float *z = e->logits + i * e->classes;
        int64_t best = 0, label = dataset_label(e->data, first + i);
        for (int64_t k = 1; k < e->classes; k++)
            if (z[k] > z[best])
                best = k;
        if (!isfinite(z[best]))
            return error_set(err, NULL, ERROR_TASK,
                             "the model gives numbers that are not finite for sample '%s'",
                             dataset_id(e->data, first + i));
        e->count[label]++;
        e->right[label] += best == label;
    }
    return true;
}

/* The tokenizer and its texts belong to the model's folder. */
static bool class_texts(struct stage_context *ctx, const struct clip *model, struct evaluation *e,
                        struct error *err)
{
    const struct evaluate_params *p = ctx->params;
    AUTO(tokenizer) struct tokenizer *t = NULL;
    float *text = arena_floats(ctx->arena, e->classes * e->embed);
    if (!text)
        return no_memory(err);
    e->text = text;
    return tokenizer_open(stage_in(ctx, "model", 0), &t, err) &&
           prompt_features(model, t, &p->prompt, dataset_class_names(e->data), e->classes, text, err);
}
static bool prepare(struct stage_context *ctx, const struct clip *model, struct evaluation *e,
                    struct error *err)
{
    const struct evaluate_params *p = ctx->params;
    size_t classes = (size_t)e->classes;
    e->logits = arena_floats(ctx->arena, p->batch * e->classes);
    e->right = arena_try(ctx->arena, classes * sizeof *e->right);
    e->count = arena_try(ctx->arena, classes * sizeof *e->count);
    if (!e->logits || !e->right || !e->count)
        return no_memory(err);
    if (!model->moe)
        return true;
    e->experts = model->moe[0].experts;
    e->layers = model->config.vision.layers;
    e->layer = arena_try(ctx->arena, (size_t)e->layers * sizeof *e->layer);
    for (int64_t l = 0; e->layer && l < e->layers; l++)
        for (int kind = 0; kind < 2; kind++) {
            e->layer[l].taken[kind] = arena_try(ctx->arena, (size_t)e->experts * sizeof(double));
            if (!e->layer[l].taken[kind])
                return no_memory(err);
        }
    return e->layer || no_memory(err);
}

static json_t *row_json(const struct evaluate_params *p, int64_t right, int64_t n)
{
    return json_pack("{s:s, s:s, s:s, s:f, s:I, s:I, s:s}", "system", p->system, "domain", p->domain,
                     "metric", "accuracy", "value", n > 0 ? (double)right / (double)n : 0.0, "n",
                     (json_int_t)n, "correct", (json_int_t)right, "replicate", p->replicate);
}
static json_t *kind_json(const struct layer_routing *r, int kind, int64_t experts)
{
    json_t *share = json_array();
    double n = r->tokens[kind] > 0 ? (double)r->tokens[kind] : 1, all = 0;
    for (int64_t k = 0; k < experts; k++)
        all += r->taken[kind][k];
    for (int64_t k = 0; k < experts; k++)
        json_array_append_new(share, json_real(all > 0 ? r->taken[kind][k] / all : 0));
    return json_pack("{s:o, s:f, s:I}", "share", share, "mean_max_pi", r->max_pi[kind] / n, "tokens",
                     (json_int_t)r->tokens[kind]);
}
static json_t *routing_json(const struct evaluation *e)
{
    json_t *layers = json_array();
    for (int64_t l = 0; l < e->layers; l++)
        json_array_append_new(layers, json_pack("{s:I, s:o, s:o}", "layer", (json_int_t)l, "class_token",
                                                kind_json(&e->layer[l], 0, e->experts), "patches",
                                                kind_json(&e->layer[l], 1, e->experts)));
    return layers;
}
/* The names of a mixture's experts, in the order of its routing. */
static bool expert_names(struct stage_context *ctx, json_t *metrics, struct error *err)
{
    AUTO_JSON config = json_read(stage_in_file(ctx, "model", 0, "config.json"), err);
    if (!config)
        return false;
    json_t *names = json_object_get(config, "expert_names");
    if (names)
        json_object_set(metrics, "experts", names);
    return true;
}
static bool write_metrics(struct stage_context *ctx, const struct evaluation *e, struct error *err)
{
    const struct evaluate_params *p = ctx->params;
    int64_t right = 0, n = 0;
    AUTO_JSON metrics = json_object();
    json_t *classes = json_array();
    for (int64_t k = 0; k < e->classes; k++) {
        right += e->right[k];
        n += e->count[k];
        json_array_append_new(classes,
                              json_pack("{s:s, s:I, s:I}", "class", dataset_class(e->data, (int)k), "n",
                                        (json_int_t)e->count[k], "correct", (json_int_t)e->right[k]));
    }
    stage_metric(ctx, "accuracy", n > 0 ? (double)right / (double)n : 0, 0);
    json_object_set_new(metrics, "rows", json_pack("[o]", row_json(p, right, n)));
    json_object_set_new(metrics, "per_class", classes);
    if (e->layer) {
        json_object_set_new(metrics, "routing", routing_json(e));
        if (!expert_names(ctx, metrics, err))
            return false;
    }
    return json_write(stage_out_file(ctx, "metrics", "metrics.json"), metrics, err);
}

static void progress(void *arg, int64_t done, int64_t total)
{
    stage_progress(arg, (double)done, (double)total, "images");
}
static bool open_model(struct stage_context *ctx, struct clip **ret, struct error *err)
{
    if (!clip_open(stage_in(ctx, "model", 0), ret, err))
        return false;
    const char *dir = stage_in(ctx, "adapter", 0);
    if (!dir)
        return true;
    if ((*ret)->moe)
        return error_set(err, NULL, ERROR_INPUT,
                         "a mixture of experts takes no further adapter: leave 'adapter' out");
    struct adapter_set *set = NULL;
    if (!peft_load(dir, *ret, false, ctx->arena, &set, err))
        return false;
    clip_attach(*ret, set);
    return true;
}
static bool run(struct stage_context *ctx, struct error *err)
{
    const struct evaluate_params *p = ctx->params;
    AUTO(clip) struct clip *model = NULL;
    AUTO(dataset) struct dataset *data = NULL;
    omp_set_num_threads(ctx->threads);
    if (!open_model(ctx, &model, err) || !dataset_open(stage_in(ctx, "data", 0), &data, err))
        return false;
    if (dataset_classes(data) < 1 || dataset_count(data) < 1)
        return error_set(err, NULL, ERROR_INPUT, "the data set has no labelled images");
    struct evaluation e = {.data = data, .classes = dataset_classes(data), .embed = model->config.embed};
    if (!prepare(ctx, model, &e, err) || !class_texts(ctx, model, &e, err))
        return false;
    struct observer observer = {see_routing, &e};
    struct embed_source source = {.model = model,
                                  .data = data,
                                  .batch = p->batch,
                                  .threads = ctx->threads,
                                  .observer = e.layer ? &observer : NULL,
                                  .progress = progress,
                                  .progress_arg = ctx};
    return embed_each(&source, see_batch, &e, err) && write_metrics(ctx, &e, err);
}
static bool check(const void *params_, struct error *err)
{
    const struct evaluate_params *p = params_;
    return prompt_check(&p->prompt, err);
}
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    const struct evaluate_params *p = params_;
    ret->flops = effort_of_input(in) * (double)in->own;
    ret->bytes = in->bytes;
    ret->peak = cost_count(effort_memory(in, (double)p->batch));
    ret->makes = (struct cost_output){.bytes = 1000};
}
const struct stage stage_evaluate = {
    .name = "evaluate",
    .version = 1,
    .doc = "Accuracy of a model on a labelled data set; for a mixture also where its tokens go.",
    .params = params,
    .params_size = sizeof(struct evaluate_params),
    .inputs =
        (const struct port[]){
            {.name = "model", .type = ARTIFACT_MODEL, .doc = "a CLIP model, or a unified one"},
            {.name = "adapter",
             .type = ARTIFACT_ADAPTER,
             .optional = true,
             .doc = "an expert's adapter, put onto the model"},
            {.name = "data", .type = ARTIFACT_IMAGES, .private_ok = true, .doc = "labelled test images"},
            {0}},
    .outputs = (const struct port[]){{.name = "metrics",
                                      .type = ARTIFACT_METRICS,
                                      .releases = true,
                                      .release = "counts and averages",
                                      .doc = "accuracy, by class too, and routing"},
                                     {0}},
    .check = check,
    .cost = cost,
    .run = run,
};
