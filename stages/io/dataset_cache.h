/* Decoded images of a data set, resized or not, kept up to a bound: over a small set every epoch but the
 * first then skips decoding. Filled, never evicted (epochs visit each sample once, so recency says nothing),
 * and never part of a result. All functions are thread-safe. */
#ifndef STAGES_IO_DATASET_CACHE_H
#define STAGES_IO_DATASET_CACHE_H
#include "stages/io/image.h"

#define DATASET_CACHE_BYTES ((int64_t)256 << 20)

struct dataset;
struct image_cache;
struct image_cache *image_cache_new(int64_t samples, int64_t limit);
void image_cache_free(struct image_cache *c);
/* `kind` (above 0) says what is kept of each sample: resized in which way, or as it was decoded. The first
 * offer fixes the cache's kind; of others nothing is kept. */
/* The cached image of a sample, or NULL. Lives as long as the cache. */
const struct image *image_cache_get(struct image_cache *c, int64_t sample, int64_t kind);
/* Offer an image: when it is kept, *im is emptied and the kept one returned, otherwise NULL and *im stays the
 * caller's. */
const struct image *image_cache_put(struct image_cache *c, int64_t sample, int64_t kind, struct image *im);
/* Would so many bytes of that kind be kept, as it stands? */
bool image_cache_has_room(struct image_cache *c, int64_t kind, int64_t bytes);

struct image_cache *dataset_cache(const struct dataset *d); /* owned by d */
#endif
