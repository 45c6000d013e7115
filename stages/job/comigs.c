/* Stage comigs: one client's round of CoMiGS; see comigs.h. Between rounds the stage average makes the mean
 * of the clients' generalists. A last one with 0 steps puts that mean into a client's model. */
#include "stages/job/comigs.h"
#include "base/cleanup.h"
#include "stages/io/tokenizer.h"
#include "stages/job/effort.h"
#include "stages/model/prompt.h"
#include <omp.h>

#define T(...) TRAIN_PARAM(struct comigs_params, __VA_ARGS__)
#define P(...) PARAM(struct comigs_params, __VA_ARGS__)
static const struct param params[] = {
    P(steps, .def = "10", .min = 0, .max = 1e6, .doc = "steps of the experts in a round", .source = "CoMiGS"),
    P(router_every, .def = "30", .min = 1, .max = 1e9,
      .doc = "the routers learn each time that the experts have made so many steps, over all rounds",
      .source = "CoMiGS"),
    P(router_steps, .def = "10", .min = 0, .max = 1e6, .doc = "steps of the routers then",
      .source = "CoMiGS"),
    P(holdout, .def = "0.1", .min = 0, .max = 1,
      .doc = "share of the client's images that only the routers learn from; an image's id decides"),
    P(rank, .def = "8", .min = 1, .max = 4096, .doc = "rank of both LoRA experts",
      .source = "CoMiGS; HarmoMoE compares at 16"),
    P(alpha, .def = "16", .min = 0, .max = 1e6, .doc = "scale of the LoRA, before it is divided",
      .source = "CoMiGS; HarmoMoE compares at 32"),
    P(scaling, .def = "root", .choices = "root|rank",
      .doc = "alpha is divided by the root of the rank, or by the rank", .source = "CoMiGS; HarmoMoE: rank"),
    T(batch, .def = "64", .min = 1, .max = 65536, .unit = "images", .doc = "images a step",
      .source = "CoMiGS"),
    T(micro_batch, .def = "0", .min = 0, .max = 65536, .unit = "images",
      .doc = "images in memory at once, gradients add up to a batch; 0: about 2048 tokens"),
    T(optimizer, .def = "adamw", .choices = "sgd|adamw",
      .doc = "how gradients move weights; it stays the client's", .source = "CoMiGS"),
    T(lr, .def = "0.002", .min = 0, .max = 100, .doc = "learning rate of the experts at the first step",
      .source = "CoMiGS"),
    T(schedule, .def = "cosine", .choices = "constant|cosine", .doc = "course of the experts' learning rate",
      .source = "CoMiGS"),
    P(horizon, .def = "200", .min = 1, .max = 1e9, .unit = "steps",
      .doc = "the cosine ends after so many steps of the experts, over all rounds; after it the rate stays",
      .source = "CoMiGS: 20 rounds of 10"),
    P(lr_end, .def = "0.1", .min = 0, .max = 1, .doc = "where the cosine ends, as a multiple of lr",
      .source = "CoMiGS"),
    P(lr_router, .def = "1", .min = 0, .max = 1e6,
      .doc = "learning rate of the routers as a multiple of lr; constant", .source = "CoMiGS"),
    T(momentum, .def = "0.9", .min = 0, .max = 1, .doc = "momentum of sgd"),
    T(nesterov, .def = "false", .doc = "Nesterov's form of momentum"),
    P(beta2, .def = "0.95", .min = 0, .max = 0.9999999, .doc = "decay of adamw's squared gradients",
      .source = "CoMiGS"),
    T(weight_decay, .def = "0.01", .min = 0, .max = 10, .doc = "weight decay of everything that moves",
      .source = "CoMiGS"),
    T(clip, .def = "0", .min = 0, .max = 1e9, .doc = "largest norm of all gradients together; 0: no limit"),
    P(balance_loss, .def = "0.01", .min = 0, .max = 1e6,
      .doc = "weight of the balance loss, E times the sum of c_e, an expert's share of visits and its mean "
             "probability",
      .source = "CoMiGS"),
    P(importance, .def = "0.5", .min = 1e-6, .max = 0.999999,
      .doc = "q of the balance loss: c is 1/(2q) for the generalist, 1/(2(1-q)) for the specialist; both are "
             "visited by every token, so that at 0.5 it pulls nowhere, and above towards the generalist",
      .source = "CoMiGS"),
    T(augment, .def = "true", .doc = "random crop and mirror, a function of sample and pass",
      .source = "REFERENCE 1.1"),
    T(image_transform, .def = "released", .choices = "released|clip",
      .doc = "resizing of augmented images, as in the stage expert", .source = "REFERENCE 1.1"),
    PROMPT_PARAMS(struct comigs_params, train.prompt),
    T(seed, .def = "0", .min = 0, .max = 9007199254740992.0,
      .doc = "of initial weights, order and augmentation; the same at all clients, whose generalists start "
             "alike"),
    {0}};
