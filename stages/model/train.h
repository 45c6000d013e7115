/* Fine-tuning of the vision tower against frozen class texts: what the stages expert and router share.
 *   loss = mean over the batch of CE(exp(logit_scale) unit(image(x)) text^T, label)
 * Whatever has a gradient in the model and was added to the optimiser moves. Every random choice is indexed
 * by epoch or by (sample, epoch), every sum has one order: neither threads nor timing change a bit. */
#ifndef STAGES_MODEL_TRAIN_H
#define STAGES_MODEL_TRAIN_H
#include "base/param.h"
#include "stages/io/dataset.h"
#include "stages/model/clip.h"
#include "stages/model/moe_loss.h"
#include "stages/model/prompt.h"
#include "stages/tensor/optim.h"

struct train_sample {
    int set;       /* index into train.data */
    int64_t index; /* in that data set */
    int64_t label; /* row of the class texts */
};
/* The parameters that both stages have; TRAIN_PARAMS gives their rows. */
struct train_params {
    int64_t epochs, batch, micro_batch, seed;
    double lr, momentum, weight_decay, warmup, clip;
    bool nesterov, augment;
    const char *optimizer, *schedule, *image_transform;
    const char *order; /* NULL: shuffled */
    struct prompt_params prompt;
};
struct train {
    const struct train_params *params;
    const char *name; /* of the random streams: "expert" */
    const struct clip *model;
    struct dataset *const *data;
    int sets;
    const struct train_sample *sample; /* (count) */
    int64_t count;
    const float *text; /* (classes, E) unit rows */
    int64_t classes;
    struct optim *optim;
    /* Losses on the routers: the caller sets weights and coefficients, the rest is filled in here. NULL:
     * none.
     */
    struct moe_loss *loss;
    const float *target; /* (count,K) whose sample it is, rows sum to 1 or to 0; for the domain loss */
    /* Moves the routers' biases of the selection after every step, up where an expert had less than its share
     * of the batch, down where more (loss-free balancing); `loss` must be there. NULL: they stay. */
    struct optim *balance;
    double balance_rate; /* by how much */
    int threads;         /* that decode */
    int64_t epoch;       /* passes made before train_run, whose state weights and optimiser hold */
    /* Samples seen so far of total, counted on over train_run and train_observe; the caller sets total. */
    int64_t done, total;
    void (*progress)(void *arg, int64_t done, int64_t total); /* may be NULL */
    void (*metric)(void *arg, const char *name, double value,
                   int64_t step); /* per epoch "loss" (without those on routers), "accuracy", and each loss
                                     on routers; may be NULL */
    bool (*passed)(void *arg, int64_t epochs, struct error *err); /* after each pass; false ends the training;
                                                                     may be NULL */
    void *arg;
};
/* An optimiser as the parameters say. */
struct optim *train_optim(const struct train_params *p, struct arena *a);
struct optim_config train_optim_config(const struct train_params *p);
/* What no single parameter can say. */
bool train_check(const struct train_params *p, struct error *err) MUST_CHECK;
/* Is the state after n passes the same whatever 'epochs' says? */
bool train_prefix(const struct train_params *p);
bool train_run(struct train *t, struct error *err) MUST_CHECK;
/* One step of t->optim at the rate lr, for those who choose their batches themselves: samples order[0..n-1]
 * of t->sample are one, augmented as in pass `epoch`; += its summed loss and right answers. */
bool train_batch(struct train *t, const int64_t *order, int64_t n, int64_t epoch, double lr, double *loss,
                 int64_t *right, struct error *err) MUST_CHECK;
/* One forward pass over all samples in order, all tokens, evaluation transform: for an observer. */
bool train_observe(struct train *t, const struct observer *o, struct error *err) MUST_CHECK;
#define TRAIN_TOKENS 2048 /* in memory at once, when the parameters leave it open */

#define TRAIN_PARAM(st, field, ...)                                                                          \
    {                                                                                                        \
        .name = #field, .type = PARAM_TYPE_(((st *)0)->train.field), .offset = offsetof(st, train.field),    \
        __VA_ARGS__                                                                                          \
    }
/* Rows for a struct `st` with a member `struct train_params train`. */
#define TRAIN_PARAMS(st, epochs_, lr_, from)                                                                 \
    TRAIN_PARAM(st, epochs, .def = epochs_, .min = 0, .max = 100000, .flags = PARAM_EPOCHS,                  \
                .doc = "passes over the samples", .source = from),                                           \
        TRAIN_PARAM(st, batch, .def = "128", .min = 1, .max = 65536, .unit = "images",                       \
                    .doc = "images a step", .source = from),                                                 \
        TRAIN_PARAM(st, micro_batch, .def = "0", .min = 0, .max = 65536, .unit = "images",                   \
                    .doc = "images in memory at once, gradients add up to a batch; 0: about 2048 tokens"),   \
        TRAIN_PARAM(st, optimizer, .def = "sgd", .choices = "sgd|adamw",                                     \
                    .doc = "how gradients move weights", .source = from),                                    \
        TRAIN_PARAM(st, lr, .def = lr_, .min = 0, .max = 100, .doc = "learning rate", .source = from),       \
        TRAIN_PARAM(st, momentum, .def = "0.9", .min = 0, .max = 1, .doc = "momentum of sgd",                \
                    .source = from),                                                                         \
        TRAIN_PARAM(st, nesterov, .def = "false",                                                            \
                    .doc = "Nesterov's form of momentum, as in the authors' code",                           \
                    .source = "REFERENCE 1.1"),                                                              \
        TRAIN_PARAM(st, weight_decay, .def = "0.0001", .min = 0, .max = 10,                                  \
                    .doc = "weight decay of everything that moves", .source = from),                         \
        TRAIN_PARAM(st, schedule, .def = "constant", .choices = "constant|cosine",                           \
                    .doc = "course of the learning rate after the warm-up", .source = from),                 \
        TRAIN_PARAM(st, warmup, .def = "0", .min = 0, .max = 1,                                              \
                    .doc = "share of the steps with a rising learning rate"),                                \
        TRAIN_PARAM(st, order, .def = "shuffled", .choices = "shuffled|given",                               \
                    .doc = "of the samples, in every pass; given: as the inputs have them, set by set",      \
                    .source = "REFERENCE 1.1"),                                                              \
        TRAIN_PARAM(st, clip, .def = "0", .min = 0, .max = 1e9,                                              \
                    .doc = "largest norm of all gradients together; 0: no limit"),                           \
        TRAIN_PARAM(st, augment, .def = "true",                                                              \
                    .doc = "random crop and mirror, a function of sample and epoch",                         \
                    .source = "REFERENCE 1.1"),                                                              \
        TRAIN_PARAM(st, image_transform, .def = "released", .choices = "released|clip|random_resized",       \
                    .doc = "how augmented images are cut: released: out of the image resized to a shorter "  \
                           "side of 256/224 of the crop, bilinear; clip: resized as in evaluation, to the "  \
                           "crop, bicubic; random_resized: .08 to 1 of the area, sides 3:4 to 4:3, "         \
                           "bilinear, as torchvision's RandomResizedCrop",                                   \
                    .source = "REFERENCE 1.1"),                                                              \
        PROMPT_PARAMS(st, train.prompt),                                                                     \
        TRAIN_PARAM(st, seed, .def = "0", .min = 0, .max = 9007199254740992.0,                               \
                    .doc = "of initial weights, order and augmentation")
#endif
