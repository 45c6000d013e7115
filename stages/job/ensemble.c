/* Stage ensemble: the accuracy of all experts together (BTM). Every image, decoded once, goes through the
 * seed model with each of the K adapters; the prediction is the class with the highest mean probability among
 * the data set's classes. p_k(c|x)  = softmax over c of exp(logit_scale) cos(image_k(x), text(c)) uniform w_k
 * = 1/K posterior   w_k(x) ~ exp(-d_k(x) / temperature), by how near the image is to what expert k was
 * trained on: d_k(x) = mean over layers of |z_k(x) - e_k|^2 / (s_k - |e_k|^2) where z_k(x) is the mean over
 * tokens of a feed-forward's input in model k, e_k the expert's router vector, that is the mean of z_k over
 * its own samples, and s_k the mean |z|^2 of their tokens: BTM's posterior of an expert, proportional to its
 * prior (here the same for all) times the likelihood of the input, with a Gaussian in the place of a language
 * model's. */
#include "stages/algo/ensemble.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "stages/job/effort.h"
#include "stages/job/scoring.h"
#include "stages/model/embed.h"
#include "stages/model/moe_vectors.h"
#include "stages/model/peft.h"
#include <math.h>
#include <omp.h>
#include <string.h>

struct ensemble_params {
    const char *system, *domain, *replicate, *average, *weights;
    struct prompt_params prompt;
    int64_t batch, top_k;
    double temperature;
};
#define P(...) PARAM(struct ensemble_params, __VA_ARGS__)
static const struct param params[] = {
    SCORING_PARAMS(struct ensemble_params),
    P(average, .def = "probability", .choices = "probability|logit",
      .doc = "what is averaged over the experts: their probabilities, or the logits before the softmax",
      .source = "paper, BTM"),
    P(weights, .def = "uniform", .choices = "uniform|posterior",
      .doc = "weights of the experts: all the same; or an image's own, by how near it is to what each expert "
             "was "
             "trained on, as its router vectors tell",
      .source = "REFERENCE 1.2"),
    P(temperature, .def = "0.1", .min = 1e-6, .max = 1e6,
      .doc = "of posterior weights: the distances of an image are divided by it; small: the nearest expert "
             "alone"),
    P(top_k, .def = "0", .min = 0, .max = 4096,
      .doc = "of posterior weights: so many experts, the nearest, have a say; 0: all",
      .source = "REFERENCE 1.2"),
    {0}};
static const struct port inputs[] = {
    {.name = "model", .type = ARTIFACT_MODEL, .doc = "the seed model of all experts"},
    {.name = "experts",
     .type = ARTIFACT_ADAPTER,
     .also = ARTIFACT_ROUTER,
     .many = true,
     .doc = "the clients' adapters and router vectors"},
    {.name = "data", .type = ARTIFACT_IMAGES, .private_ok = true, .doc = "labelled test images"},
    {0}};
static bool check(const void *params_, struct error *err)
{
    const struct ensemble_params *p = params_;
    bool posterior = !strcmp(p->weights, "posterior");
    if (!posterior && (p->top_k != 0 || p->temperature != 0.1))
        return error_set(err, NULL, ERROR_INPUT,
                         "'%s' has no effect with uniform weights: set 'weights' to posterior",
                         p->top_k != 0 ? "top_k" : "temperature");
    return prompt_check(&p->prompt, err);
}

struct expert {
    struct adapter_set *adapter;
    struct moe_vectors *vectors;
    float *logits;    /* (batch, classes) */
    double *distance; /* (batch) of images to e_k; summed over layers */
    double weight;    /* sum over the images */
};
struct ensemble {
    struct stage_context *ctx;
    const struct ensemble_params *p;
    struct clip *model;
    struct scoring scoring;
    const float *text; /* (classes, E) */
    int experts, now;  /* K, and whose pass it is */
    struct expert *expert;
    float *mean;                           /* (batch, classes) probabilities of all together */
    double *room, *probs, *score, *weight; /* (classes) twice, (K) twice */
};
static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_TASK, "out of memory for an ensemble");
}
static bool posterior(const struct ensemble *x)
{
    return !strcmp(x->p->weights, "posterior");
}