static const struct port inputs[] = {
    {.name = "model", .type = ARTIFACT_MODEL, .doc = "the seed model, frozen"},
    {.name = "private", .type = ARTIFACT_IMAGES, .private_ok = true, .doc = "the client's images"},
    {.name = "state",
     .type = ARTIFACT_MODEL,
     .optional = true,
     .private_ok = true,
     .doc = "the client's model after the round before; not in the first"},
    {.name = "generalist",
     .type = ARTIFACT_ADAPTER,
     .optional = true,
     .doc = "the mean of the clients' generalists, in place of the client's own"},
    {0}};
static const struct port outputs[] = {
    {.name = "model",
     .type = ARTIFACT_MODEL,
     .doc = "the client's own: a unified model of generalist and specialist, and "
            "what the next round needs"},
    {.name = "generalist",
     .type = ARTIFACT_ADAPTER,
     .releases = true,
     .release = "LoRA weights of the generalist",
     .doc = "PEFT folder"},
    {0}};
static bool check(const void *params_, struct error *err)
{
    const struct comigs_params *p = params_;
    return train_check(&p->train, err);
}

static bool open_inputs(struct comigs *x, struct error *err)
{
    AUTO(tokenizer) struct tokenizer *tok = NULL;
    const char *seed = stage_in(x->ctx, "model", 0);
    if (!clip_open(seed, &x->model, err))
        return false;
    if (x->model->moe)
        return error_set(err, NULL, ERROR_INPUT,
                         "input 'model' is the dense seed of all rounds; a client's model is for 'state'");
    if (!dataset_open(stage_in(x->ctx, "private", 0), &x->data, err))
        return false;
    int64_t classes = dataset_classes(x->data);
    x->text = arena_floats(x->ctx->arena, classes * x->model->config.embed);
    if (!x->text)
        return error_set(err, NULL, ERROR_SYSTEM, "out of memory for the texts of %lld classes",
                         (long long)classes);
    return tokenizer_open(seed, &tok, err) &&
           prompt_features(x->model, tok, &x->p->train.prompt, dataset_class_names(x->data), classes, x->text,
                           err);
}
static bool run(struct stage_context *ctx, struct error *err)
{
    struct comigs x = {.ctx = ctx, .p = ctx->params};
    omp_set_num_threads(ctx->threads);
    bool ok = open_inputs(&x, err) && comigs_begin(&x, err) && comigs_round(&x, err) && comigs_save(&x, err);
    dataset_close(x.data);
    clip_free(x.model);
    return ok;
}
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    const struct comigs_params *p = params_;
    struct train_params once = p->train;
    double steps = (double)p->steps * (1 + (double)p->router_steps / (double)p->router_every);
    once.epochs = 1;
    ret->flops = effort_train_flops(&once, in, steps * (double)p->train.batch);
    ret->bytes = in->bytes;
    ret->peak = cost_count(effort_train_memory(&p->train, in));
    ret->makes = (struct cost_output){.bytes = in->model, .forward = in->forward};
}
const struct stage stage_comigs = {
    .name = "comigs",
    .version = 1,
    .doc =
        "A client's round of CoMiGS: a generalist that clients average, a specialist and routers that stay.",
    .params = params,
    .params_size = sizeof(struct comigs_params),
    .inputs = inputs,
    .outputs = outputs,
    .check = check,
    .cost = cost,
    .run = run};
