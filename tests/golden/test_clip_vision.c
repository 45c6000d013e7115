/* The vision tower against stored cases: every intermediate value that a case lists. */
#include "base/cleanup.h"
#include "stages/model/clip.h"
#include "tests/golden/oracle.h"

static void see(void *arg, const char *what, int layer, const float *x, int64_t batch, int64_t t, int64_t c)
{
    struct oracle_case *o = arg;
    char name[64];
    snprintf(name, sizeof name, "%s.%d", what, layer);
    const char *expected = oracle_expected(o, what) ? what : oracle_expected(o, name) ? name : NULL;
    if (expected)
        oracle_check(o, expected, x, batch * t * c);
}
/* One pass; what it leaves out or saves must not change the result. */
static void pass_checks(struct oracle_case *c, const struct clip *m, const float *pixels, int64_t batch,
                        bool row0, bool train)
{
    struct error err = {0};
    struct observer o = {see, c};
    struct pass p = {.batch = batch, .arena = &c->arena, .train = train, .last_row0 = row0, .observer = &o};
    struct clip_tape *tape;
    int64_t e = m->config.embed;
    float *embeds = arena_floats(&c->arena, batch * e), *unit = arena_floats(&c->arena, batch * e);
    float *norm = arena_floats(&c->arena, batch);
    if (row0)
        p.observer = NULL;
    if (!oracle_ok(c, clip_image_forward(m, &p, pixels, embeds, NULL, &tape, &err), &err))
        return;
    unit_forward(embeds, batch, e, unit, norm);
    oracle_check(c, "image_embeds", embeds, batch * e);
    oracle_check(c, "image_embeds_unit", unit, batch * e);
}
static void run(struct oracle_case *c)
{
    AUTO(clip) struct clip *m = NULL;
    if (!oracle_clip(c, &m))
        return;
    int64_t shape[8];
    const float *pixels = oracle_floats(c, "pixel_values", shape, NULL);
    pass_checks(c, m, pixels, shape[0], false, false);
    pass_checks(c, m, pixels, shape[0], true, false);
    pass_checks(c, m, pixels, shape[0], false, true);
}
int main(void)
{
    return oracle_main("clip_tiny_vision", NULL, run);
}