/* ---- inputs ---- */
static bool read_expert(struct ensemble *x, int k, struct error *err)
{
    struct stage_context *ctx = x->ctx;
    struct expert *e = &x->expert[k];
    const char *vectors = stage_in_also(ctx, "experts", k);
    int64_t batch = x->p->batch;
    if (!peft_load(stage_in(ctx, "experts", k), x->model, false, ctx->arena, &e->adapter, err))
        return error_context(err, "expert %d", k);
    e->logits = arena_floats(ctx->arena, batch * x->scoring.classes);
    e->distance = arena_try(ctx->arena, (size_t)batch * sizeof *e->distance);
    if (!e->logits || !e->distance)
        return no_memory(err);
    if (!posterior(x))
        return true;
    if (!vectors)
        return error_set(err, NULL, ERROR_INPUT, "expert %d comes without router vectors", k);
    return moe_vectors_load(vectors, x->model, ctx->arena, &e->vectors, err) ||
           error_context(err, "expert %d", k);
}
static bool read_experts(struct ensemble *x, struct error *err)
{
    struct arena *a = x->ctx->arena;
    size_t classes = (size_t)x->scoring.classes;
    x->experts = stage_in_count(x->ctx, "experts");
    x->expert = arena_alloc(a, (size_t)x->experts * sizeof *x->expert);
    x->score = arena_alloc(a, (size_t)x->experts * sizeof *x->score);
    x->weight = arena_alloc(a, (size_t)x->experts * sizeof *x->weight);
    x->mean = arena_floats(a, x->p->batch * x->scoring.classes);
    x->room = arena_try(a, classes * sizeof *x->room);
    x->probs = arena_try(a, classes * sizeof *x->probs);
    if (!x->mean || !x->room || !x->probs)
        return no_memory(err);
    for (int k = 0; k < x->experts; k++)
        if (!read_expert(x, k, err))
            return false;
    return true;
}

/* ---- one batch ---- */
static void choose(void *arg, int k)
{
    struct ensemble *x = arg;
    x->now = k;
    clip_attach(x->model, x->expert[k].adapter);
    memset(x->expert[k].distance, 0, (size_t)x->p->batch * sizeof(double));
}
/* += |z - e|^2 / (s - |e|^2) of a layer, for every image; e, z (C). */
static void see_layer(void *arg, const char *what, int layer, const float *in, int64_t batch, int64_t t,
                      int64_t c)
{
    struct ensemble *x = arg;
    if (strcmp(what, "mlp_in") != 0)
        return;
    const struct moe_vectors *v = x->expert[x->now].vectors;
    const double *e = v->mean + layer * c;
    double spread = v->square[layer];
    for (int64_t j = 0; j < c; j++)
        spread -= e[j] * e[j];
    spread = fmax(spread, 1e-6 * v->square[layer]); /* tokens that are all alike, after rounding */
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < batch; b++) {
        double square = 0;
        for (int64_t j = 0; j < c; j++) {
            double z = 0;
            for (int64_t i = 0; i < t; i++)
                z += (double)in[(b * t + i) * c + j];
            square += (z / (double)t - e[j]) * (z / (double)t - e[j]);
        }
        x->expert[x->now].distance[b] += spread > 0 ? square / spread : 0;
    }
}
static void weigh(struct ensemble *x, int64_t i)
{
    int top = x->p->top_k > 0 && x->p->top_k < x->experts ? (int)x->p->top_k : x->experts;
    double layers = (double)x->model->config.vision.layers;
    for (int k = 0; k < x->experts; k++)
        x->score[k] = posterior(x) ? -x->expert[k].distance[i] / (layers * x->p->temperature) : 0;
    ensemble_posterior(x->score, x->experts, top, x->weight);
    for (int k = 0; k < x->experts; k++)
        x->expert[k].weight += x->weight[k];
}
static void combine(struct ensemble *x, int64_t n)
{
    int64_t classes = x->scoring.classes;
    const float **logits = arena_alloc(x->ctx->arena, (size_t)x->experts * sizeof *logits);
    enum ensemble_mean mean = !strcmp(x->p->average, "logit") ? ENSEMBLE_LOGIT : ENSEMBLE_PROBABILITY;
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < x->experts; k++)
            logits[k] = x->expert[k].logits + i * classes;
        weigh(x, i);
        ensemble_mean(mean, logits, x->weight, x->experts, classes, x->room, x->probs);
        for (int64_t c = 0; c < classes; c++)
            x->mean[i * classes + c] = (float)x->probs[c];
    }
}
static bool see_batch(void *arg, int64_t first, int64_t n, const float *embeds, const float *pooled,
                      struct error *err)
{
    struct ensemble *x = arg;
    struct arena_mark mark = arena_mark(x->ctx->arena);
    float scale = expf(x->model->logit_scale.w[0]);
    (void)pooled;
    if (!clip_classify(embeds, x->text, scale, NULL, n, x->scoring.classes, x->model->config.embed,
                       x->ctx->arena, x->expert[x->now].logits, NULL, NULL, err))
        return false;
    if (x->now == x->experts - 1)
        combine(x, n);
    arena_release(x->ctx->arena, mark);
    return x->now < x->experts - 1 || scoring_see(&x->scoring, first, n, x->mean, err);
}

