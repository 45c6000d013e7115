/* Stage merge: the clients' experts and the shared seed model become one model. Nothing is trained here. */
#include "stages/job/merge.h"
#include "base/cleanup.h"
#include "stages/model/moe_vectors.h"
#include "stages/model/unified.h"
#include <omp.h>
#include <string.h>

#define P(...) PARAM(struct merge_params, __VA_ARGS__)
static const struct param params[] = {
    P(method, .def = "moe", .choices = "moe|soup|task|ties|dare|dare_ties",
      .doc =
          "moe: one expert a client in every feed-forward, and a router. The others make one dense model of "
          "the seed and the changes that the experts make to it: soup: their mean; task: their sum (task "
          "arithmetic); ties: the largest, by elected sign; dare: a random part, rescaled; dare_ties: that "
          "part by elected sign",
      .source = "paper 3.3; REFERENCE 1.2, 5"),
    P(lambda, .def = "0.3", .min = 0, .max = 1,
      .doc = "share of the context in what the router sees, of every layer; the stage router moves it",
      .source = "eq. 5"),
    P(top_k, .def = "1", .min = 1, .max = 4096, .doc = "experts a token visits", .source = "paper 4.1"),
    P(gate, .def = "raw", .choices = UNIFIED_GATES,
      .doc = "weights of the selected experts: raw: their probabilities; renorm: divided by their sum; "
             "straight: as "
             "renorm, with raw's gradient; soft: all experts, whatever top_k says; smear: one expert a "
             "sequence, all mixed by the context's probabilities",
      .source = "eq. 6; renorm: authors' code"),
    P(context, .def = "self", .choices = UNIFIED_CONTEXTS,
      .doc = "what the context averages: self: the layer's own input; seed: that of a separate pass of the "
             "seed model; class: its class token alone; patches: all other tokens; causal: each token's "
             "predecessors; batch: the images that are computed together, whose number then changes results",
      .source = "eq. 5; seed, batch: authors' code"),
    P(vectors, .def = "raw", .choices = MOE_VECTORS_FORMS,
      .doc = "router rows from the clients' means: as they are; centred; of unit length; by distance to "
             "them; centred "
             "and of unit length",
      .source = "paper 3.3; others: REFERENCE 1.1, 6"),
    P(kinds, .def = "joint", .choices = "joint|separate",
      .doc = "separate: class tokens and patches have router rows of their own, each from its mean",
      .source = "REFERENCE 6"),
    P(temperature, .def = "1", .min = 1e-6, .max = 1e6, .doc = "the router's scores are divided by it"),
    P(init, .def = "mean", .choices = "mean|random",
      .doc = "router rows from the clients' means, or random, U(+-1/sqrt(width))",
      .source = "paper, ablation; random: BTX"),
    P(seed_expert, .def = "none", .choices = "none|competes|shared|rest",
      .doc = "the seed's own feed-forward as expert 0: competes: with a router row, from 'seed_vectors', or "
             "else the mean of all clients' means; shared: added to every token, beside the top_k; rest: as "
             "shared, weighted with what they leave of 1",
      .source = "eq. 6, e_0; shared: DeepSeekMoE"),
    P(negative_bias, .def = "false",
      .doc = "a bias for each client's expert, at most 0, which the stage router learns",
      .source = "FlexOlmo"),
    P(seed, .def = "0", .min = 0, .max = 9007199254740992.0,
      .doc = "of random router rows, and of what dare drops"),
    P(average, .def = "products", .choices = "products|factors",
      .doc = "of a soup of adapters: products: the mean of the changes B A, which is exact; factors: A and B "
             "are averaged apart",
      .source = "REFERENCE 1.2"),
    P(scaling, .def = "0", .min = -1000, .max = 1000,
      .doc = "what the merged changes are multiplied by before the seed is added; 0: the method's own, 0.4 "
             "for the sums of task and dare, 1 for the means of ties and dare_ties",
      .source = "REFERENCE 5"),
    P(density, .def = "0.2", .min = 0, .max = 1,
      .doc = "share of an expert's changes that ties keeps, the largest ones", .source = "REFERENCE 5"),
    P(trim, .def = "tensor", .choices = "tensor|model",
      .doc =
          "the largest ones are looked for in each tensor, or in all tensors that experts change together"),
    P(drop, .def = "0.9", .min = 0, .max = 0.999999, .doc = "share of an expert's changes that dare drops",
      .source = "REFERENCE 5"),
    {0}};
