/* How many samples a data set has, from the head of its files: what cost functions go by, and records say. */
#ifndef STAGES_SAMPLES_H
#define STAGES_SAMPLES_H
#include "stages/stage.h"

/* Of an artifact of that type in a folder: images, features and selections are data sets. 0: it is none, or
 * its files do not tell; whoever reads them says what is wrong. */
int64_t samples_in(enum artifact type, const char *dir);
/* Of the largest data set among the inputs of a run. */
int64_t samples_of_inputs(const struct stage *s, const struct stage_inputs *inputs);
#endif
