#include "engine/cli/planview.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/exec/asks.h"
#include "engine/exec/fetched.h"
#include "engine/exec/targets.h"
#include <jansson.h>

static bool look_up(struct planview *v, const struct planview_options *o, struct error *err)
{
    int n = v->spec->n;
    AUTO(mem) enum resolution *state = xcalloc((size_t)n + 1, sizeof *state);
    AUTO(mem) bool *wanted = xcalloc((size_t)n + 1, sizeof *wanted);
    AUTO(mem) bool *named = xcalloc((size_t)n + 1, sizeof *named);
    if (!targets_find(v->spec, o->targets, o->n_targets, named, err) ||
        !targets_choose(v->spec, o->targets, o->n_targets, wanted, err) ||
        !resolve_all(&v->resolver, v->spec, state, err))
        return false;
    resolve_needed(v->spec, wanted, named, state);
    for (int i = 0; i < n; i++) {
        struct planview_task *t = &v->task[i];
        *t = (struct planview_task){
            .wanted = wanted[i], .state = state[i], .known = &v->resolver.task[i], .asked = false};
        if (!t->wanted)
            continue;
        v->hit += t->state == RESOLVE_HIT;
        v->miss += t->state == RESOLVE_MISS;
        v->wait += t->state == RESOLVE_WAIT;
        if (t->state == RESOLVE_WAIT && (t->fetch = fetched_missing(v->resolver.store, v->spec->task[i])))
            v->fetch++;
        if (t->state == RESOLVE_HIT) {
            t->seconds = t->known->entry->seconds;
            t->cores = (int)t->known->entry->threads;
            t->memory = t->known->entry->peak_rss;
            v->saved += t->seconds;
        }
    }
    return true;
}

/* Of tasks with one key the first runs. */
static void find_same(struct planview *v)
{
    json_t *first = json_object();
    for (int i = 0; i < v->spec->n; i++) {
        char hex[DIGEST_HEX];
        struct planview_task *t = &v->task[i];
        if (!t->wanted || t->state != RESOLVE_MISS)
            continue;
        const json_t *at = json_object_get(first, digest_hex(&t->known->key, hex));
        if (at)
            t->same = v->spec->task[json_integer_value(at)];
        else
            json_object_set_new(first, hex, json_integer(i));
    }
    json_decref(first);
}

/* More cores than this machine has are those of a described one. */
static bool open_machine(struct planview *v, int cores, struct error *err)
{
    AUTO(mem) char *described = xprintf("core:%d", cores);
    struct machine_options o = {.cores = 0};
    if (!machine_open(&o, &v->machine, err))
        return false;
    if (cores > machine_cores(&v->machine)) {
        machine_done(&v->machine);
        o.topo.source = described;
        if (!machine_open(&o, &v->machine, err))
            return false;
    }
    if (cores > 0)
        v->machine.node[0].cores = cores;
    v->cores = machine_cores(&v->machine);
    return true;
}

static struct simulate_edge *edges(const struct planview *v, int *ret_n)
{
    size_t n = 0, cap = 0;
    struct simulate_edge *edge = NULL;
    const struct task_ref *ref;
    for (int i = 0; i < v->spec->n; i++)
        for (int k = 0; (ref = task_input_at(v->spec->task[i], k)); k++) {
            edge = xgrow(edge, &cap, n + 1, sizeof *edge);
            edge[n++] = (struct simulate_edge){ref->task->index, i};
        }
    *ret_n = (int)n;
    return edge;
}

/* ---- what it will take ---- */

struct to_run {
    struct simulate_task *task; /* by task index */
    double *error;              /* of their times, as factors less 1 */
    int n;
    struct simulate_edge *edge;
    int n_edges;
};

