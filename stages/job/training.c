/* A state is a safetensors file: "K.I.weight", "K.I.first" and "K.I.second" (N) F32 for matrix I of optimiser
 * K; metadata "passes" and "steps.K". */
#include "stages/job/training.h"
#include "base/cleanup.h"
#include "stages/io/safetensors.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIMS 2

/* ---- one walk for writing, checking and reading ---- */
struct walk {
    const struct training *g;
    /* What is done with each array; false ends the walk. */
    bool (*see)(struct walk *w, const char *name, float *x, int64_t n, struct error *err);
    struct safetensors_writer *out;
    const struct safetensors *in;
    int seen;
};
static bool walk_matrix(struct walk *w, int k, int i, const struct optim_state *s, struct error *err)
{
    struct {
        const char *name;
        float *x;
    } part[] = {{"weight", s->weight}, {"first", s->first}, {"second", s->second}};
    for (size_t p = 0; p < sizeof part / sizeof *part; p++) {
        char name[64];
        snprintf(name, sizeof name, "%d.%d.%s", k, i, part[p].name);
        if (part[p].x && !w->see(w, name, part[p].x, s->n, err))
            return false;
        w->seen += part[p].x != NULL;
    }
    return true;
}
static bool walk(struct walk *w, struct error *err)
{
    struct optim_state s;
    w->seen = 0;
    for (int k = 0; k < OPTIMS && w->g->optim[k]; k++)
        for (int i = 0; optim_state(w->g->optim[k], i, &s); i++)
            if (!walk_matrix(w, k, i, &s, err))
                return false;
    return true;
}

/* ---- writing ---- */
static bool add(struct walk *w, const char *name, float *x, int64_t n, struct error *err)
{
    safetensors_writer_add(w->out, name, DTYPE_F32, 1, &n, x);
    return true;
}
static void add_number(struct safetensors_writer *w, const char *key, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    safetensors_writer_meta(w, key, text);
}
static void steps_name(int k, char ret[32])
{
    snprintf(ret, 32, "steps.%d", k);
}
struct saving {
    const struct training *g;
    int64_t passes;
};
static bool save(void *arg, const char *path, struct error *err)
{
    const struct saving *s = arg;
    struct walk w = {.g = s->g, .see = add, .out = safetensors_writer_new()};
    char name[32];
    add_number(w.out, "passes", s->passes);
    for (int k = 0; k < OPTIMS && s->g->optim[k]; k++) {
        steps_name(k, name);
        add_number(w.out, name, optim_steps(s->g->optim[k]));
    }
    return walk(&w, err) && safetensors_write(w.out, path, err);
}
bool training_write(const struct training *g, int64_t passes, const char *path, struct error *err)
{
    struct saving s = {g, passes};
    return save(&s, path, err);
}
bool training_passed(const struct training *g, int64_t passes, struct error *err)
{
    struct saving s = {g, passes};
    return stage_checkpoint(g->ctx, passes, save, &s, err);
}

/* ---- reading ---- */
static bool fits(struct walk *w, const char *name, float *x, int64_t n, struct error *err)
{
    const struct tensor *t = safetensors_want(w->in, name, 1, &n, err);
    return t && (t->dtype == DTYPE_F32 || error_set(err, NULL, ERROR_INPUT, "'%s' is not F32", name));
}
static bool copy(struct walk *w, const char *name, float *x, int64_t n, struct error *err)
{
    memcpy(x, safetensors_find(w->in, name)->data, (size_t)n * sizeof *x);
    return true;
}
static bool get_number(const struct safetensors *f, const char *key, int64_t *ret, struct error *err)
{
    const char *text = safetensors_metadata(f, key);
    char *end = NULL;
    *ret = text ? strtoll(text, &end, 10) : -1;
    return (end && end != text && !*end && *ret >= 0) ||
           error_set(err, NULL, ERROR_INPUT, "'%s' is no number in it", key);
}
static bool take(const struct training *g, const struct safetensors *f, struct error *err)
{
    struct walk w = {.g = g, .see = fits, .in = f};
    int64_t steps[OPTIMS] = {0};
    char name[32];
    for (int k = 0; k < OPTIMS && g->optim[k]; k++) {
        steps_name(k, name);
        if (!get_number(f, name, &steps[k], err))
            return false;
    }
    if (!walk(&w, err))
        return false;
    if (w.seen != safetensors_count(f))
        return error_set(err, NULL, ERROR_INPUT, "it has %d tensors, not %d", safetensors_count(f), w.seen);
    w.see = copy;
    for (int k = 0; k < OPTIMS && g->optim[k]; k++)
        optim_set_steps(g->optim[k], steps[k]);
    return walk(&w, err);
}
bool training_read(const struct training *g, const char *path, struct error *err)
{
    AUTO(safetensors) struct safetensors *f = NULL;
    return safetensors_open(path, &f, err) && take(g, f, err);
}
static bool load(const struct training *g, const struct safetensors *f, struct error *err)
{
    int64_t passes;
    if (!get_number(f, "passes", &passes, err))
        return false;
    if (passes != g->ctx->resume_step)
        return error_set(err, NULL, ERROR_INPUT, "it is the state after pass %lld", (long long)passes);
    return take(g, f, err);
}
int64_t training_resume(const struct training *g)
{
    struct stage_context *ctx = g->ctx;
    AUTO(safetensors) struct safetensors *f = NULL;
    struct error why = {0};
    if (!ctx->resume)
        return 0;
    if (safetensors_open(ctx->resume, &f, &why) && load(g, f, &why))
        return stage_resumed(ctx);
    stage_warn(ctx, "the state kept after pass %lld does not fit: starting from the beginning (%s)",
               (long long)ctx->resume_step, why.text);
    return 0;
}

/* ---- train_run ---- */
static void progress(void *arg, int64_t done, int64_t total)
{
    const struct training *g = arg;
    stage_progress(g->ctx, (double)done, (double)total, "samples");
}
static void metric(void *arg, const char *name, double value, int64_t step)
{
    const struct training *g = arg;
    stage_metric(g->ctx, name, value, step);
}
static bool passed(void *arg, int64_t passes, struct error *err)
{
    return training_passed(arg, passes, err);
}
bool training_run(struct stage_context *ctx, struct train *t, struct error *err)
{
    struct training *g = arena_alloc(ctx->arena, sizeof *g);
    *g = (struct training){ctx, {t->optim, t->balance}};
    t->progress = progress;
    t->metric = metric;
    t->passed = passed;
    t->arg = g;
    t->epoch = training_resume(g);
    return train_run(t, err);
}
