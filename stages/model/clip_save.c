/* A CLIP model as a Hugging Face folder. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/safetensors.h"
#include "stages/model/clip_parts.h"

static void add_weight(void *arg, const char *name, struct mat *w, int rank, const int64_t *shape)
{
    safetensors_writer_add(arg, name, DTYPE_F32, rank, shape, w->w);
}
bool clip_save(const struct clip *m, const char *dir, struct error *err)
{
    AUTO(mem) char *config = xprintf("%s/config.json", dir);
    AUTO(mem) char *weights = xprintf("%s/model.safetensors", dir);
    AUTO_JSON j = clip_config_json(&m->config);
    if (!json_write(config, j, err))
        return false;
    struct safetensors_writer *w = safetensors_writer_new();
    clip_each_weight((struct clip *)m, add_weight, w); /* add_weight only reads */
    return safetensors_write(w, weights, err);
}
