/* The stages expert, merge and router, run in the tiny world. */
#ifndef TESTS_UNIT_MOE_STAGES_H
#define TESTS_UNIT_MOE_STAGES_H
#include "tests/unit/moe_world.h"

extern const struct stage stage_expert, stage_merge, stage_router;

static double first_loss, last_loss;
static inline void keep_loss(struct stage_context *ctx, const char *name, double value, int64_t step)
{
    if (!strcmp(name, "loss"))
        *(step == 1 ? &first_loss : &last_loss) = value;
}
static double progressed;
static inline void keep_progress(struct stage_context *ctx, double done, double total, const char *unit)
{
    assert_true(done <= total);
    progressed = done / total;
}
static inline void begin(struct stage_run *r, const struct stage *s, int threads)
{
    stage_run_begin(r, s);
    r->ctx.threads = threads;
    r->ctx.metric = keep_loss;
    r->ctx.progress = keep_progress;
}
/* Parameters as a JSON object in which ' stands for ". */
static inline void set_all(struct stage_run *r, const char *json)
{
    char *text = arena_strdup(&r->arena, json);
    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    AUTO_JSON all = json_loads(text, 0, NULL);
    const char *name;
    json_t *value;
    assert_non_null(all);
    json_object_foreach(all, name, value)
        assert_true(param_set(param_find(r->ctx.stage->params, name), r->params, value, &r->arena, &r->err));
}
static inline void begin_expert(struct stage_run *r, const char *client, const char *proxy, int threads)
{
    begin(r, &stage_expert, threads);
    stage_run_connect(r, "model", path("seed"));
    stage_run_connect(r, "private", path(client));
    if (proxy) {
        stage_run_connect(r, "public", path("public"));
        stage_run_connect(r, "proxy", path(proxy));
    }
    stage_run_set(r, "rank", "4");
    stage_run_set(r, "alpha", "8");
    stage_run_set(r, "batch", "8");
    stage_run_set(r, "micro_batch", "3");
    stage_run_set(r, "epochs", "4");
    stage_run_set(r, "nesterov", "true");
}
static inline void go(struct stage_run *r)
{
    if (!stage_run_go(r))
        fail_msg("%s", r->err.text);
}
static inline void keep_folder(struct stage_run *r, int port, const char *as)
{
    fs_remove_tree(path(as), NULL);
    assert_int_equal(rename(r->outputs[port], path(as)), 0);
}
static inline char *file_bytes(const char *name, size_t *n)
{
    char *bytes;
    if (!fs_read_file(name, &bytes, n, NULL))
        fail_msg("no file %s", name);
    return bytes;
}
static inline void same_file(const char *a, const char *b)
{
    size_t n, m;
    AUTO(mem) char *one = file_bytes(a, &n);
    AUTO(mem) char *two = file_bytes(b, &m);
    assert_true(n == m && !memcmp(one, two, n));
}
/* adapter.K and vectors.K of both clients. */
static inline void make_experts(const char *params)
{
    for (int k = 1; k <= EXPERTS; k++) {
        struct stage_run r;
        const char *name = k == 1 ? "one" : "two";
        begin_expert(&r, name, arena_printf(&arena, "proxy.%s", name), 1);
        set_all(&r, params);
        go(&r);
        keep_folder(&r, 0, arena_printf(&arena, "adapter.%d", k));
        keep_folder(&r, 1, arena_printf(&arena, "vectors.%d", k));
        stage_run_end(&r);
    }
}
static inline void begin_merge(struct stage_run *r)
{
    begin(r, &stage_merge, 2);
    stage_run_connect(r, "model", path("seed"));
    for (int k = 1; k <= EXPERTS; k++) {
        stage_run_connect(r, "experts", path(arena_printf(&arena, "adapter.%d", k)));
        r->inputs[stage_port_index(stage_merge.inputs, "experts")].item[k - 1].also_dir =
            path(arena_printf(&arena, "vectors.%d", k));
    }
}
static inline void begin_router(struct stage_run *r, const char *model, int threads)
{
    begin(r, &stage_router, threads);
    stage_run_connect(r, "model", path(model));
    stage_run_connect(r, "public", path("public"));
    stage_run_connect(r, "proxies", path("proxy.one"));
    stage_run_connect(r, "proxies", path("proxy.two"));
    stage_run_set(r, "batch", "5");
    stage_run_set(r, "lr", "0.01");
    stage_run_set(r, "epochs", "6");
}
static inline void fails(struct stage_run *r, const char *message)
{
    assert_false(stage_run_go(r));
    if (r->err.code != ERROR_INPUT || !strstr(r->err.text, message))
        fail_msg("no word of '%s' in: %s", message, r->err.text);
    stage_run_end(r);
}
#endif
