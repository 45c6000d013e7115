/* Stage classifier: how much each public sample looks like the client's data (paper 3.2 and appendix A). A
 * linear probe on frozen features learns the client's images (1) against random public ones (0); its
 * probability of 1 is the relevance. */
#include "base/cleanup.h"
#include "stages/algo/probe.h"
#include "stages/io/safetensors.h"
#include "stages/job/effort.h"
#include "stages/model/embed.h"
#include "stages/stage.h"
#include <float.h>
#include <math.h>
#include <omp.h>
#include <string.h>

struct classifier_params {
    int64_t negatives, epochs, batch, embed_batch, seed;
    const char *loss, *optimizer;
    double lr, weight_decay;
    bool standardise;
};
static const struct param params[] = {
    PARAM(struct classifier_params, negatives, .def = "0", .min = 0, .max = 1e9, .unit = "samples",
          .doc = "random public samples to learn against, at most all; 0: as many as the client has",
          .source = "paper: 10000; authors' code: as many as the client has"),
    PARAM(struct classifier_params, loss, .def = "bce", .choices = "bce|softmax",
          .doc = "one logit with bias, or two logits without"),
    PARAM(struct classifier_params, optimizer, .def = "adam", .choices = "adam|adamw", .doc = "update rule"),
    PARAM(struct classifier_params, lr, .def = "0.001", .min = 0, .max = 10, .doc = "learning rate",
          .source = "authors' code"),
    PARAM(struct classifier_params, weight_decay, .def = "0", .min = 0, .max = 10, .doc = "weight decay"),
    PARAM(struct classifier_params, batch, .def = "128", .min = 1, .max = 1e6, .unit = "samples",
          .doc = "samples a step", .source = "authors' code"),
    PARAM(struct classifier_params, epochs, .def = "1", .min = 1, .max = 1e5,
          .doc = "passes over the training rows", .source = "authors' code"),
    PARAM(struct classifier_params, standardise, .def = "false",
          .doc = "shift and scale every feature to mean 0 and deviation 1 over the training rows"),
    PARAM(struct classifier_params, embed_batch, .def = "64", .min = 1, .max = 65536, .unit = "images",
          .doc = "images a forward pass"),
    PARAM(struct classifier_params, seed, .def = "0", .min = 0, .max = 9e15,
          .doc = "of the initial weights, the negatives and the visiting order"),
    {0}};

struct rows { /* training rows: the client's first, then the negatives */
    float *x;
    int64_t *label;
    int64_t n, d;
};
struct standard { /* x -> (x - mean) * scale, by feature */
    float *mean, *scale;
};

static void progress(void *arg, int64_t done, int64_t total)
{
    stage_progress(arg, (double)done, (double)total, "images");
}
static bool no_memory(struct error *err, int64_t n, int64_t d)
{
    return error_set(err, NULL, ERROR_TASK, "out of memory for %lld rows of %lld features", (long long)n,
                     (long long)d);
}

/* The client's images as rows 0 .. P-1 of a matrix with room for the negatives. */
static bool embed_private(struct stage_context *ctx, const struct safetensors *public, int64_t n, int64_t d,
                          struct rows *ret, struct error *err)
{
    const struct classifier_params *p = ctx->params;
    const char *name = safetensors_metadata(public, "features"),
               *unit = safetensors_metadata(public, "normalise");
    enum embed_kind kind;
    if (!name || !embed_parse(name, &kind))
        return error_set(err, NULL, ERROR_INPUT,
                         "the public features do not say what they are ('features' in the metadata of "
                         "features.safetensors "
                         "is '%s')",
                         name ? name : "");
    AUTO(clip) struct clip *model = NULL;
    AUTO(dataset) struct dataset *data = NULL;
    if (!clip_open(stage_in(ctx, "model", 0), &model, err) ||
        !dataset_open(stage_in(ctx, "private", 0), &data, err))
        return false;
    if (embed_width(model, kind) != d)
        return error_set(
            err, NULL, ERROR_INPUT,
            "the public features have %lld columns, the model gives %lld: use the model that made them",
            (long long)d, (long long)embed_width(model, kind));
    int64_t own = dataset_count(data), other = p->negatives > 0 ? p->negatives : own;
    other = other < n ? other : n;
    *ret = (struct rows){.n = own + other, .d = d};
    ret->x = arena_floats(ctx->arena, ret->n * d);
    ret->label = arena_try(ctx->arena, (size_t)ret->n * sizeof *ret->label);
    if (!ret->x || !ret->label)
        return no_memory(err, ret->n, d);
    for (int64_t i = 0; i < ret->n; i++)
        ret->label[i] = i < own;
    struct embed_source source = {.model = model,
                                  .data = data,
                                  .batch = p->embed_batch,
                                  .threads = ctx->threads,
                                  .progress = progress,
                                  .progress_arg = ctx};
    return embed_features(&source, kind, unit && !strcmp(unit, "true"), ret->x, err);
}
/* The remaining rows: a random subset of the public ones. */
static bool draw_negatives(struct stage_context *ctx, const float *public, int64_t n, struct rows *r,
                           struct error *err)
{
    const struct classifier_params *p = ctx->params;
    int64_t *order = arena_try(ctx->arena, (size_t)n * sizeof *order), own = 0;
    if (!order)
        return no_memory(err, n, 1);
    while (own < r->n && r->label[own])
        own++;
    struct rng rng = rng_at(rng_stream((uint64_t)p->seed, "classifier.negatives"), 0, 0);
    rng_permutation(&rng, n, order);
    for (int64_t i = own; i < r->n; i++)
        memcpy(r->x + i * r->d, public + order[i - own] * r->d, (size_t)r->d * sizeof(float));
    return true;
}

