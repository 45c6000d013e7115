#include "engine/cli/planview.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/exec/fetched.h"

static void take_row(struct planview *v, int i)
{
    const struct forecast *f = &v->forecast;
    struct planview_task *t = &v->task[i];
    *t = (struct planview_task){
        .wanted = f->task[i].wanted, .state = f->state[i], .known = &f->resolver.task[i], .same = f->same[i]};
    if (!t->wanted)
        return;
    v->hit += t->state == RESOLVE_HIT;
    v->miss += t->state == RESOLVE_MISS;
    v->wait += t->state == RESOLVE_WAIT;
    if (t->state == RESOLVE_WAIT && (t->fetch = fetched_missing(f->resolver.store, v->spec->task[i])))
        v->fetch++;
    if (t->state == RESOLVE_HIT) {
        t->seconds = t->known->entry->seconds;
        t->cores = (int)t->known->entry->threads;
        t->memory = t->known->entry->peak_rss;
        v->saved += t->seconds;
    }
}

/* What waits is taken as run: it may turn out to be a hit. */
static bool predict(struct planview *v, struct machineopt *m, struct store *store, struct error *err)
{
    struct forecast *f = &v->forecast;
    if (!forecast_run(f, &m->machine, store, err))
        return false;
    for (int i = 0; i < v->spec->n; i++) {
        struct planview_task *t = &v->task[i];
        if (!forecast_runs(f, i))
            continue;
        t->source = f->cost[i].source;
        t->memory = f->task[i].ask.memory;
        t->cores = f->task[i].cores;
        t->seconds = f->task[i].end - f->task[i].start;
    }
    v->cores = machine_cores(&m->machine);
    v->known = f->run - f->guessed;
    v->error = forecast_error(f);
    return true;
}

/* Compare misses with what was made before, all of them in one reading of the records. */
static bool ask(struct planview *v, struct store *store, bool all, struct error *err)
{
    size_t n = 0;
    AUTO(mem) struct key_query *q = xcalloc((size_t)v->miss + 1, sizeof *q);
    AUTO(mem) struct planview_task **row = xcalloc((size_t)v->miss + 1, sizeof *row);
    for (int i = 0; i < v->spec->n; i++) {
        struct planview_task *t = &v->task[i];
        const struct task *task = v->spec->task[i];
        if (!t->wanted || t->state != RESOLVE_MISS || t->known->lost || t->same)
            continue;
        if (!all && n == PLANVIEW_REASONS) {
            v->unasked++;
            continue;
        }
        AUTO(mem) char *text = resolve_text(&v->forecast.resolver, task, err);
        if (!text)
            return false;
        row[n] = t;
        q[n++] = (struct key_query){
            .stage = task->stage->name, .task = task->name, .text = arena_strdup(&v->forecast.arena, text)};
    }
    if (!keydiff_nearest_all(store, q, n, &v->forecast.arena, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        row[i]->asked = true;
        row[i]->near = q[i].near;
    }
    return true;
}

bool planview_make(struct planview *v, const struct spec *s, struct store *store,
                   const struct planview_options *o, struct error *err)
{
    const struct forecast_options f = {.targets = o->targets, .n_targets = o->n_targets, .store = store};
    *v = (struct planview){.spec = s, .task = xcalloc((size_t)s->n + 1, sizeof *v->task)};
    if (!forecast_look(&v->forecast, s, &f, err))
        return false;
    for (int i = 0; i < s->n; i++)
        take_row(v, i);
    return v->forecast.run == 0 || (machineopt_open(o->machine, err) && ask(v, store, o->all, err) &&
                                    predict(v, o->machine, store, err));
}

void planview_done(struct planview *v)
{
    forecast_done(&v->forecast);
    free(v->task);
}
