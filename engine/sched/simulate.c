#include "engine/sched/simulate.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/sched/plan_impl.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NEAR 1.02 /* a makespan within so much of a bound is due to it */

struct run {
    struct simulate_task *task;
    int n;
    const struct simulate_edge *edge;
    int n_edges;
    struct machine *machine;
    struct simulate *ret;
    struct plan *plan;
};

const char *simulate_bound_name(enum simulate_bound b)
{
    static const char *const name[] = {[BOUND_NOTHING] = "nothing in particular",
                                       [BOUND_PATH] = "critical path",
                                       [BOUND_CORES] = "cores",
                                       [BOUND_MEMORY] = "memory",
                                       [BOUND_UNIT] = "a named resource"};
    return name[b];
}

static void start(void *arg, const struct plan_choice *c, double now)
{
    struct run *r = arg;
    struct simulate_task *t = &r->task[c->task];
    const struct plan *p = r->plan;
    t->start = now;
    t->end = p->vertex[c->task].end;
    t->cores = c->cores;
    t->node = c->node;
    t->cpuset = c->place ? xstrdup(place_cpuset(c->place)) : NULL;
    r->ret->core_seconds += c->cores * (t->end - now);
    int64_t memory = r->machine->node[c->node].memory - p->room[c->node].memory;
    r->ret->memory = memory > r->ret->memory ? memory : r->ret->memory;
}

static struct plan *make_plan(const struct run *r)
{
    struct plan *p = plan_new(r->n, r->machine);
    for (int i = 0; i < r->n; i++) {
        plan_task(p, i, &r->task[i].ask);
        if (!r->task[i].wanted)
            plan_exclude(p, i);
    }
    for (int i = 0; i < r->n_edges; i++)
        plan_edge(p, r->edge[i].from, r->edge[i].to);
    return p;
}

/* Hits take no part: what they need and what needs them is as if they were over. */
static void drive(struct run *r)
{
    bool *hit = xcalloc((size_t)r->n + 1, sizeof *hit);
    struct plan *p = r->plan;
    int task;
    for (int i = 0; i < r->n; i++)
        hit[i] = r->task[i].hit;
    plan_start(p);
    AUTO(mem) int *first = xcalloc((size_t)r->n + 1, sizeof *first);
    int n = 0;
    while ((task = plan_next_ready(p)) >= 0)
        if (hit[task])
            plan_hit(p, task);
        else
            first[n++] = task;
    plan_prioritize(p);
    for (int i = 0; i < n; i++)
        plan_miss(p, first[i]);
    r->ret->makespan = plan_drive(p, hit, start, r);
    r->ret->stuck = !plan_finished(p) || plan_count(p, TASK_WAIT) > 0;
    free(hit);
}

/* ---- the longest chain, and what no schedule can be shorter than ---- */

/* Edges by where they lead, as in a counting sort: those into task i are by[first[i]] to by[first[i + 1] -
 * 1]. */
static void sort_edges(const struct run *r, int *first, int *by)
{
    memset(first, 0, ((size_t)r->n + 2) * sizeof *first);
    for (int i = 0; i < r->n_edges; i++)
        first[r->edge[i].to + 2]++;
    for (int i = 1; i <= r->n; i++)
        first[i + 1] += first[i];
    for (int i = 0; i < r->n_edges; i++)
        by[first[r->edge[i].to + 1]++] = r->edge[i].from;
}

struct chains {
    int *first, *by;
    double *longest; /* chain that ends with it */
    int *before;
};

/* Of the chains of tasks that each need the one before the longest; -1: there is none. */
static int longest_chain(const struct run *r, const struct chains *c, const double *length)
{
    int last = -1;
    for (int i = 0; i < r->n; i++) {
        c->before[i] = -1;
        c->longest[i] = 0;
        for (int k = c->first[i]; k < c->first[i + 1]; k++)
            if (c->longest[c->by[k]] > c->longest[i]) {
                c->longest[i] = c->longest[c->by[k]];
                c->before[i] = c->by[k];
            }
        c->longest[i] += length[i];
        if (length[i] > 0 && (last < 0 || c->longest[i] > c->longest[last]))
            last = i;
    }
    return last;
}