static void apply(const struct standard *s, float *x, int64_t n, int64_t d)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < d; c++)
            x[i * d + c] = (x[i * d + c] - s->mean[c]) * s->scale[c];
}
static bool standardise(struct stage_context *ctx, const struct rows *r, struct standard *ret,
                        struct error *err)
{
    ret->mean = arena_floats(ctx->arena, r->d);
    ret->scale = arena_floats(ctx->arena, r->d);
    if (!ret->mean || !ret->scale)
        return no_memory(err, 2, r->d);
    for (int64_t c = 0; c < r->d; c++) {
        double mean = 0, square = 0;
        for (int64_t i = 0; i < r->n; i++)
            mean += r->x[i * r->d + c];
        mean /= (double)r->n;
        for (int64_t i = 0; i < r->n; i++)
            square += (r->x[i * r->d + c] - mean) * (r->x[i * r->d + c] - mean);
        ret->mean[c] = (float)mean;
        ret->scale[c] = square > 0 ? (float)sqrt((double)r->n / square) : 1;
    }
    apply(ret, r->x, r->n, r->d);
    return true;
}

/* Initial values U(+-1/sqrt(d)), every epoch in an order of its own. */
static bool train(struct stage_context *ctx, const struct rows *r, struct probe *ret, struct error *err)
{
    const struct classifier_params *p = ctx->params;
    bool bce = !strcmp(p->loss, "bce");
    struct probe probe = {bce ? PROBE_BCE : PROBE_SOFTMAX, r->d, {0}, {0}};
    int64_t rows = bce ? 1 : 2, batches = (r->n + p->batch - 1) / p->batch;
    probe.w = (struct mat){arena_floats(ctx->arena, rows * r->d), NULL, rows, r->d};
    if (bce)
        probe.b = (struct mat){arena_floats(ctx->arena, 1), NULL, 1, 1};
    int64_t *order = arena_try(ctx->arena, (size_t)(r->n * p->epochs) * sizeof *order);
    float *loss = arena_floats(ctx->arena, batches * p->epochs);
    if (!probe.w.w || (bce && !probe.b.w) || !order || !loss)
        return no_memory(err, r->n, p->epochs);
    struct rng rng = rng_at(rng_stream((uint64_t)p->seed, "classifier.init"), 0, 0);
    float bound = 1 / sqrtf((float)r->d);
    for (int64_t i = 0; i < mat_size(&probe.w); i++)
        probe.w.w[i] = bound * (2 * rng_uniform(&rng) - 1);
    if (bce)
        probe.b.w[0] = bound * (2 * rng_uniform(&rng) - 1);
    for (int64_t e = 0; e < p->epochs; e++) {
        struct rng shuffle = rng_at(rng_stream((uint64_t)p->seed, "classifier.shuffle"), (uint64_t)e, 0);
        rng_permutation(&shuffle, r->n, order + e * r->n);
    }
    struct optim_config o = {.kind = !strcmp(p->optimizer, "adamw") ? OPTIM_ADAMW : OPTIM_ADAM,
                             .lr = p->lr,
                             .weight_decay = p->weight_decay,
                             .beta1 = 0.9,
                             .beta2 = 0.999,
                             .eps = 1e-8};
    if (!probe_train(&probe, r->x, r->label, order, r->n, p->batch, p->epochs, &o, ctx->arena, loss, err))
        return false;
    for (int64_t e = 0; e < p->epochs; e++) {
        double sum = 0;
        for (int64_t i = 0; i < batches; i++)
            sum += loss[e * batches + i];
        stage_metric(ctx, "loss", sum / (double)batches, e + 1);
    }
    *ret = probe;
    return true;
}
/* Relevance of every public row, strictly between 0 and 1, where a float has room left. */
static bool score(struct stage_context *ctx, const struct probe *p, const struct standard *s,
                  const float *public, int64_t n, float *out, struct error *err)
{
    enum { ROWS = 1024 };
    float *x = arena_floats(ctx->arena, ROWS * p->d);
    if (!x)
        return no_memory(err, ROWS, p->d);
    for (int64_t i = 0; i < n; i += ROWS) {
        int64_t count = n - i < ROWS ? n - i : ROWS;
        memcpy(x, public + i * p->d, (size_t)(count * p->d) * sizeof *x);
        if (s->mean)
            apply(s, x, count, p->d);
        probe_score(p, x, count, out + i);
    }
    for (int64_t i = 0; i < n; i++)
        out[i] = fminf(fmaxf(out[i], FLT_MIN), nextafterf(1, 0));
    return true;
}
/* Share of training rows on the right side. */
static bool report(struct stage_context *ctx, const struct probe *p, const struct rows *r, struct error *err)
{
    float *g = arena_floats(ctx->arena, r->n);
    if (!g)
        return no_memory(err, r->n, 1);
    probe_score(p, r->x, r->n, g);
    int64_t right = 0;
    for (int64_t i = 0; i < r->n; i++)
        right += (g[i] > 0.5f) == (r->label[i] == 1);
    stage_metric(ctx, "train_accuracy", (double)right / (double)r->n, 0);
    return true;
}

