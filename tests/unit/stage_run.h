/* Runs one stage by hand, for tests: inputs and outputs are folders of a temporary folder of its own. */
#ifndef TESTS_UNIT_STAGE_RUN_H
#define TESTS_UNIT_STAGE_RUN_H
#include "base/fs.h"
#include "base/json.h"
#include "stages/stage.h"

struct stage_run {
    char dir[64]; /* "/tmp/weft-test-XXXXXX" */
    struct arena arena;
    struct stage_context ctx;
    struct stage_inputs inputs[8];
    const char *outputs[8];
    void *params;
    struct error err;
    int warnings;
};
static void stage_run_warn(struct stage_context *ctx, const char *text)
{
    struct stage_run *r = ctx->engine;
    (void)text;
    r->warnings++;
}
/* A stage with its default parameters and one empty output folder a port. */
static inline void stage_run_begin(struct stage_run *r, const struct stage *s)
{
    *r = (struct stage_run){.dir = "/tmp/weft-test-XXXXXX"};
    if (!mkdtemp(r->dir))
        abort();
    arena_init(&r->arena);
    r->params = arena_alloc(&r->arena, s->params_size);
    param_defaults(s->params, r->params, &r->arena);
    for (int i = 0; i < stage_port_count(s->outputs); i++) {
        r->outputs[i] = arena_printf(&r->arena, "%s/out.%s", r->dir, s->outputs[i].name);
        if (!fs_mkdirs(r->outputs[i], NULL))
            abort();
    }
    r->ctx = (struct stage_context){.stage = s,
                                    .params = r->params,
                                    .inputs = r->inputs,
                                    .outputs = r->outputs,
                                    .scratch = r->dir,
                                    .threads = 2,
                                    .arena = &r->arena,
                                    .warn = stage_run_warn,
                                    .engine = r};
}
/* A parameter, from JSON text: stage_run_set(r, "method", "\"random\""). */
static inline void stage_run_set(struct stage_run *r, const char *name, const char *value)
{
    AUTO_JSON v = json_loads(value, JSON_DECODE_ANY, NULL);
    if (!param_set(param_find(r->ctx.stage->params, name), r->params, v, &r->arena, &r->err))
        abort();
}
/* An existing folder as the next reference of an input port. */
static inline void stage_run_connect(struct stage_run *r, const char *port, const char *dir)
{
    struct stage_inputs *in = &r->inputs[stage_port_index(r->ctx.stage->inputs, port)];
    struct stage_input *item = arena_alloc(&r->arena, (size_t)(in->n + 1) * sizeof *item);
    if (in->n > 0)
        memcpy(item, in->item, (size_t)in->n * sizeof *item);
    item[in->n++] = (struct stage_input){dir, NULL};
    in->item = item;
}
/* A new, empty folder as the next reference of an input port; returns it. */
static inline const char *stage_run_input(struct stage_run *r, const char *port)
{
    int at = stage_port_index(r->ctx.stage->inputs, port);
    const char *dir = arena_printf(&r->arena, "%s/in.%s.%d", r->dir, port, r->inputs[at].n);
    if (!fs_mkdirs(dir, NULL))
        abort();
    stage_run_connect(r, port, dir);
    return dir;
}
/* Write text as DIR/NAME. */
static inline void stage_run_file(struct stage_run *r, const char *dir, const char *name, const char *text)
{
    if (!fs_write_file(arena_printf(&r->arena, "%s/%s", dir, name), text, strlen(text), &r->err))
        abort();
}
static inline bool stage_run_go(struct stage_run *r)
{
    return r->ctx.stage->run(&r->ctx, &r->err);
}
/* An output file as JSON (new reference) or as text (malloc'd); NULL when it is absent. */
static inline json_t *stage_run_json(struct stage_run *r, const char *port, const char *file)
{
    return json_read(stage_out_file(&r->ctx, port, file), &r->err);
}
static inline char *stage_run_text(struct stage_run *r, const char *port, const char *file)
{
    char *text = NULL;
    return fs_read_file(stage_out_file(&r->ctx, port, file), &text, NULL, &r->err) ? text : NULL;
}
static inline void stage_run_end(struct stage_run *r)
{
    fs_remove_tree(r->dir, NULL);
    arena_done(&r->arena);
}
#endif
