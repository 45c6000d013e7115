/* Pixels for a model: decode, resize the shorter side, crop, perhaps flip, normalise. Every sample writes its
 * own part of the output from its own random sequence, so threads change nothing. */
#include "base/cleanup.h"
#include "stages/io/dataset.h"
#include "stages/io/dataset_cache.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* CLIP's (REFERENCE section 2, "Image"). */
static const double mean[3] = {.48145466, .4578275, .40821073}, std[3] = {.26862954, .26130258, .27577711};

/* What each byte becomes, per channel. */
struct levels {
    float value[3][256];
};

struct transform transform_eval(int size)
{
    return (struct transform){.size = size, .resize = size, .filter = IMAGE_BICUBIC};
}

struct transform transform_train(int size)
{
    return (struct transform){
        .size = size, .resize = (int)lround(size * 256.0 / 224.0), .filter = IMAGE_BILINEAR, .augment = true};
}

/* round((n - s) / 2), halves to the even side. */
static int centre(int n, int s)
{
    int d = n - s, half = d / 2;
    return d % 2 && half % 2 ? half + 1 : half;
}

/* out (3,S,S) = (rgb / 255 - mean) / std of the S x S window at (x0, y0), mirrored if flip. */
static void normalise(const struct image *im, int x0, int y0, int size, bool flip,
                      const struct levels *levels, float *out)
{
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < size; y++) {
            const uint8_t *row = im->rgb + ((size_t)(y0 + y) * (size_t)im->width + (size_t)x0) * 3 + c;
            for (int x = 0; x < size; x++)
                *out++ = levels->value[c][row[(size_t)(flip ? size - 1 - x : x) * 3]];
        }
}

/* The resized image: from the cache (*ret_cached), or made into *own. */
static const struct image *resized(const struct dataset *d, int64_t i, const struct transform *t,
                                   struct image *own, struct error *err)
{
    struct image_cache *cache = dataset_cache(d);
    int side = t->resize ? t->resize : t->size;
    const struct image *hit = image_cache_get(cache, i, side, t->filter);
    if (hit)
        return hit;
    AUTO(image) struct image full = {0};
    if (!dataset_decode(d, i, &full, err))
        return NULL;
    if (!image_resize_short(&full, side, t->filter, own, err)) {
        error_context(err, "image '%s'", dataset_id(d, i));
        return NULL;
    }
    hit = image_cache_put(cache, i, side, t->filter, own);
    return hit ? hit : own;
}

static bool load_one(const struct dataset *d, int64_t i, const struct transform *t, struct rng rng,
                     const struct levels *levels, float *out, struct error *err)
{
    AUTO(image) struct image own = {0};
    const struct image *im = resized(d, i, t, &own, err);
    if (!im)
        return false;
    int y0 = centre(im->height, t->size), x0 = centre(im->width, t->size);
    bool flip = false;
    if (t->augment) {
        y0 = (int)rng_below(&rng, (uint64_t)(im->height - t->size) + 1);
        x0 = (int)rng_below(&rng, (uint64_t)(im->width - t->size) + 1);
        flip = rng_uniform(&rng) < .5f;
    }
    normalise(im, x0, y0, t->size, flip, levels, out);
    return true;
}

bool loader_batch(const struct dataset *d, const int64_t *idx, int64_t n, const struct transform *t,
                  struct rng_stream stream, uint32_t epoch, int threads, float *out, struct error *err)
{
    if (t->size < 1 || (t->resize && t->resize < t->size))
        return error_set(err, NULL, ERROR_INPUT, "cannot crop %d x %d out of images resized to %d", t->size,
                         t->size, t->resize);
    struct levels levels;
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            levels.value[c][v] = (float)((v / 255.0 - mean[c]) / std[c]);
    size_t pixels = (size_t)t->size * (size_t)t->size * 3;
    int64_t bad = n; /* the first failing sample: the same error for any number of threads */
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t k = 0; k < n; k++) {
        struct error e = {0};
        if (load_one(d, idx[k], t, rng_at(stream, (uint64_t)idx[k], epoch), &levels, out + (size_t)k * pixels,
                     &e))
            continue;
#pragma omp critical(loader_error)
        if (k < bad) {
            bad = k;
            if (err)
                *err = e;
        }
    }
    return bad == n;
}