static const struct port inputs[] = {
    {.name = "model", .type = ARTIFACT_MODEL, .doc = "the seed model of all experts"},
    {.name = "experts",
     .type = ARTIFACT_ADAPTER,
     .also = ARTIFACT_ROUTER,
     .many = true,
     .optional = true,
     .doc = "the clients' adapters and router vectors"},
    {.name = "seed_vectors",
     .type = ARTIFACT_ROUTER,
     .optional = true,
     .doc = "router vectors of the seed model, for seed_expert: competes; stage expert makes them of public "
            "images, with epochs: 0"},
    {.name = "models",
     .type = ARTIFACT_MODEL,
     .many = true,
     .optional = true,
     .doc =
         "instead of experts: models that were fine-tuned from the seed as a whole; for all methods but moe"},
    {0}};
static const struct port outputs[] = {
    {.name = "model",
     .type = ARTIFACT_MODEL,
     .doc =
         "method moe: a unified model, see docs/unified-model.md; all others: a dense Hugging Face folder"},
    {0}};

/* Whom a parameter is for; those that are not here are moe's. */
static const struct {
    const char *param, *methods;
} meant[] = {
    {"method", "moe|soup|task|ties|dare|dare_ties"},
    {"seed", "moe|dare|dare_ties"},
    {"average", "soup"},
    {"scaling", "task|ties|dare|dare_ties"},
    {"density", "ties"},
    {"trim", "ties"},
    {"drop", "dare|dare_ties"},
};
static const char *methods_of(const char *param)
{
    for (size_t i = 0; i < sizeof meant / sizeof *meant; i++)
        if (!strcmp(meant[i].param, param))
            return meant[i].methods;
    return "moe";
}
static bool listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (; list; list = strchr(list, '|'), list += list != NULL)
        if (!strncmp(list, word, n) && (!list[n] || list[n] == '|'))
            return true;
    return false;
}
/* A parameter that would change nothing is a mistake. */
static bool check(const void *params_, struct error *err)
{
    const struct merge_params *p = params_;
    struct merge_params defaults;
    AUTO(arena) struct arena a;
    arena_init(&a);
    param_defaults(params, &defaults, &a);
    for (const struct param *row = params; row->name; row++) {
        const char *methods = methods_of(row->name);
        AUTO(buf) struct buf given = {0}, standard = {0};
        param_text(row, p, &given);
        param_text(row, &defaults, &standard);
        if (!listed(methods, p->method) && strcmp(buf_str(&given), buf_str(&standard)) != 0)
            return error_set(err, NULL, ERROR_INPUT,
                             "'%s' has no effect with method '%s', only with %s: leave it out", row->name,
                             p->method, methods);
    }
    return true;
}
static bool run(struct stage_context *ctx, struct error *err)
{
    const struct merge_params *p = ctx->params;
    AUTO(clip) struct clip *model = NULL;
    omp_set_num_threads(ctx->threads);
    if (!clip_open(stage_in(ctx, "model", 0), &model, err))
        return false;
    if (model->moe)
        return error_set(err, NULL, ERROR_INPUT,
                         "experts merge over a dense model; this one is a unified model");
    return !strcmp(p->method, "moe") ? merge_moe(ctx, model, err) : merge_dense(ctx, model, err);
}
/* A token visits one expert, or a few small ones: about the work of the dense model. */
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    (void)params_;
    ret->bytes = in->bytes;
    ret->peak = cost_count(COST_WORKER + (double)in->bytes);
    ret->makes = (struct cost_output){.bytes = in->bytes, .forward = in->forward};
}
const struct stage stage_merge = {
    .name = "merge",
    .version = 1,
    .doc =
        "One model from a seed model and the clients' experts, without training: a mixture, or a dense one.",
    .params = params,
    .params_size = sizeof(struct merge_params),
    .inputs = inputs,
    .outputs = outputs,
    .check = check,
    .cost = cost,
    .run = run};
