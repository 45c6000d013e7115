/* Decoding, resizing, cropping and normalising against stored bytes. What to check, and how far, case.json
 * says. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/dataset.h"
#include "tests/golden/oracle.h"
#include "tests/unit/image_make.h"
#include <math.h>
#include <string.h>

/* Bytes must be equal. */
static void check_bytes(struct oracle_case *c, const char *name, const uint8_t *got, int64_t n)
{
    int64_t *wide = arena_alloc(&c->arena, (size_t)n * sizeof *wide);
    for (int64_t i = 0; i < n; i++)
        wide[i] = got[i];
    oracle_check_ints(c, name, wide, n);
}

/* round((n - s) / 2), halves to the even side, as rint does. */
static int offset_of(int n, int s)
{
    return (int)rint((n - s) / 2.0);
}

static void check_crop(struct oracle_case *c, const char *name, const struct image *im, int size)
{
    AUTO(image) struct image r = {0};
    struct error e = {0};
    if (!oracle_ok(c, image_resize_short(im, size, IMAGE_BICUBIC, &r, &e), &e))
        return;
    int x0 = offset_of(r.width, size), y0 = offset_of(r.height, size);
    uint8_t *crop = arena_alloc(&c->arena, (size_t)(size * size * 3));
    for (int y = 0; y < size; y++)
        memcpy(crop + y * size * 3, r.rgb + ((size_t)(y0 + y) * (size_t)r.width + (size_t)x0) * 3,
               (size_t)size * 3);
    check_bytes(c, name, crop, (int64_t)size * size * 3);
}

/* The loader's way from file to tensor, through a data set of one image. */
static void check_tensor(struct oracle_case *c, const char *name, const char *file, const char *path,
                         int size)
{
    AUTO(map) struct map m = {0};
    AUTO(mem) char *dir = make_folder();
    AUTO(dataset) struct dataset *d = NULL;
    float *out = arena_floats(&c->arena, (int64_t)size * size * 3);
    struct transform t = transform_eval(size);
    struct error e = {0};
    struct dataset_writer *w = dataset_writer_new(dir);
    if (!oracle_ok(c, map_open(&m, path, &e), &e)) {
        dataset_writer_free(w);
        return;
    }
    make_file(dir, "source", m.data, m.size);
    dataset_writer_add(w, file, dataset_writer_class(w, "any"), 0, (int64_t)m.size);
    if (oracle_ok(c, dataset_writer_finish(w, "", 0, false, &e) && dataset_open(dir, &d, &e), &e)) {
        int64_t zero = 0;
        if (oracle_ok(c, loader_batch(d, &zero, 1, &t, rng_stream(0, "test"), 0, 1, out, &e), &e))
            oracle_check(c, name, out, (int64_t)size * size * 3);
    }
    fs_remove_tree(dir, NULL);
}

/* "crop32.photo.jpg" is "crop", 32, "photo.jpg"; false: no such name. */
static bool split_name(const char *name, const char *what, int *ret_size, const char **ret_file)
{
    size_t n = strlen(what);
    char *end;
    if (strncmp(name, what, n) != 0)
        return false;
    *ret_size = (int)strtol(name + n, &end, 10);
    *ret_file = end + 1;
    return *ret_size > 0 && *end == '.';
}
/* Everything that the case expects of one file. */
static void check_image(struct oracle_case *c, const char *file, const char *path)
{
    AUTO(map) struct map m = {0};
    AUTO(image) struct image im = {0};
    struct error e = {0};
    const char *name, *of;
    json_t *rule;
    int size;
    if (!oracle_ok(c, map_open(&m, path, &e) && image_decode(m.data, m.size, &im, &e), &e))
        return;
    check_bytes(c, arena_printf(&c->arena, "decoded.%s", file), im.rgb, (int64_t)im.width * im.height * 3);
    json_object_foreach(json_object_get(json_object_get(c->json, "expected"), "tensors"), name, rule)
    {
        if (split_name(name, "crop", &size, &of) && !strcmp(of, file))
            check_crop(c, name, &im, size);
        if (split_name(name, "tensor", &size, &of) && !strcmp(of, file))
            check_tensor(c, name, file, path, size);
    }
}
static void run(struct oracle_case *c)
{
    const char *file, *name;
    json_t *row;
    json_object_foreach(json_object_get(json_object_get(c->json, "expected"), "tensors"), name, row)
    {
        const char *late = strstr(name, "_late_rgb.");
        if (late && !json_object_get(c->seen, name))
            oracle_skip(c, arena_printf(&c->arena, "%.*s_late_rgb.", (int)(late - name), name),
                        "for information: converting to RGB last is not what weft does");
    }
    json_object_foreach(json_object_get(c->json, "images"), file, row)
        check_image(c, file, oracle_path(c, json_string_or(row, "file", "")));
}

int main(void)
{
    return oracle_main("image_preprocess", NULL, run);
}
