/* Stage pseudolabel: public images labelled by a client's expert with the client's classes. What an expert
 * knows about its client's task, asked on images that everyone may see: a set for training, or one on which
 * a unified model is compared with the expert without an image of the client's. Of the client's own set
 * only the class names are read. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "stages/job/effort.h"
#include "stages/model/embed.h"
#include "stages/model/peft.h"
#include "stages/model/prompt.h"
#include "stages/stage.h"
#include "stages/tensor/gemm.h"
#include <math.h>
#include <omp.h>

struct pseudolabel_params {
    struct prompt_params prompt;
    int64_t count, batch;
};
#define P(...) PARAM(struct pseudolabel_params, __VA_ARGS__)
static const struct param params[] = {
    P(count, .def = "0", .min = 0, .max = 1e9, .unit = "images",
      .doc = "how many to label, the first ones in the selection's order; 0: all"),
    PROMPT_PARAMS(struct pseudolabel_params, prompt),
    P(batch, .def = "64", .min = 1, .max = 65536, .unit = "images", .doc = "images a forward pass"),
    {0}};

struct labelling {
    struct stage_context *ctx;
    struct clip *model;
    struct dataset *public, *client, *part; /* part: the chosen ones, in order of id */
    int64_t *index;                         /* (n) of the chosen in the public set */
    int *label;                             /* (n) */
    int64_t n;
    float *text;   /* (classes, E) */
    float *logits; /* (batch, classes) */
};
static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_TASK, "out of memory for pseudo-labels");
}

/* ---- which images ---- */
static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}
/* Those of a selection, in its order, that are not marked, at most `count`; marked from then on. */
static bool take(struct labelling *x, const char *dir, bool *marked, int64_t count, struct error *err)
{
    AUTO_JSON selection = json_read(arena_printf(x->ctx->arena, "%s/selection.json", dir), err);
    size_t i;
    json_t *id;
    if (!selection)
        return false;
    x->n = 0;
    json_array_foreach(json_object_get(selection, "ids"), i, id)
    {
        const char *name = json_string_value(id);
        int64_t at = name ? dataset_find(x->public, name) : -1;
        if (at < 0)
            return error_set(err, NULL, ERROR_INPUT,
                             "'%s' is not in the public data set: it was selected from another one",
                             name ? name : "?");
        if (!marked[at] && x->n < count)
            x->index[x->n++] = at;
        marked[at] = true;
    }
    return true;
}
static bool find_chosen(struct labelling *x, struct error *err)
{
    const struct pseudolabel_params *p = x->ctx->params;
    int64_t all = dataset_count(x->public), count = p->count > 0 ? p->count : all;
    bool *marked = arena_try(x->ctx->arena, (size_t)all * sizeof *marked); /* zeros */
    x->index = arena_try(x->ctx->arena, (size_t)all * sizeof *x->index);
    x->label = arena_try(x->ctx->arena, (size_t)all * sizeof *x->label); /* zeros */
    if (!marked || !x->index || !x->label)
        return no_memory(err);
    for (int k = 0; k < stage_in_count(x->ctx, "except"); k++)
        if (!take(x, stage_in(x->ctx, "except", k), marked, 0, err))
            return false;
    if (!take(x, stage_in(x->ctx, "selection", 0), marked, count, err))
        return false;
    if (!x->n)
        return error_set(err, NULL, ERROR_INPUT, "no image is left: all of the selection are in 'except'");
    if (p->count > x->n)
        stage_warn(x->ctx, "there are only %lld images to label, not %lld", (long long)x->n,
                   (long long)p->count);
    qsort(x->index, (size_t)x->n, sizeof *x->index, ascending);
    return true;
}
/* The chosen as a set of their own, for the pass through the model. */
static bool open_part(struct labelling *x, struct error *err)
{
    const char *dir = arena_printf(x->ctx->arena, "%s/part", x->ctx->scratch);
    return find_chosen(x, err) && fs_mkdirs(dir, err) &&
           dataset_relabel(x->public, x->index, x->label, x->n, dataset_class_names(x->client),
                           dataset_classes(x->client), dir, err) &&
           dataset_open(dir, &x->part, err);
}