static void progress(void *arg, int64_t done, int64_t total)
{
    stage_progress(arg, (double)done, (double)total, "images");
}
/* The experts' mean weights, in the order of the input. */
static json_t *weights_json(const struct ensemble *x)
{
    json_t *list = json_array();
    for (int k = 0; k < x->experts; k++)
        json_array_append_new(list, json_real(x->expert[k].weight / (double)x->scoring.samples));
    return json_pack("{s:{s:s, s:s, s:o}}", "ensemble", "average", x->p->average, "weights", x->p->weights,
                     "mean_weight", list);
}
static bool run(struct stage_context *ctx, struct error *err)
{
    AUTO(clip) struct clip *model = NULL;
    AUTO(dataset) struct dataset *data = NULL;
    struct ensemble x = {.ctx = ctx, .p = ctx->params};
    struct observer observer = {see_layer, &x};
    omp_set_num_threads(ctx->threads);
    if (!clip_open(stage_in(ctx, "model", 0), &model, err) ||
        !dataset_open(stage_in(ctx, "data", 0), &data, err))
        return false;
    if (model->moe)
        return error_set(err, NULL, ERROR_INPUT,
                         "the experts of an ensemble go over a dense model; this one is a "
                         "unified model");
    x.model = model;
    if (!scoring_begin(&x.scoring, data, ctx->arena, err) || !read_experts(&x, err) ||
        !scoring_texts(&x.scoring, model, stage_in(ctx, "model", 0), &x.p->prompt, ctx->arena, &x.text, err))
        return false;
    struct embed_source source = {.model = model,
                                  .data = data,
                                  .batch = x.p->batch,
                                  .threads = ctx->threads,
                                  .observer = posterior(&x) ? &observer : NULL,
                                  .times = x.experts,
                                  .choose = choose,
                                  .choose_arg = &x,
                                  .progress = progress,
                                  .progress_arg = ctx};
    if (!embed_each(&source, see_batch, &x, err))
        return false;
    AUTO_JSON more = weights_json(&x);
    return scoring_write(ctx, &x.scoring, (struct scoring_names){x.p->system, x.p->domain, x.p->replicate},
                         more, err);
}
#define EXPERTS 3 /* how many there are nobody says beforehand: the paper's clients */
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    const struct ensemble_params *p = params_;
    ret->flops = EXPERTS * effort_of_input(in) * (double)in->own;
    ret->bytes = in->bytes;
    ret->peak = cost_count(effort_memory(in, (double)p->batch));
    ret->makes = (struct cost_output){.bytes = 1000};
}
const struct stage stage_ensemble = {
    .name = "ensemble",
    .version = 1,
    .doc = "Accuracy of all experts together, each of which sees every image: the mean of their predictions "
           "(BTM).",
    .params = params,
    .params_size = sizeof(struct ensemble_params),
    .inputs = inputs,
    .outputs =
        (const struct port[]){SCORING_OUTPUTS("accuracy, by class too, and the experts' weights"), {0}},
    .check = check,
    .cost = cost,
    .run = run,
};
