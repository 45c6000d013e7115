#include "stages/stage.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const artifact_names[] = {
    [ARTIFACT_NONE] = "nothing",        [ARTIFACT_IMAGES] = "images",
    [ARTIFACT_MODEL] = "model",         [ARTIFACT_FEATURES] = "features",
    [ARTIFACT_RELEVANCE] = "relevance", [ARTIFACT_SELECTION] = "selection",
    [ARTIFACT_ADAPTER] = "adapter",     [ARTIFACT_ROUTER] = "router",
    [ARTIFACT_METRICS] = "metrics",     [ARTIFACT_PREDICTIONS] = "predictions",
    [ARTIFACT_TABLE] = "table",         [ARTIFACT_PICTURE] = "picture",
    [ARTIFACT_FILES] = "files",         [ARTIFACT_ANY] = "anything",
};

const char *artifact_name(enum artifact a)
{
    return artifact_names[a];
}

enum artifact artifact_find(const char *name)
{
    for (int a = ARTIFACT_NONE + 1; a < ARTIFACT_ANY; a++)
        if (strcmp(artifact_names[a], name) == 0)
            return (enum artifact)a;
    return ARTIFACT_NONE;
}

int stage_port_index(const struct port *ports, const char *name)
{
    for (int i = 0; ports && ports[i].name; i++)
        if (strcmp(ports[i].name, name) == 0)
            return i;
    return -1;
}

int stage_port_count(const struct port *ports)
{
    int n = 0;
    while (ports && ports[n].name)
        n++;
    return n;
}

int64_t stage_passes(const struct stage *s, const void *params)
{
    for (const struct param *row = s->params; row && row->name; row++)
        if (row->flags & PARAM_EPOCHS)
            return *(const int64_t *)((const char *)params + row->offset);
    return 0;
}

bool stage_shares(const struct stage *s, const void *params)
{
    return stage_passes(s, params) > 0 && s->prefix && s->prefix(params);
}

static const struct stage_input *input(const struct stage_context *ctx, const char *port, int i)
{
    int p = stage_port_index(ctx->stage->inputs, port);
    return p >= 0 && i >= 0 && i < ctx->inputs[p].n ? &ctx->inputs[p].item[i] : NULL;
}

const char *stage_in(const struct stage_context *ctx, const char *port, int i)
{
    const struct stage_input *in = input(ctx, port, i);
    return in ? in->dir : NULL;
}

const char *stage_in_also(const struct stage_context *ctx, const char *port, int i)
{
    const struct stage_input *in = input(ctx, port, i);
    return in ? in->also_dir : NULL;
}

int stage_in_count(const struct stage_context *ctx, const char *port)
{
    int p = stage_port_index(ctx->stage->inputs, port);
    return p >= 0 ? ctx->inputs[p].n : 0;
}

const char *stage_in_file(struct stage_context *ctx, const char *port, int i, const char *file)
{
    const char *dir = stage_in(ctx, port, i);
    return dir ? arena_printf(ctx->arena, "%s/%s", dir, file) : NULL;
}

const char *stage_out_file(struct stage_context *ctx, const char *port, const char *file)
{
    int p = stage_port_index(ctx->stage->outputs, port);
    return p >= 0 ? arena_printf(ctx->arena, "%s/%s", ctx->outputs[p], file) : NULL;
}

void stage_progress(struct stage_context *ctx, double done, double total, const char *unit)
{
    if (ctx->progress)
        ctx->progress(ctx, done, total, unit);
}

void stage_metric(struct stage_context *ctx, const char *name, double value, int64_t step)
{
    if (ctx->metric)
        ctx->metric(ctx, name, value, step);
}

void stage_warn(struct stage_context *ctx, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (ctx->warn)
        ctx->warn(ctx, text);
}

int64_t stage_resumed(struct stage_context *ctx)
{
    if (ctx->resumed)
        ctx->resumed(ctx);
    return ctx->resume_step;
}

bool stage_checkpoint(struct stage_context *ctx, int64_t step,
                      bool (*save)(void *arg, const char *path, struct error *err), void *arg,
                      struct error *err)
{
    struct error why = {0};
    enum stage_due due = ctx->checkpoint ? ctx->due(ctx, step) : STAGE_GO_ON;
    if (due == STAGE_GO_ON)
        return true;
    AUTO(mem) char *name = xprintf("checkpoint.%lld", (long long)step);
    AUTO(mem) char *path = xprintf("%s/%s", ctx->scratch, name);
    if (!save(arg, path, &why)) {
        fs->unlink(path);
        if (!ctx->checkpoint_failed)
            stage_warn(ctx, "cannot keep the state after pass %lld: %s", (long long)step, why.text);
        ctx->checkpoint_failed = true;
        return true;
    }
    ctx->checkpoint(ctx, step, name);
    return due == STAGE_KEEP ||
           error_set(err, NULL, ERROR_INTERRUPT, "stopped after pass %lld", (long long)step);
}