/* ---- which labels ---- */
static bool open_model(struct labelling *x, struct error *err)
{
    const char *adapter = stage_in(x->ctx, "adapter", 0);
    struct adapter_set *set = NULL;
    if (!clip_open(stage_in(x->ctx, "model", 0), &x->model, err))
        return false;
    if (!adapter)
        return true;
    if (x->model->moe)
        return error_set(err, NULL, ERROR_INPUT,
                         "a mixture of experts takes no further adapter: leave 'adapter' out");
    if (!peft_load(adapter, x->model, false, x->ctx->arena, &set, err))
        return false;
    clip_attach(x->model, set);
    return true;
}
static bool class_texts(struct labelling *x, struct error *err)
{
    const struct pseudolabel_params *p = x->ctx->params;
    AUTO(tokenizer) struct tokenizer *tok = NULL;
    int64_t n = dataset_classes(x->client);
    x->text = arena_floats(x->ctx->arena, n * x->model->config.embed);
    x->logits = arena_floats(x->ctx->arena, p->batch * n);
    if (!x->text || !x->logits)
        return no_memory(err);
    return tokenizer_open(stage_in(x->ctx, "model", 0), &tok, err) &&
           prompt_features(x->model, tok, &p->prompt, dataset_class_names(x->client), n, x->text, err);
}
/* The class whose text is nearest, the first of equal ones; unit length of the image does not move it. */
static bool see_batch(void *arg, int64_t first, int64_t n, const float *embeds, const float *pooled,
                      struct error *err)
{
    struct labelling *x = arg;
    int64_t classes = dataset_classes(x->client), e = x->model->config.embed;
    (void)pooled;
    gemm(false, true, n, classes, e, 1, embeds, e, x->text, e, 0, x->logits, classes);
    for (int64_t i = 0; i < n; i++) {
        const float *z = x->logits + i * classes;
        int best = 0;
        for (int c = 1; c < classes; c++)
            best = z[c] > z[best] ? c : best;
        if (!isfinite(z[best]))
            return error_set(err, NULL, ERROR_TASK,
                             "the model gives numbers that are not finite for sample '%s'",
                             dataset_id(x->part, first + i));
        x->label[first + i] = best;
    }
    return true;
}
static void progress(void *arg, int64_t done, int64_t total)
{
    stage_progress(arg, (double)done, (double)total, "images");
}
static bool open_all(struct labelling *x, struct error *err)
{
    return open_model(x, err) && dataset_open(stage_in(x->ctx, "data", 0), &x->public, err) &&
           dataset_open(stage_in(x->ctx, "classes", 0), &x->client, err) && open_part(x, err) &&
           class_texts(x, err);
}
static bool label(struct labelling *x, struct error *err)
{
    const struct pseudolabel_params *p = x->ctx->params;
    struct embed_source source = {.model = x->model,
                                  .data = x->part,
                                  .batch = p->batch,
                                  .threads = x->ctx->threads,
                                  .progress = progress,
                                  .progress_arg = x->ctx};
    return embed_each(&source, see_batch, x, err) &&
           dataset_relabel(x->public, x->index, x->label, x->n, dataset_class_names(x->client),
                           dataset_classes(x->client), x->ctx->outputs[0], err);
}
static bool run(struct stage_context *ctx, struct error *err)
{
    struct labelling x = {.ctx = ctx};
    omp_set_num_threads(ctx->threads);
    bool ok = open_all(&x, err) && label(&x, err);
    dataset_close(x.part);
    dataset_close(x.client);
    dataset_close(x.public);
    clip_free(x.model);
    return ok;
}
static bool check(const void *params_, struct error *err)
{
    const struct pseudolabel_params *p = params_;
    return prompt_check(&p->prompt, err);
}
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    const struct pseudolabel_params *p = params_;
    int64_t n = p->count > 0 && p->count < in->chosen ? p->count : in->chosen;
    ret->flops = effort_of_input(in) * (double)n;
    ret->bytes = in->bytes;
    ret->peak = cost_count(effort_memory(in, (double)p->batch));
    ret->makes = (struct cost_output){.samples = n, .bytes = cost_count(100 * (double)n)};
}
const struct stage stage_pseudolabel = {
    .name = "pseudolabel",
    .version = 1,
    .doc = "Public images labelled by a client's expert with the client's classes.",
    .params = params,
    .params_size = sizeof(struct pseudolabel_params),
    .inputs =
        (const struct port[]){
            {.name = "model", .type = ARTIFACT_MODEL, .doc = "the seed model, or a unified one"},
            {.name = "adapter",
             .type = ARTIFACT_ADAPTER,
             .optional = true,
             .doc = "the client's expert, put onto the model"},
            {.name = "data", .type = ARTIFACT_IMAGES, .doc = "the public set"},
            {.name = "selection", .type = ARTIFACT_SELECTION, .doc = "which of it"},
            {.name = "except",
             .type = ARTIFACT_SELECTION,
             .many = true,
             .optional = true,
             .doc = "but for those that are in one of these: what was trained on"},
            {.name = "classes",
             .type = ARTIFACT_IMAGES,
             .private_ok = true,
             .doc = "the client's set, for the names of its classes; its images are not looked at"},
            {0}},
    .outputs =
        (const struct port[]){{.name = "images",
                               .type = ARTIFACT_IMAGES,
                               .releases = true,
                               .release = "names of classes; which of them an expert gives public images",
                               .doc = "the chosen public images with the expert's labels"},
                              {0}},
    .check = check,
    .cost = cost,
    .run = run,
};
