/* Router vectors of an expert over the CLIP vision tower against stored cases: the mean over all samples,
 * whatever the batch size, and the mean over full batches alone. */
#include "base/cleanup.h"
#include "stages/model/moe_vectors.h"
#include "stages/model/peft.h"
#include "tests/golden/oracle.h"
#include <stdio.h>

/* Means over the first `count` samples, `batch` at a time, under names "<prefix><layer>". */
static void means(struct oracle_case *c, const struct clip *m, int64_t count, int64_t batch,
                  const char *prefix)
{
    struct error err = {0};
    int64_t shape[8], e = m->config.embed;
    const float *pixels = oracle_floats(c, "pixel_values", shape, NULL);
    struct moe_vectors *v = moe_vectors_new(&c->arena, m->config.vision.layers, m->config.vision.width);
    struct observer o = {moe_vectors_see, v};
    for (int64_t at = 0; at < count; at += batch) {
        int64_t n = count - at < batch ? count - at : batch;
        struct pass p = {.batch = n, .arena = &c->arena, .observer = &o};
        const float *from = pixels + at * shape[1] * shape[2] * shape[3];
        if (!oracle_ok(c, clip_image_forward(m, &p, from, arena_floats(&c->arena, n * e), NULL, NULL, &err),
                       &err))
            return;
    }
    moe_vectors_finish(v);
    for (int64_t l = 0; l < v->layers; l++)
        oracle_check_double(c, arena_printf(&c->arena, "%s%lld", prefix, (long long)l),
                            v->mean + l * v->width, v->width);
}
static void run(struct oracle_case *c)
{
    AUTO(clip) struct clip *m = NULL;
    struct adapter_set *adapter;
    struct error err = {0};
    int64_t samples = (int64_t)oracle_number(c, "samples"),
            batch = (int64_t)oracle_number(c, "released_batch_size");
    if (!oracle_clip(c, &m) ||
        !oracle_ok(c,
                   peft_load(oracle_path(c, json_string_or(c->json, "adapter", "adapter")), m, false,
                             &c->arena, &adapter, &err),
                   &err))
        return;
    clip_attach(m, adapter);
    means(c, m, samples, samples, "mean.");
    means(c, m, samples, 3, "mean.");
    if (samples >= batch)
        means(c, m, samples / batch * batch, batch, "released.");
}
static bool wanted(const struct oracle_case *c)
{
    if (!oracle_is_clip(c))
        printf("skip %s: not a CLIP model\n", c->name);
    return oracle_is_clip(c);
}
int main(void)
{
    return oracle_main("router_embedding", wanted, run);
}
