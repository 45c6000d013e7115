/* Stage evaluate: accuracy of a model on a labelled data set. The classes are the data set's own names; the
 * prediction is the class whose text is nearest to the image. For a mixture of experts it also reports where
 * tokens go. */
#include "base/cleanup.h"
#include "base/json.h"
#include "stages/job/effort.h"
#include "stages/job/routing.h"
#include "stages/job/scoring.h"
#include "stages/model/embed.h"
#include "stages/model/peft.h"
#include "stages/tensor/gemm.h"
#include <omp.h>

struct evaluate_params {
    const char *system, *domain, *replicate;
    struct prompt_params prompt;
    int64_t batch;
};
static const struct param params[] = {SCORING_PARAMS(struct evaluate_params), {0}};

struct evaluation {
    struct scoring scoring;
    const float *text; /* (classes, E) */
    float *logits;     /* (batch, classes) */
    int64_t embed;
};

/* Unit length of the image does not move the nearest class. */
static bool see_batch(void *arg, int64_t first, int64_t n, const float *embeds, const float *pooled,
                      struct error *err)
{
    struct evaluation *e = arg;
    int64_t classes = e->scoring.classes;
    (void)pooled;
    gemm(false, true, n, classes, e->embed, 1, embeds, e->embed, e->text, e->embed, 0, e->logits, classes);
    return scoring_see(&e->scoring, first, n, e->logits, err);
}

/* The routing, and the names of the experts in its order. */
static bool add_routing(struct stage_context *ctx, const struct routing *r, json_t *metrics,
                        struct error *err)
{
    AUTO_JSON config = json_read(stage_in_file(ctx, "model", 0, "config.json"), err);
    if (!config)
        return false;
    json_object_set_new(metrics, "routing", routing_json(r));
    json_t *names = json_object_get(config, "expert_names");
    if (names)
        json_object_set(metrics, "experts", names);
    return true;
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
    struct evaluation e = {.embed = model->config.embed};
    struct routing routing;
    struct observer observer = {routing_see, &routing};
    if (!scoring_begin(&e.scoring, data, ctx->arena, err) ||
        !scoring_texts(&e.scoring, model, stage_in(ctx, "model", 0), &p->prompt, ctx->arena, &e.text, err) ||
        (model->moe && !routing_begin(&routing, model, p->batch, ctx->arena, err)))
        return false;
    if (!(e.logits = arena_floats(ctx->arena, p->batch * e.scoring.classes)))
        return error_set(err, NULL, ERROR_TASK, "out of memory for the evaluation");
    struct embed_source source = {.model = model,
                                  .data = data,
                                  .batch = p->batch,
                                  .threads = ctx->threads,
                                  .observer = model->moe ? &observer : NULL,
                                  .progress = progress,
                                  .progress_arg = ctx};
    AUTO_JSON more = json_object();
    return embed_each(&source, see_batch, &e, err) &&
           (!model->moe || add_routing(ctx, &routing, more, err)) &&
           scoring_write(ctx, &e.scoring, (struct scoring_names){p->system, p->domain, p->replicate}, more,
                         err);
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
    .version = 2,
    .doc = "Accuracy of a model on a labelled data set; for a mixture also where its tokens go.",
    .params = params,
    .params_size = sizeof(struct evaluate_params),
    .inputs =
        (const struct port[]){
            {.name = "model",
             .type = ARTIFACT_MODEL,
             .private_ok = true,
             .doc = "a CLIP model, or a unified one; a client's own on that client's data"},
            {.name = "adapter",
             .type = ARTIFACT_ADAPTER,
             .optional = true,
             .doc = "an expert's adapter, put onto the model"},
            {.name = "data", .type = ARTIFACT_IMAGES, .private_ok = true, .doc = "labelled test images"},
            {0}},
    .outputs = (const struct port[]){SCORING_OUTPUTS("accuracy, by class too, and routing"), {0}},
    .check = check,
    .cost = cost,
    .run = run,
};
