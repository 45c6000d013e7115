/* One atomic pointer a sample. A pointer, once set, stays until the cache is freed, so readers take no lock.
 */
#include "stages/io/dataset_cache.h"
#include "base/mem.h"
#include <stdatomic.h>
#include <stdlib.h>

struct image_cache {
    _Atomic(struct image *) *slot;
    int64_t samples, limit;
    _Atomic int64_t bytes;
    _Atomic int64_t kind; /* 0: not fixed yet */
};

struct image_cache *image_cache_new(int64_t samples, int64_t limit)
{
    struct image_cache *c = xcalloc(1, sizeof *c);
    c->slot = xcalloc((size_t)samples, sizeof *c->slot);
    c->samples = samples;
    c->limit = limit;
    return c;
}

void image_cache_free(struct image_cache *c)
{
    if (!c)
        return;
    for (int64_t i = 0; i < c->samples; i++) {
        struct image *im = atomic_load(&c->slot[i]);
        if (im)
            image_free(im);
        free(im);
    }
    free((void *)c->slot);
    free(c);
}

const struct image *image_cache_get(struct image_cache *c, int64_t sample, int64_t kind)
{
    if (atomic_load_explicit(&c->kind, memory_order_relaxed) != kind)
        return NULL;
    return atomic_load_explicit(&c->slot[sample], memory_order_acquire);
}

bool image_cache_has_room(struct image_cache *c, int64_t kind, int64_t bytes)
{
    int64_t now = atomic_load(&c->kind);
    return (now == 0 || now == kind) && atomic_load(&c->bytes) + bytes <= c->limit;
}

const struct image *image_cache_put(struct image_cache *c, int64_t sample, int64_t kind, struct image *im)
{
    int64_t unset = 0;
    if (!atomic_compare_exchange_strong(&c->kind, &unset, kind) && unset != kind)
        return NULL;
    int64_t n = (int64_t)im->width * im->height * 3;
    if (atomic_fetch_add(&c->bytes, n) + n > c->limit) {
        atomic_fetch_sub(&c->bytes, n);
        return NULL;
    }
    struct image *kept = xmalloc(sizeof *kept), *none = NULL;
    *kept = *im;
    if (!atomic_compare_exchange_strong(&c->slot[sample], &none, kept)) {
        atomic_fetch_sub(&c->bytes, n); /* another thread was first; its pixels are the same */
        free(kept);
        return NULL;
    }
    *im = (struct image){0};
    return kept;
}
