/* Pixels for a model: decode, resize, cut the window out, perhaps mirrored, normalise. Only what the window
 * needs is resized, unless the whole is kept for other epochs. Every sample writes its own part of the output
 * from its own random sequence, so threads change nothing.
 *
 * Nothing is decoded ahead, while the model computes: all of the worker's cores decode a batch together and
 * then all multiply, so none is idle that a thread of its own could use. What there is to win is the share of
 * decoding: .34 ms of a core for a JPEG of 300 x 200, against 87 ms for ViT-B/32. Threads that decoded ahead
 * took their time from the matrix products, whose threads then waited for each other. */
#include "base/cleanup.h"
#include "stages/io/dataset.h"
#include "stages/io/dataset_cache.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What each byte becomes, per channel. */
struct levels {
    float value[3][256];
};
/* What every sample of a batch has in common. */
struct job {
    const struct dataset *data;
    const struct transform *t;
    struct levels levels;
    int64_t kind; /* of what the cache keeps */
};

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

/* All of an image as the window is cut from it: *full itself, or its resized form in *full's place. */
static bool make_frame(const struct job *j, int width, int height, struct image *full, struct error *err)
{
    AUTO(image) struct image small = {0};
    if (width == full->width && height == full->height)
        return true;
    if (!image_resize(full, width, height, j->t->filter, &small, err))
        return false;
    image_free(full);
    *full = small;
    small = (struct image){0};
    return true;
}

/* The window alone, S x S: of a frame that is no more than `full` resized to width x height. */
static bool make_window(const struct job *j, const struct image *full, int width, int height,
                        struct image_box window, struct image *ret, struct error *err)
{
    int s = j->t->size;
    struct image_resampling r = {{0, 0, full->width, full->height}, width, height, window, j->t->filter};
    if (j->t->crop == CROP_RESIZED)
        r = (struct image_resampling){window, s, s, {0, 0, s, s}, j->t->filter};
    return image_resample(full, &r, ret, err);
}

/* What a sample's window is cut from: *ret, which the cache keeps or is *full, or NULL where only the window
 * is to be made. Its size is in *width and *height. For the centre crop the cache keeps the window itself. */
static bool find_frame(const struct job *j, int64_t i, struct image *full, const struct image **ret,
                       int *width, int *height, struct error *err)
{
    struct image_cache *cache = dataset_cache(j->data);
    const struct transform *t = j->t;
    *ret = image_cache_get(cache, i, j->kind);
    if (*ret) {
        *width = (*ret)->width;
        *height = (*ret)->height;
        return true;
    }
    int side = t->crop == CROP_RESIZED ? 0 : t->resize ? t->resize : t->size;
    if (!dataset_decode_for(j->data, i, side, full, err))
        return false;
    if (!transform_frame(t, full->width, full->height, width, height, err))
        return error_context(err, "image '%s'", dataset_id(j->data, i));
    if (t->crop != CROP_CENTRE && image_cache_has_room(cache, j->kind, (int64_t)*width * *height * 3)) {
        if (!make_frame(j, *width, *height, full, err))
            return false;
        *ret = image_cache_put(cache, i, j->kind, full);
    }
    if (!*ret && t->crop != CROP_CENTRE && full->width == *width && full->height == *height)
        *ret = full;
    return true;
}

static bool load_one(const struct job *j, int64_t i, struct rng rng, float *out, struct error *err)
{
    AUTO(image) struct image full = {0}, own = {0};
    const struct image *frame = NULL;
    int width = 0, height = 0, s = j->t->size;
    bool flip;
    if (!find_frame(j, i, &full, &frame, &width, &height, err))
        return false;
    struct image_box w = transform_window(j->t, width, height, &rng, &flip);
    if (frame && w.width == s && w.height == s) {
        normalise(frame, w.x, w.y, s, flip, &j->levels, out);
        return true;
    }
    if (!make_window(j, frame ? frame : &full, width, height, w, &own, err))
        return false;
    normalise(&own, 0, 0, s, flip, &j->levels, out);
    if (j->t->crop == CROP_CENTRE)
        (void)image_cache_put(dataset_cache(j->data), i, j->kind, &own);
    return true;
}

static bool job_init(struct job *j, const struct dataset *d, const struct transform *t, struct error *err)
{
    *j = (struct job){.data = d, .t = t};
    j->kind = 1 + ((int64_t)t->size * 65536 + t->resize) * 8 + t->crop * 2 + t->filter;
    if (t->size < 1 || (t->resize && t->resize < t->size))
        return error_set(err, NULL, ERROR_INPUT, "cannot crop %d x %d out of images resized to %d", t->size,
                         t->size, t->resize);
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            j->levels.value[c][v] = (float)((v / 255.0 - transform_mean[c]) / transform_std[c]);
    return true;
}

bool loader_batch(const struct dataset *d, const int64_t *idx, int64_t n, const struct transform *t,
                  struct rng_stream stream, uint32_t epoch, int threads, float *out, struct error *err)
{
    struct job j;
    if (!job_init(&j, d, t, err))
        return false;
    size_t pixels = (size_t)t->size * (size_t)t->size * 3;
    int64_t bad = n; /* the first failing sample: the same error for any number of threads */
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t k = 0; k < n; k++) {
        struct error e = {0};
        if (load_one(&j, idx[k], rng_at(stream, (uint64_t)idx[k], epoch), out + (size_t)k * pixels, &e))
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
