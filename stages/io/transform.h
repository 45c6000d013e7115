/* Which window of an image a model sees. All random choices come from the sequence that the caller gives. */
#ifndef STAGES_IO_TRANSFORM_H
#define STAGES_IO_TRANSFORM_H
#include "base/rng.h"
#include "stages/io/image.h"

enum transform_crop {
    CROP_CENTRE, /* S x S of the resized image at round((n-S)/2), halves to the even side */
    CROP_RANDOM, /* S x S of the resized image anywhere, then a flip with probability .5 */
    CROP_RESIZED /* of the image itself .08 to 1 of its area, sides 3:4 to 4:3, resized to S x S, then such a
                    flip: torchvision's RandomResizedCrop */
};
struct transform {
    int size;   /* S: output side */
    int resize; /* shorter side before the crop, at least S; 0: S. CROP_RESIZED takes none */
    enum image_filter filter;
    enum transform_crop crop;
};
struct transform transform_eval(int size);    /* resize S bicubic, centre crop */
struct transform transform_train(int size);   /* resize round(S*256/224) bilinear, random crop, flip */
struct transform transform_resized(int size); /* random resized crop, bilinear, flip */
/* What is taken from red, green and blue in 0..1, and what it is divided by: CLIP's (REFERENCE 2, "Image").
 */
extern const double transform_mean[3], transform_std[3];
/* Size of what the window is cut from: the image, resized where the transform says so. */
bool transform_frame(const struct transform *t, int width, int height, int *ret_width, int *ret_height,
                     struct error *err) MUST_CHECK;
/* The window in such a frame, and whether it is mirrored. */
struct image_box transform_window(const struct transform *t, int width, int height, struct rng *rng,
                                  bool *ret_flip);
#endif
