#include "engine/cli/forecast.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/exec/asks.h"
#include "engine/exec/targets.h"
#include <jansson.h>
#include <math.h>
#include <string.h>

static void add_edge(struct forecast *f, int from, int to)
{
    f->edge = xgrow(f->edge, &f->cap_edges, (size_t)f->n_edges + 1, sizeof *f->edge);
    f->edge[f->n_edges++] = (struct simulate_edge){from, to};
}

/* Of tasks with one key the first runs, and the others are hits once it is done. */
static void find_same(struct forecast *f)
{
    json_t *first = json_object();
    for (int i = 0; i < f->spec->n; i++) {
        char hex[DIGEST_HEX];
        if (!forecast_runs(f, i) || !f->resolver.task[i].has_key)
            continue;
        const json_t *at = json_object_get(first, digest_hex(&f->resolver.task[i].key, hex));
        if (at) {
            int runs = (int)json_integer_value(at);
            f->task[i].hit = true;
            f->same[i] = f->spec->task[runs];
            add_edge(f, runs, i);
        } else {
            json_object_set_new(first, hex, json_integer(i));
        }
    }
    json_decref(first);
}

/* That data which is not here has no key does not matter to a cold forecast. */
static bool resolve_wanted(struct forecast *f, const struct forecast_options *o, struct error *err)
{
    int n = f->spec->n;
    AUTO(mem) bool *wanted = xcalloc((size_t)n + 1, sizeof *wanted);
    AUTO(mem) bool *named = xcalloc((size_t)n + 1, sizeof *named);
    if (!targets_find(f->spec, o->targets, o->n_targets, named, err) ||
        !targets_choose(f->spec, o->targets, o->n_targets, wanted, err))
        return false;
    if (!resolve_all(&f->resolver, f->spec, f->state, o->cold ? NULL : err) && !o->cold)
        return false;
    if (!o->cold)
        resolve_needed(f->spec, wanted, named, f->state);
    for (int i = 0; i < n; i++) {
        f->task[i].wanted = o->runs || wanted[i];
        f->task[i].hit = o->runs ? !o->runs[i] : !o->cold && wanted[i] && f->state[i] == RESOLVE_HIT;
    }
    return true;
}

bool forecast_look(struct forecast *f, const struct spec *s, const struct forecast_options *o,
                   struct error *err)
{
    size_t n = (size_t)s->n + 1;
    const struct task_ref *ref;
    *f = (struct forecast){.spec = s,
                           .state = xcalloc(n, sizeof *f->state),
                           .same = xcalloc(n, sizeof *f->same),
                           .task = xcalloc(n, sizeof *f->task),
                           .cost = xcalloc(n, sizeof *f->cost)};
    arena_init(&f->arena);
    resolver_init(&f->resolver, s, o->store);
    for (int i = 0; i < s->n; i++)
        for (int k = 0; (ref = task_input_at(s->task[i], k)); k++)
            add_edge(f, ref->task->index, i);
    if (!resolve_wanted(f, o, err))
        return false;
    if (!o->runs)
        find_same(f);
    for (int i = 0; i < s->n; i++) {
        f->hit += f->task[i].wanted && f->task[i].hit;
        f->run += forecast_runs(f, i);
    }
    return true;
}

bool forecast_run(struct forecast *f, struct machine *m, struct store *history, struct error *err)
{
    struct history *h;
    bool ok = true;
    f->machine = m;
    history_open(history, &h);
    history_look(h, &f->resolver);
    for (int i = 0; ok && i < f->spec->n; i++) {
        struct history_cost *c = &f->cost[i];
        if (!forecast_runs(f, i))
            continue;
        *c = history_predict(h, f->spec->task[i]);
        f->guessed += c->source == HISTORY_ESTIMATE;
        f->sure += c->source != HISTORY_ESTIMATE && c->error > 0;
        ok = ask_make(f->spec->task[i], m, c, &f->arena, &f->task[i].ask, err);
    }
    history_close(h);
    if (ok)
        simulate(f->task, f->spec->n, f->edge, f->n_edges, m, &f->found);
    return ok;
}

void forecast_done(struct forecast *f)
{
    if (!f->spec)
        return;
    simulate_done(f->task, f->spec->n, &f->found);
    resolver_done(&f->resolver, f->spec);
    free(f->state);
    free(f->same);
    free(f->task);
    free(f->edge);
    free(f->cost);
    arena_done(&f->arena);
    *f = (struct forecast){0};
}

/* The makespan when every task is off by its error, in the one direction or in the other, with the widths
 * that were found. */
static double makespan_off(const struct forecast *f, bool longer)
{
    int n = f->spec->n;
    AUTO(mem) struct simulate_task *task = xcalloc((size_t)n + 1, sizeof *task);
    for (int i = 0; i < n; i++) {
        double off = 1 + f->cost[i].error, by = longer ? off : 1 / off;
        task[i] =
            (struct simulate_task){.ask = f->task[i].ask, .wanted = f->task[i].wanted, .hit = f->task[i].hit};
        task[i].ask.work.serial *= by;
        task[i].ask.work.parallel *= by;
    }
    struct simulate s;
    simulate_as(f->found.plan, task, n, f->edge, f->n_edges, f->machine, &s);
    double makespan = s.makespan;
    simulate_done(task, n, &s);
    return makespan;
}

/* The same direction: what slows one task down, another load say, slows others too. */
double forecast_error(const struct forecast *f)
{
    double is = f->found.makespan;
    if (f->sure == 0 || is <= 0)
        return 0;
    double low = makespan_off(f, false), high = makespan_off(f, true);
    return low > 0 ? fmax(high / is, is / low) - 1 : 0;
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
