/* The stored CLIP models under OpenAI's names: the same bits as under Hugging Face's. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/model/clip.h"
#include "tests/golden/oracle.h"
#include "tests/unit/openai_names.h"

/* The case's model once more, in a folder of its own. */
static bool renamed(struct oracle_case *c, const struct clip *m, const char *dir, struct clip **ret)
{
    struct error err = {0};
    AUTO(mem) char *config = NULL;
    size_t n;
    return oracle_ok(
        c,
        openai_write(m->files, arena_printf(&c->arena, "%s/model.safetensors", dir), &err) &&
            fs_read_file(arena_printf(&c->arena, "%s/config.json", c->model), &config, &n, &err) &&
            fs_write_file(arena_printf(&c->arena, "%s/config.json", dir), config, n, &err) &&
            clip_open(dir, ret, &err) &&
            (clip_has_other_names(*ret) || error_set(&err, NULL, ERROR_INPUT, "not OpenAI's names")),
        &err);
}
static const float *image(struct oracle_case *c, const struct clip *m, const char *input, int64_t *n)
{
    struct error err = {0};
    int64_t shape[8];
    const float *pixels = oracle_floats(c, input, shape, NULL);
    struct pass p = {.batch = shape[0], .arena = &c->arena};
    float *y = arena_floats(&c->arena, *n = shape[0] * m->config.embed);
    return oracle_ok(c, clip_image_forward(m, &p, pixels, y, NULL, NULL, &err), &err) ? y : NULL;
}
static const float *text(struct oracle_case *c, const struct clip *m, const char *input, int64_t *n)
{
    struct error err = {0};
    int64_t shape[8];
    const int64_t *wide = oracle_ints(c, input, shape, NULL);
    int32_t *ids = arena_alloc(&c->arena, (size_t)(shape[0] * shape[1]) * sizeof *ids);
    for (int64_t i = 0; i < shape[0] * shape[1]; i++)
        ids[i] = (int32_t)wide[i];
    struct pass p = {.batch = shape[0], .arena = &c->arena};
    float *y = arena_floats(&c->arena, *n = shape[0] * m->config.embed);
    return oracle_ok(c, clip_text_forward(m, &p, ids, shape[1], y, NULL, &err), &err) ? y : NULL;
}
static void same(struct oracle_case *c, const char *input, const struct clip *a, const struct clip *b,
                 const float *(*forward)(struct oracle_case *, const struct clip *, const char *, int64_t *))
{
    int64_t n;
    const float *x = forward(c, a, input, &n), *y = forward(c, b, input, &n);
    c->checked++;
    if (x && y && memcmp(x, y, (size_t)n * sizeof *x) != 0)
        oracle_fail(c, "%s: another result under OpenAI's names", input);
}
static void run(struct oracle_case *c)
{
    AUTO(clip) struct clip *m = NULL, *other = NULL;
    char dir[] = "/tmp/weft-openai-XXXXXX";
    if (!oracle_clip(c, &m) || !mkdtemp(dir))
        return;
    if (renamed(c, m, dir, &other)) {
        same(c, "pixel_values", m, other, image);
        if (m->text)
            same(c, "input_ids", m, other, text);
    }
    fs_remove_tree(dir, NULL);
    oracle_skip(c, "", "compared with the same model under other names");
}
int main(void)
{
    int vision = oracle_main("clip_tiny_vision", NULL, run),
        text_too = oracle_main("clip_tiny_text", NULL, run);
    return vision == 77 ? text_too : text_too == 77 ? vision : vision | text_too;
}
