/* A CLIP model as a Hugging Face folder. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/safetensors.h"
#include "stages/model/clip_parts.h"

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
    AUTO(mem) char *config = xprintf("%s/config.json", dir);
    AUTO(mem) char *weights = xprintf("%s/model.safetensors", dir);
    AUTO_JSON j = clip_config_json(&m->config);
    if (!json_write(config, j, err))
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
