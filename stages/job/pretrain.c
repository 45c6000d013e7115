/* pretrain: a small CLIP from random weights, both towers, on a public set with one text a class.
 *   u = unit(image(x)), v_c = unit(text("This is a photo of a c")), s = exp(logit_scale)
 *   loss = mean cross-entropy of s u v^T against the classes of the batch's images
 * AdamW, linear warm-up, then a cosine to zero. Every random choice is indexed by epoch and sample, so that
 * neither threads nor batches' timing can change a bit. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/dataset.h"
#include "stages/job/effort.h"
#include "stages/job/training.h"
#include "stages/model/prompt.h"
#include "stages/stage.h"
#include "stages/tensor/gemm.h"
#include "stages/tensor/optim.h"
#include <math.h>
#include <omp.h>
#include <string.h>

struct pretrain_params {
    int64_t image_size, patch, width, layers, heads, embed, text_width, text_layers, text_heads, context;
    int64_t epochs, batch, texts, seed;
    double mlp_ratio, lr, weight_decay, warmup;
    struct prompt_params prompt;
    bool augment;
};
#define P(...) PARAM(struct pretrain_params, __VA_ARGS__)
static const struct param params[] = {
    P(image_size, .def = "32", .min = 8, .max = 1024, .unit = "pixels", .doc = "side of the images"),
    P(patch, .def = "8", .min = 1, .max = 1024, .unit = "pixels",
      .doc = "side of a patch; divides image_size"),
    P(width, .def = "96", .min = 8, .max = 4096, .doc = "width of the vision tower"),
    P(layers, .def = "4", .min = 1, .max = 64, .doc = "blocks of the vision tower"),
    P(heads, .def = "4", .min = 1, .max = 64, .doc = "attention heads of the vision tower; divides width"),
    P(mlp_ratio, .def = "4", .min = 0.25, .max = 16,
      .doc = "feed-forward width over tower width, both towers", .source = "REFERENCE 2"),
    P(embed, .def = "64", .min = 8, .max = 4096, .doc = "width of the shared embedding space"),
    P(text_width, .def = "64", .min = 8, .max = 4096, .doc = "width of the text tower"),
    P(text_layers, .def = "2", .min = 1, .max = 64, .doc = "blocks of the text tower"),
    P(text_heads, .def = "4", .min = 1, .max = 64,
      .doc = "attention heads of the text tower; divides text_width"),
    P(context, .def = "77", .min = 8, .max = 1024, .unit = "tokens",
      .doc = "longest text, in bytes plus two; longer class texts are refused later",
      .source = "REFERENCE 2"),
    P(epochs, .def = "12", .min = 1, .max = 10000, .flags = PARAM_EPOCHS,
      .doc = "passes over the public set"),
    P(batch, .def = "64", .min = 1, .max = 65536, .unit = "images", .doc = "images a step"),
    P(texts, .def = "128", .min = 2, .max = 65536,
      .doc = "most class texts a step: with more classes, those of the batch and random others"),
    P(lr, .def = "0.001", .min = 0, .max = 10, .doc = "largest learning rate (AdamW)"),
    P(weight_decay, .def = "0.05", .min = 0, .max = 10,
      .doc = "decoupled decay of matrices; none on vectors"),
    P(warmup, .def = "0.1", .min = 0, .max = 1, .doc = "share of the steps with a rising learning rate"),
    PROMPT_TEMPLATES(struct pretrain_params, prompt, "one of them a step and class, at random"),
    P(augment, .def = "true", .doc = "random crop and mirror, a function of sample and epoch"),
    P(seed, .def = "0", .min = 0, .max = 9007199254740992.0,
      .doc = "of initial weights, order and augmentation"),
    {0}};
static const struct port inputs[] = {
    {.name = "public", .type = ARTIFACT_IMAGES, .doc = "public images with class names"}, {0}};
static const struct port outputs[] = {{.name = "model",
                                       .type = ARTIFACT_MODEL,
                                       .doc = "CLIP folder: config.json, model.safetensors, tokenizer.json"},
                                      {0}};

static struct clip_config config_of(const struct pretrain_params *p)
{
    struct clip_config c = {
        .vision =
            {.width = p->width, .layers = p->layers, .heads = p->heads, .eps = 1e-5, .act = ACT_QUICK_GELU},
        .text = {.width = p->text_width, .layers = p->text_layers, .heads = p->text_heads, .eps = 1e-5},
        .image_size = p->image_size,
        .patch = p->patch,
        .channels = 3,
        .vocab = TOKENIZER_BYTES_VOCAB,
        .context = p->context,
        .bos = TOKENIZER_BYTES_VOCAB - 2,
        .eos = TOKENIZER_BYTES_VOCAB - 1,
        .embed = p->embed};
    c.text.act = ACT_QUICK_GELU;
    c.vision.mlp = (int64_t)llround((double)p->width * p->mlp_ratio);
    c.text.mlp = (int64_t)llround((double)p->text_width * p->mlp_ratio);
    return c;
}
static bool check(const void *params_, struct error *err)
{
    const struct pretrain_params *p = params_;
    if (p->image_size % p->patch)
        return error_set(err, NULL, ERROR_INPUT, "'image_size' %lld is no multiple of 'patch' %lld",
                         (long long)p->image_size, (long long)p->patch);
    if (p->width % p->heads)
        return error_set(err, NULL, ERROR_INPUT, "'width' %lld is no multiple of 'heads' %lld",
                         (long long)p->width, (long long)p->heads);
    if (p->text_width % p->text_heads)
        return error_set(err, NULL, ERROR_INPUT, "'text_width' %lld is no multiple of 'text_heads' %lld",
                         (long long)p->text_width, (long long)p->text_heads);
    return prompt_check(&p->prompt, err);
}

/* ---- state of a run ---- */
struct trainer {
    struct stage_context *ctx;
    const struct pretrain_params *p;
    struct dataset *data;
    struct clip *m;
    struct optim *matrices, *vectors; /* with and without decay */
    struct arena keep, step;          /* of the run; of one step */
    int32_t *ids;                     /* (templates, classes, context) */
    int64_t *length;                  /* (templates, classes) tokens up to the end token */
    int64_t templates, classes, count, steps, per_epoch;
    struct rng_stream order, crops, others, template;
    bool failed; /* while adding weights */
};
/* One step's images and the class texts they are told from. */
struct batch {
    const int64_t *sample; /* (n) */
    int64_t n, epoch, step;
    int64_t *label; /* (n) index into cls */
    int64_t *cls;   /* (k) classes, rising */
    int64_t *text;  /* (k) their texts: rows of the trainer's ids */
    int64_t k, ctx; /* ctx: tokens of the longest of their texts */
    int32_t *ids;   /* (k, ctx) */
    float *pixels;  /* (n,3,S,S) */
};