static void find_path(const struct run *r, const struct chains *c, double *length)
{
    struct simulate *s = r->ret;
    for (int i = 0; i < r->n; i++)
        length[i] = r->task[i].end - r->task[i].start;
    int last = longest_chain(r, c, length);
    for (int i = last; i >= 0; i = c->before[i])
        s->n_path += r->task[i].cores > 0;
    s->path = xcalloc((size_t)s->n_path + 1, sizeof *s->path);
    s->path_seconds = last >= 0 ? c->longest[last] : 0;
    for (int i = last, at = s->n_path; i >= 0; i = c->before[i])
        if (r->task[i].cores > 0)
            s->path[--at] = i;
}

/* The widest is the fastest by Amdahl's law, and the narrowest the least work. */
static void find_bounds(const struct run *r, const struct chains *c, double *length)
{
    double work = 0;
    for (int i = 0; i < r->n; i++) {
        const struct ask *a = &r->plan->vertex[i].ask;
        bool runs = r->task[i].wanted && !r->task[i].hit;
        length[i] = runs ? work_seconds(&a->work, a->cores_max) : 0;
        work += runs ? a->cores_min * work_seconds(&a->work, a->cores_min) : 0;
    }
    int last = longest_chain(r, c, length);
    r->ret->path_bound = last >= 0 ? c->longest[last] : 0;
    r->ret->work_bound = work / machine_cores(r->machine);
}

/* The longest chain, or what those that had priority waited for longest. */
static enum simulate_bound find_reason(const struct run *r)
{
    static const enum simulate_bound bound[LACKS] = {BOUND_CORES, BOUND_MEMORY, BOUND_UNIT};
    const struct simulate *s = r->ret;
    const double *lacked = r->plan->lacked;
    int most = LACK_CORES;
    if (s->makespan <= 0)
        return BOUND_NOTHING;
    if (s->path_seconds * NEAR >= s->makespan)
        return BOUND_PATH;
    for (int i = 0; i < LACKS; i++)
        most = lacked[i] > lacked[most] ? i : most;
    return bound[most];
}

static void look_back(const struct run *r)
{
    AUTO(mem) int *first = xcalloc((size_t)r->n + 2, sizeof *first);
    AUTO(mem) int *by = xcalloc((size_t)r->n_edges + 1, sizeof *by);
    AUTO(mem) int *before = xcalloc((size_t)r->n + 1, sizeof *before);
    AUTO(mem) double *longest = xcalloc((size_t)r->n + 1, sizeof *longest);
    AUTO(mem) double *length = xcalloc((size_t)r->n + 1, sizeof *length);
    const struct chains c = {first, by, longest, before};
    sort_edges(r, first, by);
    find_bounds(r, &c, length);
    find_path(r, &c, length);
    struct simulate *s = r->ret;
    s->utilisation = s->makespan > 0 ? s->core_seconds / (s->makespan * machine_cores(r->machine)) : 0;
    s->bound = find_reason(r);
}

static void run(struct run *r, struct plan *p)
{
    *r->ret = (struct simulate){.plan = p};
    r->plan = p;
    drive(r);
    look_back(r);
}

static struct run begin(struct simulate_task *task, int n, const struct simulate_edge *edge, int n_edges,
                        struct machine *m, struct simulate *ret)
{
    for (int i = 0; i < n; i++) {
        task[i].start = task[i].end = 0;
        task[i].cores = task[i].node = 0;
        task[i].cpuset = NULL;
    }
    return (struct run){.task = task, .n = n, .edge = edge, .n_edges = n_edges, .machine = m, .ret = ret};
}

void simulate(struct simulate_task *task, int n, const struct simulate_edge *edge, int n_edges,
              struct machine *m, struct simulate *ret)
{
    struct run r = begin(task, n, edge, n_edges, m, ret);
    run(&r, make_plan(&r));
}

void simulate_as(const struct plan *plan, struct simulate_task *task, int n, const struct simulate_edge *edge,
                 int n_edges, struct machine *m, struct simulate *ret)
{
    struct run r = begin(task, n, edge, n_edges, m, ret);
    struct plan *p = make_plan(&r);
    plan_follow(p, plan);
    run(&r, p);
}

void simulate_fifo(struct simulate_task *task, int n, const struct simulate_edge *edge, int n_edges,
                   struct machine *m, int width, struct simulate *ret)
{
    struct run r = begin(task, n, edge, n_edges, m, ret);
    struct plan *p = make_plan(&r);
    plan_set_policy(p, &policy_fifo, width);
    run(&r, p);
}

void simulate_done(struct simulate_task *task, int n, struct simulate *s)
{
    for (int i = 0; i < n; i++) {
        free(task[i].cpuset);
        task[i].cpuset = NULL;
    }
    free(s->path);
    plan_free(s->plan);
    *s = (struct simulate){0};
}
