/* The classes of the synthetic world. An image is a function of (seed, split, class, index, size) alone:
 * train and test come from different random streams and so never share an image.
 *
 * Three client domains, each with a style of its own and classes that differ in one fine detail:
 *   stripes  muted cloth: direction and width of stripes
 *   blobs    glowing in the dark: number and form of spots
 *   rings    paint on a pale board: form and number of outlines
 * and one public domain: everyday patterns in all styles, some of them kin to a client's, so that a selection
 * of proxies by relevance has something to find. No class depends on left against right: training flips
 * images. */
#ifndef STAGES_JOB_SYNTHETIC_WORLD_H
#define STAGES_JOB_SYNTHETIC_WORLD_H
#include "base/rng.h"
#include <stdint.h>

struct world_class;
/* The classes of a domain ("public", "stripes", "blobs", "rings"): how many there are, NULL when there is no
 * such domain. */
const struct world_class *world_domain(const char *domain, int *ret_n);
const char *world_name(const struct world_class *c, int i);
/* Draw image `index` of class i: rgb is (size, size, 3). */
void world_draw(const struct world_class *c, int i, struct rng_stream stream, int64_t index, int size,
                uint8_t *rgb);
#endif
