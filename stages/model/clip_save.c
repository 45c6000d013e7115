/* A CLIP model as a Hugging Face folder. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/transform.h"
#include "stages/model/clip_parts.h"

static bool save_config(const struct clip *m, const char *dir, enum dtype type, struct error *err)
{
    AUTO(mem) char *path = xprintf("%s/config.json", dir);
    AUTO_JSON j = clip_config_json(&m->config, m->text != NULL, type);
    return json_write(path, j, err);
}
struct saving {
    struct safetensors_writer *writer;
    bool made; /* values come from elsewhere */
};
static void add_weight(void *arg, const char *name, struct mat *w, int rank, const int64_t *shape)
{
    struct saving *s = arg;
    safetensors_writer_add(s->writer, name, DTYPE_F32, rank, shape, s->made ? NULL : w->w);
}
bool clip_save_made(const struct clip *m, const char *dir,
                    const void *(*make)(void *arg, const char *name, struct error *err), void *arg,
                    struct error *err)
{
    AUTO(mem) char *weights = xprintf("%s/model.safetensors", dir);
    if (!save_config(m, dir, DTYPE_F32, err))
        return false;
    struct saving s = {safetensors_writer_new(), make != NULL};
    clip_each_weight((struct clip *)m, add_weight, &s); /* add_weight only reads */
    safetensors_writer_make(s.writer, make, arg);
    return safetensors_write(s.writer, weights, err);
}
bool clip_save(const struct clip *m, const char *dir, struct error *err)
{
    return clip_save_made(m, dir, NULL, NULL, err);
}

/* ---- as stored ---- */
struct storing {
    const struct safetensors *files;
    struct safetensors_writer *out;
    struct arena arena; /* of transposed matrices */
    enum dtype type;    /* of all weights; F32 where they differ */
    bool first, failed;
    struct error *err;
};
static void store_weight(void *arg, const char *name, struct mat *w, int rank, const int64_t *shape)
{
    struct storing *s = arg;
    struct tensor t;
    const char *stored;
    s->failed = s->failed || !clip_stored(s->files, name, rank, shape, &s->arena, &t, &stored, s->err);
    if (s->failed)
        return;
    s->type = s->first || s->type == t.dtype ? t.dtype : DTYPE_F32;
    s->first = false;
    safetensors_writer_add(s->out, name, t.dtype, rank, shape, t.data);
}
bool clip_save_stored(const struct clip *m, const char *dir, struct error *err)
{
    AUTO(mem) char *weights = xprintf("%s/model.safetensors", dir);
    struct storing s = {.files = m->files, .out = safetensors_writer_new(), .first = true, .err = err};
    arena_init(&s.arena);
    clip_each_weight((struct clip *)m, store_weight, &s); /* store_weight only reads */
    if (s.failed)
        safetensors_writer_free(s.out);
    bool ok = !s.failed && safetensors_write(s.out, weights, err) && save_config(m, dir, s.type, err);
    arena_done(&s.arena);
    return ok;
}
bool clip_save_preprocessor(const struct clip *m, const char *dir, struct error *err)
{
    enum { BICUBIC = 3 }; /* as Pillow numbers its filters */
    const double *mean = transform_mean, *std = transform_std;
    int size = (int)m->config.image_size;
    AUTO(mem) char *path = xprintf("%s/preprocessor_config.json", dir);
    AUTO_JSON j = json_pack(
        "{s:s, s:b, s:b, s:b, s:b, s:b, s:i, s:f, s:{s:i}, s:{s:i, s:i}, s:[f,f,f], s:[f,f,f]}",
        "image_processor_type", "CLIPImageProcessor", "do_convert_rgb", 1, "do_resize", 1, "do_center_crop",
        1, "do_rescale", 1, "do_normalize", 1, "resample", BICUBIC, "rescale_factor", 1 / 255.0, "size",
        "shortest_edge", size, "crop_size", "height", size, "width", size, "image_mean", mean[0], mean[1],
        mean[2], "image_std", std[0], std[1], std[2]);
    return json_write(path, j, err);
}
bool clip_weights_file(const char *name)
{
    static const char tail[] = ".safetensors";
    const char *at = strstr(name, tail), *rest = at ? at + strlen(tail) : NULL;
    return rest && (!*rest || !strcmp(rest, ".index.json"));
}
bool clip_has_other_names(const struct clip *m)
{
    return m->files && clip_is_openai(m->files);
}
