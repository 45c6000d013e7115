#include "engine/sched/predict.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/sched/plan.h"
#include <string.h>

struct clock { /* what runs, on a machine of so many cores */
    struct predict_task *task;
    int *running, n;
    double now;
};

static struct plan *make_plan(const struct predict_task *t, int n, const struct predict_edge *edge,
                              int n_edges, int cores)
{
    struct plan *p = plan_new(n, cores);
    for (int i = 0; i < n; i++) {
        plan_task(p, i, t[i].core_seconds, t[i].cores_min, t[i].cores_max);
        if (!t[i].wanted)
            plan_exclude(p, i);
    }
    for (int i = 0; i < n_edges; i++)
        plan_edge(p, edge[i].from, edge[i].to);
    plan_start(p);
    return p;
}

static int64_t memory_now(const struct clock *c)
{
    int64_t sum = 0;
    for (int i = 0; i < c->n; i++)
        sum += c->task[c->running[i]].memory;
    return sum;
}

static void start(struct clock *c, int task, int cores, struct predict *ret)
{
    struct predict_task *t = &c->task[task];
    t->cores = cores;
    t->start = c->now;
    t->end = c->now + t->core_seconds / cores;
    c->running[c->n++] = task;
    ret->core_seconds += t->core_seconds;
    int64_t memory = memory_now(c);
    ret->memory = memory > ret->memory ? memory : ret->memory;
}

/* The clock goes on to the next end; all that end then are done. */
static void step(struct clock *c, struct plan *p)
{
    c->now = c->task[c->running[0]].end;
    for (int i = 1; i < c->n; i++)
        c->now = c->task[c->running[i]].end < c->now ? c->task[c->running[i]].end : c->now;
    for (int i = c->n - 1; i >= 0; i--)
        if (c->task[c->running[i]].end <= c->now) {
            plan_done(p, c->running[i]);
            c->running[i] = c->running[--c->n];
        }
}

static double duration(const struct predict_task *t)
{
    return t->end - t->start;
}

/* Edges by where they lead, as in a counting sort: those into task i are by[first[i]] to by[first[i + 1] -
 * 1]. */
static void sort_edges(const struct predict_edge *edge, int n_edges, int n, int *first, int *by)
{
    memset(first, 0, ((size_t)n + 2) * sizeof *first);
    for (int i = 0; i < n_edges; i++)
        first[edge[i].to + 2]++;
    for (int i = 1; i <= n; i++)
        first[i + 1] += first[i];
    for (int i = 0; i < n_edges; i++)
        by[first[edge[i].to + 1]++] = edge[i].from;
}

static void find_path(const struct predict_task *t, int n, const struct predict_edge *edge, int n_edges,
                      struct predict *ret)
{
    AUTO(mem) double *longest = xcalloc((size_t)n + 1, sizeof *longest); /* chain that ends with it */
    AUTO(mem) int *before = xcalloc((size_t)n + 1, sizeof *before);
    AUTO(mem) int *first = xcalloc((size_t)n + 2, sizeof *first);
    AUTO(mem) int *by = xcalloc((size_t)n_edges + 1, sizeof *by);
    int last = -1;
    sort_edges(edge, n_edges, n, first, by);
    for (int i = 0; i < n; i++) {
        before[i] = -1;
        for (int k = first[i]; k < first[i + 1]; k++)
            if (longest[by[k]] > longest[i]) {
                longest[i] = longest[by[k]];
                before[i] = by[k];
            }
        longest[i] += duration(&t[i]);
        if (t[i].cores && (last < 0 || longest[i] > longest[last]))
            last = i;
    }
    for (int i = last; i >= 0; i = before[i])
        ret->n_path += t[i].cores > 0;
    ret->path = xcalloc((size_t)ret->n_path + 1, sizeof *ret->path);
    ret->path_seconds = last >= 0 ? longest[last] : 0;
    for (int i = last, at = ret->n_path; i >= 0; i = before[i])
        if (t[i].cores > 0)
            ret->path[--at] = i;
}

void predict(struct predict_task *task, int n, const struct predict_edge *edge, int n_edges, int cores,
             struct predict *ret)
{
    *ret = (struct predict){0};
    struct plan *p = make_plan(task, n, edge, n_edges, cores);
    AUTO(mem) int *running = xcalloc((size_t)cores + 1, sizeof *running);
    struct clock c = {.task = task, .running = running};
    int next, width;
    for (;;) {
        while ((next = plan_next_ready(p)) >= 0)
            if (task[next].hit)
                plan_hit(p, next);
            else
                plan_miss(p, next);
        while (plan_pick(p, &next, &width))
            start(&c, next, width, ret);
        if (c.n == 0)
            break;
        step(&c, p);
    }
    ret->makespan = c.now;
    plan_free(p);
    find_path(task, n, edge, n_edges, ret);
}
