/* Stage embedding: one feature row for every image of a data set, by a frozen model. */
#include "base/cleanup.h"
#include "base/json.h"
#include "stages/io/safetensors.h"
#include "stages/job/effort.h"
#include "stages/model/embed.h"
#include "stages/stage.h"
#include <omp.h>

struct embedding_params {
    const char *features;
    int64_t batch;
    bool normalise;
};
static const struct param params[] = {
    PARAM(struct embedding_params, features, .def = "pooled", .choices = EMBED_CHOICES,
          .doc = "which features: class token after the last norm, image embedding, mean over tokens of the "
                 "last hidden "
                 "layer, or class token and token mean side by side (twice the rank)",
          .source = "paper 3.2; authors' code: pooled"),
    PARAM(struct embedding_params, batch, .def = "64", .min = 1, .max = 65536, .unit = "images",
          .doc = "images a forward pass"),
    PARAM(struct embedding_params, normalise, .def = "false", .doc = "scale every row to length 1"),
    {0}};

static void progress(void *arg, int64_t done, int64_t total)
{
    stage_progress(arg, (double)done, (double)total, "images");
}
static bool write_ids(struct stage_context *ctx, const struct dataset *d, struct error *err)
{
    AUTO_JSON ids = json_array();
    for (int64_t i = 0; i < dataset_count(d); i++)
        json_array_append_new(ids, json_string(dataset_id(d, i)));
    return json_write(stage_out_file(ctx, "features", "ids.json"), ids, err);
}
static bool run(struct stage_context *ctx, struct error *err)
{
    const struct embedding_params *p = ctx->params;
    AUTO(clip) struct clip *model = NULL;
    AUTO(dataset) struct dataset *data = NULL;
    omp_set_num_threads(ctx->threads);
    if (!clip_open(stage_in(ctx, "model", 0), &model, err) ||
        !dataset_open(stage_in(ctx, "data", 0), &data, err))
        return false;
    enum embed_kind kind = EMBED_POOLED;
    embed_parse(p->features, &kind);
    int64_t n = dataset_count(data), width = embed_width(model, kind);
    float *out = arena_floats(ctx->arena, n * width);
    if (!out)
        return error_set(err, NULL, ERROR_TASK, "out of memory for %lld rows of %lld features", (long long)n,
                         (long long)width);
    struct embed_source source = {.model = model,
                                  .data = data,
                                  .batch = p->batch,
                                  .threads = ctx->threads,
                                  .progress = progress,
                                  .progress_arg = ctx};
    if (!embed_features(&source, kind, p->normalise, out, err))
        return false;
    struct safetensors_writer *w = safetensors_writer_new();
    safetensors_writer_meta(w, "features", embed_name(kind));
    safetensors_writer_meta(w, "normalise", p->normalise ? "true" : "false");
    safetensors_writer_add(w, "features", DTYPE_F32, 2, (int64_t[]){n, width}, out);
    return safetensors_write(w, stage_out_file(ctx, "features", "features.safetensors"), err) &&
           write_ids(ctx, data, err);
}
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    const struct embedding_params *p = params_;
    double samples = (double)in->samples, rows = samples * EFFORT_WIDTH * 4;
    ret->flops = effort_of_input(in) * samples;
    ret->bytes = cost_count((double)in->bytes + rows);
    ret->peak = cost_count(effort_memory(in, (double)p->batch) + rows);
    ret->makes = (struct cost_output){.samples = in->samples, .bytes = cost_count(rows)};
}
const struct stage stage_embedding = {
    .name = "embedding",
    .version = 1,
    .doc = "Features of every image of a data set, by a frozen model.",
    .params = params,
    .params_size = sizeof(struct embedding_params),
    .inputs =
        (const struct port[]){{.name = "model", .type = ARTIFACT_MODEL, .doc = "the frozen seed model"},
                              {.name = "data", .type = ARTIFACT_IMAGES, .private_ok = true, .doc = "images"},
                              {0}},
    .outputs =
        (const struct port[]){{.name = "features", .type = ARTIFACT_FEATURES, .doc = "one row an image"},
                              {0}},
    .cost = cost,
    .run = run,
};