/* The makespan when every task is off by its error, in the one direction or in the other. */
static double makespan_off(struct planview *v, const struct to_run *f, bool longer)
{
    AUTO(mem) struct simulate_task *p = xcalloc((size_t)f->n + 1, sizeof *p);
    for (int i = 0; i < f->n; i++) {
        double by = longer ? 1 + f->error[i] : 1 / (1 + f->error[i]);
        struct work *w = &p[i].ask.work;
        p[i] =
            (struct simulate_task){.ask = f->task[i].ask, .wanted = f->task[i].wanted, .hit = f->task[i].hit};
        w->serial *= by;
        w->parallel *= by;
    }
    struct simulate s;
    simulate(p, f->n, f->edge, f->n_edges, &v->machine, &s);
    double makespan = s.makespan;
    simulate_done(p, f->n, &s);
    return makespan;
}

/* As if all were off in the same direction: what slows one task down, another load say, slows others too. */
static void find_error(struct planview *v, const struct to_run *f)
{
    double low = makespan_off(v, f, false), high = makespan_off(v, f, true), is = v->run.makespan;
    if (is > 0 && low > 0)
        v->error = (high / is > is / low ? high / is : is / low) - 1;
}

static bool ask_for(struct planview *v, struct history *h, int i, const struct to_run *f, struct error *err)
{
    const struct task *t = v->spec->task[i];
    struct planview_task *row = &v->task[i];
    struct history_cost c = history_predict(h, t);
    if (!ask_make(t, &v->machine, &c, &v->arena, &f->task[i].ask, err))
        return false;
    f->error[i] = c.error;
    row->memory = f->task[i].ask.memory;
    row->source = c.source;
    v->known += c.source != HISTORY_ESTIMATE;
    v->sure += c.source != HISTORY_ESTIMATE && c.error > 0;
    v->guessed += c.source == HISTORY_ESTIMATE;
    return true;
}

/* What would run or waits is taken as run: a task that waits may turn out to be a hit. */
static bool forecast(struct planview *v, struct store *store, struct error *err)
{
    int n = v->spec->n;
    struct history *h;
    bool ok = true;
    history_open(store, &h);
    history_look(h, &v->resolver);
    AUTO(mem) struct simulate_task *p = xcalloc((size_t)n + 1, sizeof *p);
    AUTO(mem) double *error = xcalloc((size_t)n + 1, sizeof *error);
    struct to_run f = {.task = p, .error = error, .n = n};
    AUTO(mem) struct simulate_edge *edge = f.edge = edges(v, &f.n_edges);
    for (int i = 0; ok && i < n; i++) {
        p[i].wanted = v->task[i].wanted;
        p[i].hit = v->task[i].state == RESOLVE_HIT || v->task[i].same;
        if (p[i].wanted && !p[i].hit)
            ok = ask_for(v, h, i, &f, err);
    }
    history_close(h);
    if (!ok)
        return false;
    simulate(p, n, edge, f.n_edges, &v->machine, &v->run);
    for (int i = 0; i < n; i++)
        if (p[i].cores) {
            v->task[i].cores = p[i].cores;
            v->task[i].seconds = p[i].end - p[i].start;
            free(p[i].cpuset);
        }
    if (v->sure)
        find_error(v, &f);
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
        AUTO(mem) char *text = resolve_text(&v->resolver, task, err);
        if (!text)
            return false;
        row[n] = t;
        q[n++] = (struct key_query){
            .stage = task->stage->name, .task = task->name, .text = arena_strdup(&v->arena, text)};
    }
    if (!keydiff_nearest_all(store, q, n, &v->arena, err))
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
    *v = (struct planview){.spec = s, .task = xcalloc((size_t)s->n + 1, sizeof *v->task)};
    arena_init(&v->arena);
    resolver_init(&v->resolver, s, store);
    if (!look_up(v, o, err))
        return false;
    if (v->miss + v->fetch == 0)
        return true;
    find_same(v);
    return open_machine(v, o->cores, err) && ask(v, store, o->all, err) && forecast(v, store, err);
}

void planview_done(struct planview *v)
{
    resolver_done(&v->resolver, v->spec);
    arena_done(&v->arena);
    simulate_done(NULL, 0, &v->run);
    machine_done(&v->machine);
    free(v->task);
}
