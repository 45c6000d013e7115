/* A small world for stages that train: generated images, parameters as JSON, and the bytes of what was made.
 */
#ifndef TESTS_UNIT_STAGE_WORLD_H
#define TESTS_UNIT_STAGE_WORLD_H
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/dataset.h"
#include "stages/io/image.h"
#include "tests/test.h"
#include "tests/unit/stage_run.h"

/* Parameters of a seed model that trains in no time. */
#define WORLD_SEED                                                                                           \
    "\"image_size\": 8, \"patch\": 4, \"width\": 16, \"layers\": 2, \"heads\": 2, \"embed\": 8, "            \
    "\"text_width\": 8, \"text_layers\": 1, \"text_heads\": 2, \"context\": 40, \"batch\": 7"

/* Picture k of kind c as image `number` of a class. */
static inline void world_image(const char *dir, const char *class, int number, int c, int k)
{
    uint8_t rgb[16 * 16 * 3], *png;
    size_t n;
    AUTO(mem) char *folder = xprintf("%s/source/%s", dir, class);
    AUTO(mem) char *path = xprintf("%s/%d.png", folder, number);
    for (int i = 0; i < 16 * 16 * 3; i++)
        rgb[i] = (uint8_t)(c * 60 * (i % 3 == c % 3) + (i * 7 + k * 13) % 32);
    assert_true(image_encode_png(rgb, 16, 16, &png, &n, NULL));
    assert_true(fs_mkdirs(folder, NULL) && fs_write_file(path, png, n, NULL));
    free(png);
}
/* Classes "c<shift>", ..., `each` images each. */
static inline void world_data(const char *dir, int classes, int shift, int each)
{
    struct dataset_writer *w = dataset_writer_new(dir);
    for (int c = shift; c < shift + classes; c++)
        for (int k = 0; k < each; k++) {
            AUTO(mem) char *class = xprintf("c%d", c);
            AUTO(mem) char *id = xprintf("%s/%d.png", class, k);
            world_image(dir, class, k, c, k);
            dataset_writer_add(w, id, dataset_writer_class(w, class), -1, 0);
        }
    assert_true(dataset_writer_finish(w, "train", 0, false, NULL));
}
static inline void world_set(struct stage_run *r, const char *json)
{
    struct error err = {0};
    AUTO_JSON all = json_parse(json, strlen(json), "parameters", &err);
    const char *name;
    json_t *value;
    assert_non_null(all);
    json_object_foreach(all, name, value)
        assert_true(param_set(param_find(r->ctx.stage->params, name), r->params, value, &r->arena, &r->err));
}
static inline void world_go(struct stage_run *r)
{
    if (!stage_run_go(r))
        fail_msg("%s: %s", r->ctx.stage->name, r->err.text);
}
/* All files of an output. */
static inline void world_bytes(struct stage_run *r, int port, struct buf *out)
{
    char **list, *text;
    size_t n, len;
    assert_true(fs_list_tree(r->outputs[port], &list, &n, NULL));
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        AUTO(mem) char *path = xprintf("%s/%s", r->outputs[port], list[i]);
        assert_true(fs_read_file(path, &text, &len, NULL));
        buf_printf(out, "%d/%s %zu\n", port, list[i], len);
        buf_add(out, text, len);
        free(text);
    }
    fs_list_free(list, n);
}
#endif
