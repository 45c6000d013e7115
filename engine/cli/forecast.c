#include "engine/cli/forecast.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/exec/asks.h"
#include "engine/exec/resolve.h"
#include "engine/exec/targets.h"
#include <jansson.h>
#include <string.h>

static void add_edge(struct forecast *f, size_t *cap, int from, int to)
{
    f->edge = xgrow(f->edge, cap, (size_t)f->n_edges + 1, sizeof *f->edge);
    f->edge[f->n_edges++] = (struct simulate_edge){from, to};
}

/* Of tasks with one key the first runs, and the others are hits once it is done. */
static void find_same(struct forecast *f, const struct resolver *r, size_t *cap)
{
    json_t *first = json_object();
    for (int i = 0; i < f->spec->n; i++) {
        char hex[DIGEST_HEX];
        if (!forecast_runs(f, i) || !r->task[i].has_key)
            continue;
        const json_t *at = json_object_get(first, digest_hex(&r->task[i].key, hex));
        if (at) {
            f->task[i].hit = true;
            add_edge(f, cap, (int)json_integer_value(at), i);
        } else {
            json_object_set_new(first, hex, json_integer(i));
        }
    }
    json_decref(first);
}

/* What is wanted, and a hit. That data which is not here has no key does not matter to a cold forecast. */
static bool look_up(struct forecast *f, const struct forecast_options *o, struct resolver *r, size_t *cap,
                    struct error *err)
{
    int n = f->spec->n;
    AUTO(mem) enum resolution *state = xcalloc((size_t)n + 1, sizeof *state);
    AUTO(mem) bool *wanted = xcalloc((size_t)n + 1, sizeof *wanted);
    AUTO(mem) bool *named = xcalloc((size_t)n + 1, sizeof *named);
    if (!targets_find(f->spec, o->targets, o->n_targets, named, err) ||
        !targets_choose(f->spec, o->targets, o->n_targets, wanted, err))
        return false;
    if (!resolve_all(r, f->spec, state, o->cold ? NULL : err) && !o->cold)
        return false;
    if (!o->cold)
        resolve_needed(f->spec, wanted, named, state);
    for (int i = 0; i < n; i++) {
        f->task[i].wanted = o->runs || wanted[i];
        f->task[i].hit = o->runs ? !o->runs[i] : !o->cold && wanted[i] && state[i] == RESOLVE_HIT;
    }
    if (!o->runs)
        find_same(f, r, cap);
    return true;
}

static bool ask(struct forecast *f, struct store *store, const struct resolver *r, struct error *err)
{
    struct history *h;
    bool ok = true;
    history_open(store, &h);
    history_look(h, r);
    for (int i = 0; ok && i < f->spec->n; i++) {
        f->hit += f->task[i].wanted && f->task[i].hit;
        if (!forecast_runs(f, i))
            continue;
        f->run++;
        f->cost[i] = history_predict(h, f->spec->task[i]);
        f->guessed += f->cost[i].source == HISTORY_ESTIMATE;
        ok = ask_make(f->spec->task[i], f->machine, &f->cost[i], &f->arena, &f->task[i].ask, err);
    }
    history_close(h);
    return ok;
}

bool forecast_make(struct forecast *f, const struct spec *s, const struct forecast_options *o,
                   struct error *err)
{
    size_t cap = 0;
    const struct task_ref *ref;
    *f = (struct forecast){.spec = s,
                           .machine = o->machine,
                           .task = xcalloc((size_t)s->n + 1, sizeof *f->task),
                           .cost = xcalloc((size_t)s->n + 1, sizeof *f->cost)};
    arena_init(&f->arena);
    for (int i = 0; i < s->n; i++)
        for (int k = 0; (ref = task_input_at(s->task[i], k)); k++)
            add_edge(f, &cap, ref->task->index, i);
    struct resolver r;
    resolver_init(&r, s, o->store);
    bool ok = look_up(f, o, &r, &cap, err) && ask(f, o->history, &r, err);
    resolver_done(&r, s);
    if (ok)
        simulate(f->task, s->n, f->edge, f->n_edges, f->machine, &f->found);
    return ok;
}

void forecast_done(struct forecast *f)
{
    simulate_done(f->task, f->spec ? f->spec->n : 0, &f->found);
    free(f->task);
    free(f->edge);
    free(f->cost);
    arena_done(&f->arena);
    *f = (struct forecast){0};
}

double forecast_bound(const struct forecast *f)
{
    const struct simulate *s = &f->found;
    return s->path_bound > s->work_bound ? s->path_bound : s->work_bound;
}

struct forecast_fifo forecast_fifo(const struct forecast *f)
{
    struct forecast_fifo best = {0};
    int n = f->spec->n, widest = machine_widest(f->machine);
    AUTO(mem) struct simulate_task *task = xcalloc((size_t)n + 1, sizeof *task);
    for (int width = 1; width <= widest; width = width * 2 > widest && width < widest ? widest : width * 2) {
        struct simulate s;
        memcpy(task, f->task, (size_t)n * sizeof *task);
        simulate_fifo(task, n, f->edge, f->n_edges, f->machine, width, &s);
        if (!best.width || s.makespan < best.makespan)
            best = (struct forecast_fifo){width, s.makespan, s.utilisation};
        simulate_done(task, n, &s);
    }
    return best;
}

/* ---- the schedule as bars ---- */

static int by_start(const void *a, const void *b, void *arg)
{
    const struct simulate_task *task = arg, *x = &task[*(const int *)a], *y = &task[*(const int *)b];
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return *(const int *)a - *(const int *)b;
}

void forecast_trace(const struct forecast *f, struct trace *ret)
{
    AUTO(mem) int *order = xcalloc((size_t)f->spec->n + 1, sizeof *order);
    int n = 0;
    for (int i = 0; i < f->spec->n; i++)
        if (f->task[i].cores > 0)
            order[n++] = i;
    qsort_r(order, (size_t)n, sizeof *order, by_start, f->task);
    trace_init(ret, "");
    ret->experiment = arena_strdup(&ret->mem, f->spec->experiment);
    ret->cores = machine_cores(f->machine);
    for (int i = 0; i < n; i++) {
        const struct simulate_task *t = &f->task[order[i]];
        const struct task *task = f->spec->task[order[i]];
        trace_add(ret, &(struct trace_bar){.task = task->name,
                                           .stage = task->stage->name,
                                           .node = f->machine->node[t->node].name,
                                           .cpuset = t->cpuset,
                                           .cores = t->cores,
                                           .start = t->start,
                                           .end = t->end,
                                           .state = "predicted"});
    }
}
