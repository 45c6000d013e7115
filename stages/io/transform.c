#include "stages/io/transform.h"
#include <math.h>

#define TRIES     10
#define MIN_AREA  .08
#define MAX_RATIO (4. / 3)

const double transform_mean[3] = {.48145466, .4578275, .40821073};
const double transform_std[3] = {.26862954, .26130258, .27577711};

struct transform transform_eval(int size)
{
    return (struct transform){.size = size, .resize = size, .filter = IMAGE_BICUBIC};
}

struct transform transform_train(int size)
{
    return (struct transform){.size = size,
                              .resize = (int)lround(size * 256.0 / 224.0),
                              .filter = IMAGE_BILINEAR,
                              .crop = CROP_RANDOM};
}

struct transform transform_resized(int size)
{
    return (struct transform){.size = size, .filter = IMAGE_BILINEAR, .crop = CROP_RESIZED};
}

bool transform_frame(const struct transform *t, int width, int height, int *ret_width, int *ret_height,
                     struct error *err)
{
    if (t->crop != CROP_RESIZED)
        return image_short_size(width, height, t->resize ? t->resize : t->size, ret_width, ret_height, err);
    *ret_width = width;
    *ret_height = height;
    return true;
}

/* round((n - s) / 2), halves to the even side. */
static int centre(int n, int s)
{
    int d = n - s, half = d / 2;
    return d % 2 && half % 2 ? half + 1 : half;
}

/* The largest centred box of a ratio that is allowed: for images so narrow that random boxes do not fit. */
static struct image_box central(int width, int height)
{
    struct image_box b = {.width = width, .height = height};
    if (width * MAX_RATIO < height)
        b.height = (int)rint(width * MAX_RATIO);
    else if (width > height * MAX_RATIO)
        b.width = (int)rint(height * MAX_RATIO);
    b.x = (width - b.width) / 2;
    b.y = (height - b.height) / 2;
    return b;
}

static struct image_box random_box(int width, int height, struct rng *rng)
{
    double area = (double)width * height, limit = log(MAX_RATIO);
    for (int i = 0; i < TRIES; i++) {
        double some = area * (MIN_AREA + (1 - MIN_AREA) * rng_uniform_double(rng));
        double ratio = exp(limit * (2 * rng_uniform_double(rng) - 1));
        struct image_box b = {.width = (int)rint(sqrt(some * ratio)),
                              .height = (int)rint(sqrt(some / ratio))};
        if (b.width < 1 || b.width > width || b.height < 1 || b.height > height)
            continue;
        b.y = (int)rng_below(rng, (uint64_t)(height - b.height) + 1);
        b.x = (int)rng_below(rng, (uint64_t)(width - b.width) + 1);
        return b;
    }
    return central(width, height);
}

struct image_box transform_window(const struct transform *t, int width, int height, struct rng *rng,
                                  bool *ret_flip)
{
    struct image_box b = {.width = t->size, .height = t->size};
    *ret_flip = false;
    if (t->crop == CROP_CENTRE) {
        b.x = centre(width, t->size);
        b.y = centre(height, t->size);
        return b;
    }
    if (t->crop == CROP_RESIZED) {
        b = random_box(width, height, rng);
    } else {
        b.y = (int)rng_below(rng, (uint64_t)(height - t->size) + 1);
        b.x = (int)rng_below(rng, (uint64_t)(width - t->size) + 1);
    }
    *ret_flip = rng_uniform(rng) < .5f;
    return b;
}
