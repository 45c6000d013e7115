/* The work that a model makes, as cost functions tell it: from its shape where a stage knows that, else from
 * what the scheduler knows of it (stages/stage.h), in proportion to a ViT-B/32 of 600 MB. */
#ifndef STAGES_JOB_EFFORT_H
#define STAGES_JOB_EFFORT_H
#include "stages/model/clip.h"
#include "stages/model/train.h"
#include "stages/stage.h"

#define EFFORT_WIDTH 768 /* of features, which no input tells */

double effort_forward(const struct clip_config *c); /* FLOPs of one image through the vision tower */
double effort_text(const struct clip_config *c);    /* FLOPs of one token through the text tower */
double effort_weights(const struct clip_config *c); /* how many, of both towers */
/* FLOPs of one image through a model of so many bytes: it is taken for a ViT-B/32 of another size. */
double effort_of_bytes(double bytes);
double effort_of_input(const struct cost_input *in); /* through the model input */
/* Bytes at the peak of a worker that passes so many images at once through the model input, its weights
 * counted in. */
double effort_memory(const struct cost_input *in, double images);
/* Of training adapters on so many samples. */
double effort_train_flops(const struct train_params *p, const struct cost_input *in, double samples);
double effort_train_memory(const struct train_params *p, const struct cost_input *in);
#endif