static bool run(struct stage_context *ctx, struct error *err)
{
    const struct classifier_params *p = ctx->params;
    AUTO(safetensors) struct safetensors *file = NULL;
    omp_set_num_threads(ctx->threads);
    if (!safetensors_open(stage_in_file(ctx, "public", 0, "features.safetensors"), &file, err))
        return false;
    const struct tensor *t = safetensors_want(file, "features", -1, NULL, err);
    if (!t)
        return false;
    if (t->rank != 2 || t->shape[0] < 1 || t->shape[1] < 1)
        return error_set(err, NULL, ERROR_INPUT, "the public features must be a (samples, features) table");
    int64_t n = t->shape[0], d = t->shape[1];
    const float *public = tensor_floats(t, ctx->arena);
    float *relevance = arena_floats(ctx->arena, n);
    if (!public || !relevance)
        return no_memory(err, n, d);
    struct rows rows = {0};
    struct standard standard = {0};
    struct probe probe = {0};
    if (!embed_private(ctx, file, n, d, &rows, err) || !draw_negatives(ctx, public, n, &rows, err) ||
        (p->standardise && !standardise(ctx, &rows, &standard, err)) || !train(ctx, &rows, &probe, err) ||
        !report(ctx, &probe, &rows, err) || !score(ctx, &probe, &standard, public, n, relevance, err))
        return false;
    struct safetensors_writer *w = safetensors_writer_new();
    safetensors_writer_add(w, "relevance", DTYPE_F32, 1, &n, relevance);
    return safetensors_write(w, stage_out_file(ctx, "relevance", "relevance.safetensors"), err);
}
/* Embedding the client's images rules. */
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    const struct classifier_params *p = params_;
    double own = (double)in->own, rows = (own + (double)in->samples) * EFFORT_WIDTH * 4;
    ret->flops = effort_of_input(in) * own + 6.0 * EFFORT_WIDTH * 2 * own * (double)p->epochs;
    ret->bytes = cost_count((double)in->bytes + (double)in->samples * 4);
    ret->peak = cost_count(effort_memory(in, (double)p->embed_batch) + rows);
    ret->makes = (struct cost_output){.bytes = cost_count((double)in->samples * 4)};
}
const struct stage stage_classifier = {
    .name = "classifier",
    .version = 1,
    .doc = "Relevance of every public sample for a client: a linear probe, the client's images against "
           "public ones.",
    .params = params,
    .params_size = sizeof(struct classifier_params),
    .inputs =
        (const struct port[]){
            {.name = "model",
             .type = ARTIFACT_MODEL,
             .doc = "the frozen model that made the public features"},
            {.name = "public", .type = ARTIFACT_FEATURES, .doc = "features of the public set"},
            {.name = "private", .type = ARTIFACT_IMAGES, .private_ok = true, .doc = "the client's images"},
            {0}},
    .outputs = (const struct port[]){{.name = "relevance",
                                      .type = ARTIFACT_RELEVANCE,
                                      .releases = true,
                                      .release = "one score a public sample",
                                      .doc = "probability that a public sample is the client's"},
                                     {0}},
    .cost = cost,
    .run = run,
};
