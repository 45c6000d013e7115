/* The remote tier: what is to be computed is asked for first, and what was computed is offered. Tasks that
 * see private data are neither: their results stay here, and so do the keys, which tell of the data. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cache/remote.h"
#include "engine/exec/build_report.h"
#include <poll.h>

#define SAY_AFTER 2.0  /* seconds that uploads are waited for without a word */
#define SAY_EVERY 10.0 /* seconds */

/* What a task does, whatever its inputs: tasks of one key have it in common. */
static struct digest work_of(const struct task *t)
{
    struct digest d;
    AUTO(buf) struct buf text = {0};
    buf_printf(&text, "%s %d\n", t->stage->name, t->stage->version);
    param_canonical(t->stage->params, t->params, &text);
    hash_bytes(text.data, text.len, &d);
    return d;
}

/* Labels are no part of a key: another task may have the same one, and a label. While its key is not known it
 * may be this one. */
static bool is_private(const struct build *b, const struct task *t)
{
    const struct digest *key = &b->resolver.task[t->index].key;
    struct digest work = work_of(t);
    bool found = t->n_labels > 0;
    for (int i = 0; !found && i < b->n_labelled; i++) {
        const struct resolved *x = &b->resolver.task[b->labelled[i].task];
        found = x->has_key ? digest_equal(&x->key, key) : digest_equal(&b->labelled[i].work, &work);
    }
    return found;
}

void tier_begin(struct build *b)
{
    if (!b->opt.remote)
        return;
    b->asked = xcalloc((size_t)b->spec->n + 1, sizeof *b->asked);
    b->answered = xcalloc((size_t)b->spec->n + 1, sizeof *b->answered);
    b->labelled = xcalloc((size_t)b->spec->n + 1, sizeof *b->labelled);
    for (int i = 0; i < b->spec->n; i++)
        if (b->spec->task[i]->n_labels > 0)
            b->labelled[b->n_labelled++] = (struct build_labelled){i, work_of(b->spec->task[i])};
}

void tier_plan(struct build *b)
{
    b->n_asked = 0;
    for (int i = 0; b->opt.remote && i < b->spec->n; i++)
        b->answered[i] = false;
}

bool tier_ask(struct build *b, const struct task *t)
{
    if (!b->opt.remote || !(b->opt.remote_mode & REMOTE_READ) || b->answered[t->index] || is_private(b, t))
        return false;
    b->asked[b->n_asked++] = t->index;
    remote_want(b->opt.remote, &b->resolver.task[t->index].key);
    return true;
}

static void take_answer(struct build *b, const struct remote_answer *a)
{
    int n = b->n_asked;
    char hex[DIGEST_HEX];
    b->n_asked = 0; /* looking up asks for no more: what has the same key waits for this one */
    for (int i = 0; i < n; i++) {
        int task = b->asked[i];
        if (!digest_equal(&b->resolver.task[task].key, &a->key)) {
            b->asked[b->n_asked++] = task;
            continue;
        }
        b->answered[task] = true;
        b->result[task].remote = a->hit;
        json_object_del(b->pending, digest_hex(&a->key, hex));
        if (!b->stopping && plan_state(b->plan, task) == TASK_READY) /* else skipped meanwhile */
            build_look_up(b, task);
    }
}

void tier_take(struct build *b)
{
    struct remote_answer a;
    while (b->opt.remote && remote_next(b->opt.remote, &a))
        if (a.warning[0])
            report(b, BUILD_WARN, NULL, a.warning);
        else
            take_answer(b, &a);
}

int tier_fd(const struct build *b)
{
    return b->opt.remote ? remote_fd(b->opt.remote) : -1;
}

void tier_offer(struct build *b, const struct task *t)
{
    if (b->opt.remote && (b->opt.remote_mode & REMOTE_WRITE) && !is_private(b, t))
        remote_offer(b->opt.remote, &b->resolver.task[t->index].key);
}

size_t tier_uploads(const struct build *b)
{
    struct remote_stats s = {0};
    if (b->opt.remote)
        remote_stats_of(b->opt.remote, &s);
    return s.waiting;
}

void tier_finish(struct build *b)
{
    double began = clock_seconds(), said = began - SAY_EVERY + SAY_AFTER;
    while (tier_uploads(b) > 0 && !b->interrupts) {
        struct pollfd fds[] = {{.fd = b->opt.interrupts, .events = POLLIN},
                               {.fd = tier_fd(b), .events = POLLIN}};
        poll(fds, 2, 100);
        if (fds[0].revents)
            build_interrupt(b);
        tier_take(b);
        if (clock_seconds() > said + SAY_EVERY) {
            said = clock_seconds();
            AUTO(mem)
            char *text = xprintf("%zu result%s to upload to %s; Ctrl-C ends without", tier_uploads(b),
                                 tier_uploads(b) == 1 ? "" : "s", remote_url(b->opt.remote));
            report(b, BUILD_UPLOAD, NULL, text);
        }
    }
    tier_take(b);
}
