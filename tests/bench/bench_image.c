/* JPEG files to crops on one thread: bench_image TAR SHORT. Every JPEG of an archive is decoded, resized to a
 * shorter side of SHORT (bicubic, as Pillow does) and cut to 224 x 224 at the centre. The files lie in
 * memory. One JSON line: images a second. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/io/archive.h"
#include "stages/io/image.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SIDE 224

static double spent(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
static enum archive_want jpegs(const void *arg, const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && (!strcmp(dot, ".jpg") || !strcmp(dot, ".JPEG")) ? ARCHIVE_DATA : ARCHIVE_NAME;
}
static bool one(const uint8_t *data, size_t n, int side, struct error *err)
{
    AUTO(image) struct image im = {0}, crop = {0};
    struct image_resampling r = {.filter = IMAGE_BICUBIC};
    if (!image_decode(data, n, &im, err) ||
        !image_short_size(im.width, im.height, side, &r.width, &r.height, err))
        return false;
    r.from = (struct image_box){0, 0, im.width, im.height};
    r.part = (struct image_box){(r.width - SIDE) / 2, (r.height - SIDE) / 2, SIDE, SIDE};
    return image_resample(&im, &r, &crop, err);
}
int main(int argc, char **argv)
{
    long side = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    AUTO(archive_index) struct archive_index x = {0};
    AUTO(map) struct map m = {0};
    struct error err = {0};
    if (side < SIDE || side > 4096) {
        fprintf(stderr, "usage: bench_image TAR SHORT\n");
        return 2;
    }
    double start = 0;
    int64_t images = 0;
    mem_keep_freed(); /* as workers do */
    bool ok = archive_index_open(argv[1], jpegs, NULL, &x, &err) && map_open(&m, argv[1], &err);
    for (int round = 0; ok && round < 2; round++) { /* the first one reads the files */
        start = spent();
        images = 0;
        for (size_t i = 0; ok && i < x.n; i++)
            if (x.item[i].offset >= 0) {
                ok = one(m.data + x.item[i].offset, (size_t)x.item[i].size, (int)side, &err);
                images++;
            }
    }
    double seconds = spent() - start;
    if (!ok) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("{\"name\": \"JPEG to %ld, crop 224, a core\", \"value\": %.1f, \"unit\": \"img/s\"}\n", side,
           (double)images / seconds);
    return 0;
}
