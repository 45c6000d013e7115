/* A tiny world for tests of experts and unified models: a seed model, public images, two clients, and the
 * stages expert, merge and router over them. */
#ifndef TESTS_UNIT_MOE_WORLD_H
#define TESTS_UNIT_MOE_WORLD_H
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/dataset.h"
#include "stages/io/tokenizer.h"
#include "stages/model/clip.h"
#include <unistd.h>

#include "tests/test.h"
#include "tests/unit/stage_run.h"

enum { LAYERS = 2, WIDTH = 16, EXPERTS = 2 };
static const struct clip_config tiny = {
    .vision = {.width = WIDTH, .layers = LAYERS, .heads = 2, .mlp = 32, .eps = 1e-5},
    .text = {.width = 8, .layers = 1, .heads = 2, .mlp = 16, .eps = 1e-5},
    .image_size = 8,
    .patch = 4,
    .channels = 3,
    .vocab = TOKENIZER_BYTES_VOCAB,
    .context = 40,
    .bos = TOKENIZER_BYTES_VOCAB - 2,
    .eos = TOKENIZER_BYTES_VOCAB - 1,
    .embed = 8};
static char root[] = "/tmp/weft-unified-XXXXXX";
static struct arena arena; /* of the program */

static inline const char *path(const char *name)
{
    return arena_printf(&arena, "%s/%s", root, name);
}
static inline const char *folder(const char *name)
{
    assert_true(fs_mkdirs(path(name), NULL));
    return path(name);
}

/* ---- a world: three sets of flat images, the class is the colour ---- */
static const uint8_t palette[6][3] = {{220, 20, 20},  {20, 220, 20},  {20, 20, 220},
                                      {230, 230, 20}, {20, 230, 230}, {230, 20, 230}};
static const char *const colour[6] = {"red", "green", "blue", "yellow", "cyan", "pink"};
static inline void write_set(const char *name, int first, int classes, int each)
{
    const char *dir = folder(name);
    struct dataset_writer *w = dataset_writer_new(dir);
    for (int c = first; c < first + classes; c++)
        for (int k = 0; k < each; k++) {
            uint8_t rgb[12 * 12 * 3], *png;
            size_t n;
            const char *id = arena_printf(&arena, "%s/%d.png", colour[c], k);
            for (int i = 0; i < 12 * 12 * 3; i++)
                rgb[i] = (uint8_t)(palette[c][i % 3] + (i * 7 + k * 13) % 16);
            assert_true(image_encode_png(rgb, 12, 12, &png, &n, NULL));
            assert_true(fs_mkdirs(arena_printf(&arena, "%s/source/%s", dir, colour[c]), NULL));
            assert_true(fs_write_file(arena_printf(&arena, "%s/source/%s", dir, id), png, n, NULL));
            free(png);
            dataset_writer_add(w, id, dataset_writer_class(w, colour[c]), -1, 0);
        }
    assert_true(dataset_writer_finish(w, "train", 0, false, NULL));
}
static inline void write_selection(const char *name, const char *json)
{
    assert_true(
        fs_write_file(arena_printf(&arena, "%s/selection.json", folder(name)), json, strlen(json), NULL));
}
static inline int make_world(void **state)
{
    struct clip *m;
    assert_non_null(mkdtemp(root));
    arena_init(&arena);
    assert_true(clip_new(&tiny, 5, &m, NULL));
    assert_true(clip_save(m, folder("seed"), NULL));
    assert_true(tokenizer_save_bytes(path("seed"), NULL));
    clip_free(m);
    write_set("public", 0, 4, 5);
    write_set("one", 2, 2, 6);
    write_set("two", 4, 2, 6);
    write_selection("proxy.one", "{\"ids\": [\"red/1.png\", \"blue/0.png\", \"green/2.png\"]}");
    write_selection("proxy.two", "{\"ids\": [\"yellow/1.png\", \"blue/0.png\", \"red/4.png\"]}");
    write_selection("proxy.bad", "{\"ids\": [\"red/1.png\", \"nowhere.png\"]}");
    return 0;
}
static inline int end_world(void **state)
{
    fs_remove_tree(root, NULL);
    arena_done(&arena);
    return 0;
}
#endif
