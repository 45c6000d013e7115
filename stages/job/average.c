/* Stage average: the uniform mean of adapters, tensor by tensor: A and B each for itself, as in federated
 * averaging. (What the mean of the products B A is, the stage merge computes with `method: soup`.) Any PEFT
 * adapters of one kind will do: no model is needed. */
#include "base/cleanup.h"
#include "base/json.h"
#include "stages/algo/soup.h"
#include "stages/io/safetensors.h"
#include "stages/stage.h"
#include <omp.h>

struct averaging {
    struct stage_context *ctx;
    int n;
    struct safetensors **file; /* (n) */
    struct arena arena;        /* of one tensor */
};
/* Weights mean the same only in adapters of the same configuration. */
static bool same_config(const json_t *first, const json_t *other, int k, struct error *err)
{
    static const char *const keys[] = {"peft_type",      "r",    "lora_alpha",   "use_rslora",
                                       "use_dora",       "bias", "rank_pattern", "alpha_pattern",
                                       "fan_in_fan_out", NULL};
    for (int i = 0; keys[i]; i++) {
        const json_t *a = json_object_get(first, keys[i]), *b = json_object_get(other, keys[i]);
        if (!(a && b ? json_equal(a, b) : a == b))
            return error_set(err, NULL, ERROR_INPUT, "adapters 0 and %d differ in '%s': they have no mean", k,
                             keys[i]);
    }
    return true;
}
static bool open_all(struct averaging *x, struct error *err)
{
    AUTO_JSON first = json_read(stage_in_file(x->ctx, "adapters", 0, "adapter_config.json"), err);
    if (!first)
        return false;
    x->file = arena_alloc(x->ctx->arena, (size_t)x->n * sizeof(struct safetensors *));
    for (int k = 0; k < x->n; k++) {
        AUTO_JSON config = json_read(stage_in_file(x->ctx, "adapters", k, "adapter_config.json"), err);
        if (!config || !same_config(first, config, k, err) ||
            !safetensors_open(stage_in_file(x->ctx, "adapters", k, "adapter_model.safetensors"), &x->file[k],
                              err))
            return false;
        if (safetensors_count(x->file[k]) != safetensors_count(x->file[0]))
            return error_set(err, NULL, ERROR_INPUT, "adapters 0 and %d have %d and %d tensors", k,
                             safetensors_count(x->file[0]), safetensors_count(x->file[k]));
    }
    return json_write(stage_out_file(x->ctx, "adapter", "adapter_config.json"), first, err);
}
/* Valid until the next one. */
static const void *mean_of(void *arg, const char *name, struct error *err)
{
    struct averaging *x = arg;
    const struct tensor *t = safetensors_find(x->file[0], name);
    arena_reset(&x->arena);
    const float **one = arena_alloc(&x->arena, (size_t)x->n * sizeof *one);
    float *mean = arena_floats(&x->arena, t->n);
    bool room = mean != NULL;
    for (int k = 0; room && k < x->n; k++) {
        const struct tensor *u = safetensors_want(x->file[k], name, t->rank, t->shape, err);
        if (!u) {
            error_context(err, "adapter %d", k);
            return NULL;
        }
        room = (one[k] = tensor_floats(u, &x->arena)) != NULL;
    }
    if (room)
        soup_mean(one, x->n, t->n, mean);
    else
        error_set(err, NULL, ERROR_SYSTEM, "out of memory for a mean of adapters");
    return room ? mean : NULL;
}
static bool average(struct averaging *x, struct error *err)
{
    if (!open_all(x, err))
        return false;
    struct safetensors_writer *w = safetensors_writer_new();
    for (int i = 0; i < safetensors_count(x->file[0]); i++) {
        const struct tensor *t = safetensors_at(x->file[0], i);
        safetensors_writer_add(w, t->name, DTYPE_F32, t->rank, t->shape, NULL);
    }
    safetensors_writer_make(w, mean_of, x);
    return safetensors_write(w, stage_out_file(x->ctx, "adapter", "adapter_model.safetensors"), err);
}
static bool run(struct stage_context *ctx, struct error *err)
{
    struct averaging x = {.ctx = ctx, .n = stage_in_count(ctx, "adapters")};
    omp_set_num_threads(ctx->threads);
    arena_init(&x.arena);
    bool ok = average(&x, err);
    arena_done(&x.arena);
    for (int k = 0; x.file && k < x.n; k++)
        safetensors_close(x.file[k]);
    return ok;
}
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    (void)params_;
    ret->bytes = in->bytes;
    ret->peak = cost_count(COST_WORKER + 2 * (double)in->bytes);
    ret->makes = (struct cost_output){.bytes = in->bytes};
}
const struct stage stage_average = {
    .name = "average",
    .version = 1,
    .doc = "The mean of adapters, every weight for itself: what a server does between the clients' rounds.",
    .inputs =
        (const struct port[]){
            {.name = "adapters", .type = ARTIFACT_ADAPTER, .many = true, .doc = "adapters of one kind"}, {0}},
    .outputs = (const struct port[]){{.name = "adapter", .type = ARTIFACT_ADAPTER, .doc = "their mean"}, {0}},
    .cost = cost,
    .run = run};
