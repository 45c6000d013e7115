/* Run a stage without inputs on its own: parameters from JSON over the defaults, one output folder. */
#ifndef TESTS_UNIT_STAGE_ALONE_H
#define TESTS_UNIT_STAGE_ALONE_H
#include "base/json.h"
#include "base/mem.h"
#include "stages/stage.h"
#include <stdio.h>

extern const struct stage stage_images, stage_synthetic;

static inline void quiet_progress(struct stage_context *ctx, double done, double total, const char *unit)
{
}
static inline void quiet_metric(struct stage_context *ctx, const char *name, double value, int64_t step)
{
}
static inline void quiet_warn(struct stage_context *ctx, const char *text)
{
    ++*(int *)ctx->engine;
}

/* *warnings counts the warnings, may be NULL. Quotes ' in json stand for ". */
static inline bool stage_alone(const struct stage *stage, const char *json, const char *out, int threads,
                               int *warnings, struct error *err)
{
    struct arena arena;
    int count = 0;
    char text[1024];
    int n = snprintf(text, sizeof text, "%s", json);
    for (char *p = text; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    arena_init(&arena);
    void *params = arena_alloc(&arena, stage->params_size);
    param_defaults(stage->params, params, &arena);
    json_t *j = json_parse(text, (size_t)n, "parameters", err);
    bool ok = j != NULL;
    const char *key;
    json_t *value;
    json_object_foreach(j, key, value) ok =
        ok && param_set(param_find(stage->params, key), params, value, &arena, err);
    struct stage_context ctx = {.stage = stage,
                                .params = params,
                                .outputs = &out,
                                .scratch = out,
                                .threads = threads,
                                .arena = &arena,
                                .progress = quiet_progress,
                                .metric = quiet_metric,
                                .warn = quiet_warn,
                                .engine = &count};
    ok = ok && (!stage->check || stage->check(params, err)) && stage->run(&ctx, err);
    if (warnings)
        *warnings = count;
    json_decref(j);
    arena_done(&arena);
    return ok;
}
#endif
