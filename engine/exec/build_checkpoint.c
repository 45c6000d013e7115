/* Checkpoints of a task: where it goes on, what its worker keeps, when it stops. The identity of its states
 * is its key; where runs that differ in the number of passes alone share states, without that number. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/checkpoint.h"
#include "engine/exec/build_report.h"
#include <stdlib.h>
#include <string.h>

#define EVERY 5.0 /* seconds between two states: what a kill costs at most, beside the pass it falls into */

/* The canonical text but for the line of the passes. */
static void add_without_passes(const struct task *t, const char *text, struct buf *out)
{
    const struct param *row = t->stage->params;
    while (!(row->flags & PARAM_EPOCHS))
        row++;
    AUTO(mem) char *line = xprintf("\nparam %s = ", row->name);
    const char *at = strstr(text, line);
    size_t front = at ? (size_t)(at + 1 - text) : strlen(text);
    buf_add(out, text, front);
    if (at)
        buf_puts(out, at + 1 + strcspn(at + 1, "\n") + 1);
}

static void identify(const struct task *t, const char *text, struct digest *ret)
{
    AUTO(buf) struct buf b = {0};
    buf_puts(&b, "weft-checkpoint 1\n");
    if (stage_shares(t->stage, t->params))
        add_without_passes(t, text, &b);
    else
        buf_puts(&b, text);
    hash_bytes(b.data, b.len, ret);
}

void checkpoint_begin(struct build *b, struct attempt *a, struct arena *mem, struct job *job)
{
    const struct task *t = a->task;
    struct attempt_checkpoints *c = &a->checkpoints;
    struct checkpoint found = {0};
    struct error err = {0};
    c->passes = stage_passes(t->stage, t->params);
    if (c->passes <= 0)
        return;
    AUTO(mem) char *text = resolve_text(&b->resolver, t, &err);
    if (!text) { /* outside data went away: the task itself will say so */
        c->passes = 0;
        return;
    }
    identify(t, text, &c->id);
    job->stop = arena_printf(mem, "%s/stop", a->dir);
    double every = b->opt.checkpoint_every;
    job->every = every < 0 ? 0 : every > 0 ? every : EVERY;
    const char *file = arena_printf(mem, "%s/resume", a->dir);
    if (!store_checkpoint_find(b->store, &c->id, c->passes, file, &found, &err)) {
        error_context(&err, "no kept state can be read: starting from the beginning");
        report(b, BUILD_WARN, t, err.text);
    } else if (found.step) {
        job->resume = file;
        job->resume_step = c->last = found.step;
        c->before = found.seconds;
    }
}

/* The name comes from the worker: a file of its own folder and nothing else. */
static bool is_plain(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/');
}

void checkpoint_take(struct build *b, struct attempt *a, int64_t step, const char *name, double seconds)
{
    struct attempt_checkpoints *c = &a->checkpoints;
    struct error err = {0};
    if (step < 1 || step > c->passes || !is_plain(name))
        return;
    AUTO(mem) char *path = xprintf("%s/scratch/%s", a->dir, name);
    const struct checkpoint put = {.step = step,
                                   .seconds = seconds + (c->resumed ? c->before : 0),
                                   .keep =
                                       step == c->passes && stage_shares(a->task->stage, a->task->params)};
    bool ok = store_checkpoint_put(b->store, &c->id, &put, path, &err);
    fs->unlink(path);
    if (ok) {
        if (c->last && c->last != step)
            store_checkpoint_drop(b->store, &c->id, c->last);
        c->last = step;
        report_passes(b, BUILD_CHECKPOINT, a, step);
    } else if (!c->failed) {
        c->failed = true;
        error_context(&err, "cannot keep the state after pass %lld", (long long)step);
        report(b, BUILD_WARN, a->task, err.text);
    }
}

void checkpoint_done(struct build *b, const struct attempt *a)
{
    const struct attempt_checkpoints *c = &a->checkpoints;
    if (!c->last)
        return;
    if (stage_shares(a->task->stage, a->task->params))
        store_checkpoint_drop_below(b->store, &c->id, c->last); /* what runs that were killed have left */
    else
        store_checkpoint_drop_all(b->store, &c->id);
}

void checkpoint_stop_all(struct build *b)
{
    for (int i = 0; i < b->n_running; i++) {
        const struct attempt *a = b->running[i];
        struct error err = {0};
        AUTO(mem) char *path = xprintf("%s/stop", a->dir);
        if (a->checkpoints.passes > 0 && !fs_write_file(path, "", 0, &err)) {
            error_context(&err, "cannot be told to stop, and runs to its end");
            report(b, BUILD_WARN, a->task, err.text);
        }
    }
}
