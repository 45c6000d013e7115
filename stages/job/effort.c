#include "stages/job/effort.h"
#include <math.h>

#define BASE_BYTES   600e6 /* of a ViT-B/32's file: both towers */
#define BASE_VISION  0.58  /* of its weights are of the vision tower */
#define BASE_FORWARD 8.8e9 /* 88 M weights, 50 tokens */
#define BASE_TOKEN   80e3  /* bytes of a token's activations, at the widest place */
#define BASE_KEPT    600e3 /* of all that its backward pass needs */

static double tower(const struct tower_config *c)
{
    return (double)c->layers *
           (4.0 * (double)c->width * (double)c->width + 2.0 * (double)c->width * (double)c->mlp);
}

double effort_forward(const struct clip_config *c)
{
    double side = (double)(c->image_size / c->patch), tokens = side * side + 1;
    double patches = (double)(c->channels * c->patch * c->patch * c->vision.width);
    double attention = 2 * tokens * (double)(c->vision.width * c->vision.layers);
    return 2 * tokens * (tower(&c->vision) + patches + attention);
}

double effort_text(const struct clip_config *c)
{
    return 2 * tower(&c->text);
}

double effort_weights(const struct clip_config *c)
{
    double side = (double)(c->image_size / c->patch), tokens = side * side + 1;
    return tower(&c->vision) + tower(&c->text) +
           (double)c->vision.width * ((double)(c->channels * c->patch * c->patch) + tokens) +
           (double)c->text.width * (double)(c->vocab + c->context);
}

double effort_of_bytes(double bytes)
{
    return BASE_FORWARD * bytes / BASE_BYTES;
}

static double model_bytes(const struct cost_input *in)
{
    return in->model > 0 ? (double)in->model : BASE_BYTES;
}

double effort_of_input(const struct cost_input *in)
{
    return in->forward > 0 ? in->forward : effort_of_bytes(model_bytes(in));
}

/* Of one token; weights go with the square of the width, activations with the width, both with the layers:
 * those of models of the same shape with the power of 2/3. */
static double memory(const struct cost_input *in, double tokens, double each)
{
    return COST_WORKER + model_bytes(in) + tokens * each * pow(model_bytes(in) / BASE_BYTES, 2 / 3.);
}

static double tokens_of_image(const struct cost_input *in)
{
    return fmax(1, effort_of_input(in) / (2 * BASE_VISION * model_bytes(in) / 4));
}

double effort_memory(const struct cost_input *in, double images)
{
    return memory(in, images * tokens_of_image(in), BASE_TOKEN);
}

/* Forward, and backward for the activations alone: the weights are frozen, adapters small. */
double effort_train_flops(const struct train_params *p, const struct cost_input *in, double samples)
{
    return 2 * effort_of_input(in) * samples * (double)p->epochs;
}

double effort_train_memory(const struct train_params *p, const struct cost_input *in)
{
    double tokens = (double)p->micro_batch * tokens_of_image(in);
    return memory(in, fmax(tokens, p->micro_batch ? 1 : TRAIN_TOKENS), BASE_KEPT);
}
