/* The text tower and zero-shot logits against stored cases. Every integer input named input_ids* (paddings
 * differ) must give the same expected values. */
#include "base/cleanup.h"
#include "stages/model/clip.h"
#include "tests/golden/oracle.h"
#include <math.h>

struct watch {
    struct oracle_case *c;
    int64_t *end; /* position of the end token */
};
/* Records are zero behind the end token. */
static void check_hidden(struct watch *w, const char *name, const float *x, int64_t batch, int64_t t,
                         int64_t c)
{
    float *cut = arena_floats(&w->c->arena, batch * t * c);
    for (int64_t r = 0; r < batch * t; r++)
        for (int64_t i = 0; i < c; i++)
            cut[r * c + i] = r % t <= w->end[r / t] ? x[r * c + i] : 0;
    oracle_check(w->c, name, cut, batch * t * c);
}
static void see(void *arg, const char *what, int layer, const float *x, int64_t batch, int64_t t, int64_t c)
{
    struct watch *w = arg;
    char name[64];
    snprintf(name, sizeof name, "%s.%d", what, layer);
    if (!strcmp(what, "eot_position"))
        w->end[layer] = (int64_t)x[0];
    else if (oracle_expected(w->c, name))
        check_hidden(w, name, x, batch, t, c);
    else if (oracle_expected(w->c, what))
        oracle_check(w->c, what, x, batch * t * c);
}
/* -> unit text features (N,E), in the case's arena; NULL after a failure. */
static const float *texts(struct oracle_case *c, const struct clip *m, const char *input)
{
    struct error err = {0};
    int64_t shape[8];
    const int64_t *wide = oracle_ints(c, input, shape, NULL);
    int64_t n = shape[0], ctx = shape[1], e = m->config.embed;
    int32_t *ids = arena_alloc(&c->arena, (size_t)(n * ctx) * sizeof *ids);
    for (int64_t i = 0; i < n * ctx; i++)
        ids[i] = (int32_t)wide[i];
    struct watch w = {c, arena_alloc(&c->arena, (size_t)n * sizeof(int64_t))};
    struct observer o = {see, &w};
    struct pass p = {.batch = n, .arena = &c->arena, .observer = &o};
    float *embeds = arena_floats(&c->arena, n * e), *unit = arena_floats(&c->arena, n * e);
    float *norm = arena_floats(&c->arena, n);
    if (!oracle_ok(c, clip_text_forward(m, &p, ids, ctx, embeds, NULL, &err), &err))
        return NULL;
    unit_forward(embeds, n, e, unit, norm);
    oracle_check(c, "text_embeds_unit", unit, n * e);
    oracle_check_ints(c, "eot_position", w.end, n);
    return unit;
}
static void zero_shot(struct oracle_case *c, const struct clip *m, const float *text)
{
    struct error err = {0};
    const struct tensor *want = oracle_expected(c, "logits_per_image");
    int64_t shape[8], e = m->config.embed;
    if (!want)
        return;
    const float *pixels = oracle_floats(c, "pixel_values", shape, NULL);
    int64_t batch = shape[0], classes = want->shape[1];
    struct pass p = {.batch = batch, .arena = &c->arena};
    float *embeds = arena_floats(&c->arena, batch * e), *logits = arena_floats(&c->arena, batch * classes);
    int64_t *best = arena_alloc(&c->arena, (size_t)batch * sizeof *best);
    float scale = expf(m->logit_scale.w[0]);
    if (!oracle_ok(c,
                   clip_image_forward(m, &p, pixels, embeds, NULL, NULL, &err) &&
                       clip_classify(embeds, text, scale, NULL, batch, classes, e, &c->arena, logits, NULL,
                                     NULL, &err),
                   &err))
        return;
    oracle_check(c, "image_embeds", embeds, batch * e);
    oracle_check(c, "logits_per_image", logits, batch * classes);
    for (int64_t b = 0; b < batch; b++)
        for (int64_t k = 1; k < classes; k++)
            if (logits[b * classes + k] > logits[b * classes + best[b]])
                best[b] = k;
    softmax_rows(logits, batch, classes);
    oracle_check(c, "probs", logits, batch * classes);
    oracle_check_ints(c, "prediction", best, batch);
}
static void run(struct oracle_case *c)
{
    AUTO(clip) struct clip *m = NULL;
    if (!oracle_clip(c, &m))
        return;
    const float *text = NULL;
    for (int i = 0; i < safetensors_count(c->inputs); i++) {
        const char *name = safetensors_at(c->inputs, i)->name;
        if (!strncmp(name, "input_ids", 9))
            text = texts(c, m, name);
    }
    if (text)
        zero_shot(c, m, text);
    if (oracle_has_scalar(c, "logit_scale_exp"))
        oracle_check_scalar(c, "logit_scale_exp", exp(m->logit_scale.w[0]));
}
int main(void)
{
    return oracle_main("clip_tiny_text", NULL, run);
}