static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM,
                     "out of memory in pretraining: lower 'batch', 'width' or 'texts'");
}
static bool encode_classes(struct trainer *t, const struct tokenizer *tok, struct error *err)
{
    int64_t ctx = t->p->context, texts = t->templates * t->classes;
    t->ids = arena_try(&t->keep, (size_t)(texts * ctx) * sizeof *t->ids);
    t->length = arena_try(&t->keep, (size_t)texts * sizeof *t->length);
    if (!t->ids || !t->length)
        return no_memory(err);
    for (int64_t i = 0; i < texts; i++) {
        const char *name = dataset_class(t->data, (int)(i % t->classes));
        AUTO(mem) char *text = prompt_text(&t->p->prompt, i / t->classes, name);
        int32_t *row = t->ids + i * ctx;
        if (!tokenizer_encode(tok, text, strlen(text), ctx, false, row, err))
            return error_context(err, "class '%s'; raise 'context'", name);
        while (row[t->length[i]++] != t->m->config.eos) {
        }
    }
    return true;
}
static void add_weight(void *arg, const char *name, struct mat *w, int rank, const int64_t *shape)
{
    struct trainer *t = arg;
    bool decays = rank >= 2 && !strstr(name, "embeddings.position") && !strstr(name, "token_embedding");
    if (!optim_add(decays ? t->matrices : t->vectors, w, 1, NULL))
        t->failed = true;
}
static bool trainer_init(struct trainer *t, struct error *err)
{
    const struct pretrain_params *p = t->p;
    struct clip_config c = config_of(p);
    struct optim_config o = {.kind = OPTIM_ADAMW, .lr = p->lr, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    if (!dataset_open(stage_in(t->ctx, "public", 0), &t->data, err) ||
        !clip_new(&c, (uint64_t)p->seed, &t->m, err) || !clip_train_all(t->m, err))
        return false;
    t->count = dataset_count(t->data);
    t->classes = dataset_classes(t->data);
    t->templates = prompt_count(&p->prompt);
    if (!t->count || t->classes < 2)
        return error_set(
            err, NULL, ERROR_INPUT,
            "pretraining needs images of at least two classes, but there are %lld images of %lld",
            (long long)t->count, (long long)t->classes);
    t->per_epoch = (t->count + p->batch - 1) / p->batch;
    t->steps = t->per_epoch * p->epochs;
    t->order = rng_stream((uint64_t)p->seed, "pretrain.order");
    t->crops = rng_stream((uint64_t)p->seed, "pretrain.augment");
    t->others = rng_stream((uint64_t)p->seed, "pretrain.texts");
    t->template = rng_stream((uint64_t)p->seed, "pretrain.template");
    t->vectors = optim_new(&o, &t->keep);
    o.weight_decay = p->weight_decay;
    t->matrices = optim_new(&o, &t->keep);
    clip_each_weight(t->m, add_weight, t);
    return !t->failed || no_memory(err);
}
static void trainer_done(struct trainer *t)
{
    dataset_close(t->data);
    clip_free(t->m);
    arena_done(&t->step);
    arena_done(&t->keep);
}

/* ---- one step ---- */
/* The classes of the batch, then random others until there are `texts`; all of them when they are that few.
 */
static bool choose_classes(struct trainer *t, struct batch *b, struct error *err)
{
    int64_t *place = arena_try(&t->step, (size_t)t->classes * sizeof *place); /* 1: chosen; then its index */
    b->cls = arena_try(&t->step, (size_t)t->classes * sizeof *b->cls);
    b->label = arena_try(&t->step, (size_t)b->n * sizeof *b->label);
    if (!place || !b->cls || !b->label)
        return no_memory(err);
    int64_t chosen = 0, want = t->classes < t->p->texts ? t->classes : t->p->texts;
    for (int64_t i = 0; i < b->n; i++) {
        int c = dataset_label(t->data, b->sample[i]);
        chosen += !place[c];
        place[c] = 1;
    }
    struct rng r = rng_at(t->others, (uint64_t)b->step, 0);
    for (int64_t next = 0; chosen < want;) {
        int64_t c = want == t->classes ? next++ : (int64_t)rng_below(&r, (uint64_t)t->classes);
        chosen += !place[c];
        place[c] = 1;
    }
    for (int64_t c = 0; c < t->classes; c++)
        if (place[c]) {
            place[c] = b->k;
            b->cls[b->k++] = c;
        }
    for (int64_t i = 0; i < b->n; i++)
        b->label[i] = place[dataset_label(t->data, b->sample[i])];
    return true;
}
/* A template for each class. */
static bool choose_texts(struct trainer *t, struct batch *b)
{
    b->text = arena_try(&t->step, (size_t)b->k * sizeof *b->text);
    for (int64_t i = 0; b->text && i < b->k; i++) {
        struct rng r = rng_at(t->template, (uint64_t)b->step, (uint32_t)b->cls[i]);
        b->text[i] = (int64_t)rng_below(&r, (uint64_t)t->templates) * t->classes + b->cls[i];
    }
    return b->text != NULL;
}
static bool batch_load(struct trainer *t, struct batch *b, struct error *err)
{
    int64_t s = t->p->image_size;
    struct transform tr = t->p->augment ? transform_train((int)s) : transform_eval((int)s);
    if (!choose_classes(t, b, err))
        return false;
    if (!choose_texts(t, b))
        return no_memory(err);
    for (int64_t i = 0; i < b->k; i++)
        b->ctx = t->length[b->text[i]] > b->ctx ? t->length[b->text[i]] : b->ctx;
    b->ids = arena_try(&t->step, (size_t)(b->k * b->ctx) * sizeof *b->ids);
    b->pixels = arena_floats(&t->step, b->n * 3 * s * s);
    if (!b->ids || !b->pixels)
        return no_memory(err);
    for (int64_t i = 0; i < b->k; i++)
        memcpy(b->ids + i * b->ctx, t->ids + b->text[i] * t->p->context, (size_t)b->ctx * sizeof *b->ids);
    return loader_batch(t->data, b->sample, b->n, &tr, t->crops, (uint32_t)b->epoch, t->ctx->threads,
                        b->pixels, err);
}
/* Loss of unit image rows u (n,E) against unit text rows v (k,E); gradients du, dv and of the logit scale. */
static bool contrast(struct trainer *t, const struct batch *b, const float *u, const float *v, float *du,
                     float *dv, float *loss, struct error *err)
{
    int64_t e = t->m->config.embed;
    float *logits = arena_floats(&t->step, b->n * b->k), *d = arena_floats(&t->step, b->n * b->k);
    if (!logits || !d)
        return no_memory(err);
    float s = expf(t->m->logit_scale.w[0]);
    gemm(false, true, b->n, b->k, e, s, u, e, v, e, 0, logits, b->k); /* logits = s u v^T */
    *loss = cross_entropy(logits, b->label, b->n, b->k, d);
    gemm(false, false, b->n, e, b->k, s, d, b->k, v, e, 0, du, e);
    gemm(true, false, b->k, e, b->n, s, d, b->k, u, e, 0, dv, e);
    t->m->logit_scale.g[0] += (float)dot_double(d, logits, b->n * b->k); /* s = exp(w): dw = sum d logits */
    return true;
}
/* Both towers forward and backward: all gradients and the loss. */
static bool step_gradients(struct trainer *t, struct batch *b, float *loss, struct error *err)
{
    struct arena *a = &t->step;
    int64_t e = t->m->config.embed;
    struct pass image = {.batch = b->n, .arena = a, .train = true, .last_row0 = true};
    struct pass text = {.batch = b->k, .arena = a, .train = true};
    struct clip_tape *image_tape, *text_tape;
    float *x = arena_floats(a, b->n * e), *u = arena_floats(a, b->n * e), *xn = arena_floats(a, b->n);
    float *y = arena_floats(a, b->k * e), *v = arena_floats(a, b->k * e), *yn = arena_floats(a, b->k);
    if (!x || !u || !xn || !y || !v || !yn)
        return no_memory(err);
    if (!clip_image_forward(t->m, &image, b->pixels, x, NULL, &image_tape, err) ||
        !clip_text_forward(t->m, &text, b->ids, b->ctx, y, &text_tape, err))
        return false;
    unit_forward(x, b->n, e, u, xn);
    unit_forward(y, b->k, e, v, yn);
    if (!contrast(t, b, u, v, x, y, loss, err)) /* x, y now hold the gradients of u and v */
        return false;
    unit_backward(u, xn, x, b->n, e, x);
    unit_backward(v, yn, y, b->k, e, y);
    return clip_text_backward(t->m, &text, text_tape, b->ids, b->ctx, y, err) &&
           clip_image_backward(t->m, &image, image_tape, b->pixels, x, err);
}
static double learning_rate(const struct trainer *t, int64_t step)
{
    int64_t warm = (int64_t)ceil(t->p->warmup * (double)t->steps);
    if (step < warm)
        return t->p->lr * (double)(step + 1) / (double)warm;
    return t->p->lr * 0.5 * (1 + cos(M_PI * (double)(step - warm) / (double)(t->steps - warm)));
}
static bool train_step(struct trainer *t, struct batch *b, float *loss, struct error *err)
{
    if (!batch_load(t, b, err) || !step_gradients(t, b, loss, err))
        return false;
    if (!isfinite(*loss))
        return error_set(err, NULL, ERROR_TASK, "the loss is no longer finite at step %lld: lower 'lr'",
                         (long long)b->step);
    double lr = learning_rate(t, b->step);
    optim_step(t->matrices, lr);
    optim_step(t->vectors, lr);
    float *scale = t->m->logit_scale.w; /* as CLIP has it: never a factor above 100 */
    *scale = fminf(*scale, logf(100));
    arena_reset(&t->step);
    return true;
}
static bool train_epoch(struct trainer *t, int64_t epoch, int64_t *order, struct error *err)
{
    struct rng r = rng_at(t->order, (uint64_t)epoch, 0);
    double sum = 0;
    rng_permutation(&r, t->count, order);
    for (int64_t i = 0; i < t->per_epoch; i++) {
        int64_t first = i * t->p->batch, n = t->count - first < t->p->batch ? t->count - first : t->p->batch;
        struct batch b = {.sample = order + first, .n = n, .epoch = epoch, .step = epoch * t->per_epoch + i};
        float loss = 0;
        if (!train_step(t, &b, &loss, err))
            return false;
        sum += (double)loss * (double)n;
        stage_progress(t->ctx, (double)(b.step + 1), (double)t->steps, "steps");
    }
    stage_metric(t->ctx, "loss", sum / (double)t->count, epoch + 1);
    return true;
}
static bool train(struct trainer *t, struct error *err)
{
    AUTO(tokenizer) struct tokenizer *tok = NULL;
    const char *out = t->ctx->outputs[0];
    if (!trainer_init(t, err) || !tokenizer_save_bytes(out, err) || !tokenizer_open(out, &tok, err) ||
        !encode_classes(t, tok, err))
        return false;
    int64_t *order = arena_try(&t->keep, (size_t)t->count * sizeof *order);
    if (!order)
        return no_memory(err);
    const struct training kept = {t->ctx, {t->matrices, t->vectors}};
    for (int64_t e = training_resume(&kept); e < t->p->epochs; e++)
        if (!train_epoch(t, e, order, err) || !training_passed(&kept, e + 1, err))
            return false;
    return clip_save(t->m, out, err);
}
static bool run(struct stage_context *ctx, struct error *err)
{
    struct trainer t = {.ctx = ctx, .p = ctx->params};
    arena_init(&t.keep);
    arena_init(&t.step);
    omp_set_num_threads(ctx->threads);
    bool ok = train(&t, err);
    trainer_done(&t);
    return ok;
}

static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    const struct pretrain_params *p = params_;
    struct clip_config c = config_of(p);
    double side = (double)(p->image_size / p->patch), tokens = side * side + 1;
    double weights = effort_weights(&c), forward = effort_forward(&c);
    double samples = (double)in->samples * (double)p->epochs, steps = samples / (double)p->batch;
    double texts =
        10.0 * (double)p->texts; /* tokens a step: of a third of them, the classes are not known yet */
    ret->flops = 3 * (samples * forward + steps * texts * effort_text(&c));
    ret->bytes = cost_count((double)in->bytes * (double)p->epochs);
    /* saved for the backward: about 16 rows of the width a layer and token; weights, gradients and two
     * moments */
    double saved = 16.0 * ((double)p->batch * tokens * (double)(p->width * p->layers) +
                           2 * texts * (double)(p->text_width * p->text_layers));
    ret->peak = cost_count(COST_WORKER + 4 * (saved + 4 * weights));
    ret->makes = (struct cost_output){.bytes = cost_count(4 * weights), .forward = forward};
}
const struct stage stage_pretrain = {
    .name = "pretrain",
    .version = 1,
    .doc = "A small CLIP trained from scratch on a public set: a seed model where none "
           "can be downloaded.",
    .params = params,
    .params_size = sizeof(struct pretrain_params),
    .inputs = inputs,
    .outputs = outputs,
    .check = check,
    .cost = cost,
    .run = run};
