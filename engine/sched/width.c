/* How wide tasks run. Which width is best for the whole graph depends on its shape: where it is narrower than
 * the machine, what lies on the longest path has to be wide; where there is more to do than cores, every task
 * is best narrow, as no work goes faster than on few cores. So several rules are tried with the virtual clock
 * and the one with the earliest end is taken; of large graphs, which have enough to do, one rule is. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/sched/plan_impl.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TRY_TASKS 3000    /* open ones, at most, for which rules are tried */
#define TRY_STEPS 4000000 /* of tasks and edges that widening may look at */
#define TRY_PART                                                                                             \
    0.01               /* of the time that is planned, at most, for improving on the best rule's widths ...  \
                        */
#define TRY_COST 2e-6  /* seconds for each task that is driven again ... */
#define TRY_MOST 400   /* times */
#define STARTS   3     /* of the best rules that are improved on */
#define GROUPS   64    /* of tasks that are alike, at most, to be widened together */
#define LARGE    1     /* the row for larger graphs */
#define ENOUGH   0.999 /* a later row has to end sooner than this part of the best before it */

/* Of two that end at the same time the first is taken. */
static const struct policy policies[] = {
    {.name = "share", .rule = WIDTH_SHARE, .wait = true},
    {.name = "path", .rule = WIDTH_PATH, .stop = 1, .levels = true, .expand = true, .wait = true},
    {.name = "path, wide", .rule = WIDTH_PATH, .stop = 0.6, .wait = true},
    {.name = "path, narrow", .rule = WIDTH_PATH, .stop = 1.5, .levels = true, .wait = true},
    {.name = "whole", .rule = WIDTH_EVEN, .parts = 1, .wait = true},
    {.name = "halves", .rule = WIDTH_EVEN, .parts = 2, .expand = true, .wait = true},
    {.name = "4 parts", .rule = WIDTH_EVEN, .parts = 4, .expand = true, .wait = true},
    {.name = "8 parts", .rule = WIDTH_EVEN, .parts = 8, .expand = true, .wait = true},
    {.name = "16 parts", .rule = WIDTH_EVEN, .parts = 16, .expand = true, .wait = true},
    {.name = "32 parts", .rule = WIDTH_EVEN, .parts = 32, .expand = true, .wait = true},
    {.name = "64 parts", .rule = WIDTH_EVEN, .parts = 64, .expand = true, .wait = true},
    {.name = "least", .rule = WIDTH_EVEN, .parts = 1 << 20, .expand = true},
};
#define POLICIES (sizeof policies / sizeof *policies)
const struct policy policy_share = {.name = "share", .rule = WIDTH_SHARE, .wait = true};
const struct policy policy_fifo = {.name = "fifo", .rule = WIDTH_FIXED, .fifo = true};

static int clamp(const struct ask *a, int cores)
{
    return cores < a->cores_min ? a->cores_min : cores > a->cores_max ? a->cores_max : cores;
}

/* ---- what every start asks ---- */

static int free_elsewhere(const struct plan *p, int node)
{
    int sum = 0;
    for (int i = 0; i < p->machine->n; i++)
        sum += i != node && p->room[i].there ? p->room[i].cores : 0;
    return sum;
}

/* Free cores shared by work among the tasks that could start now, so that a long one does not crawl on one
 * core because short ones began beside it; each gets one at least. */
static int64_t share(const struct plan *p, const struct vertex *v, int free)
{
    return p->work > 0 ? (int64_t)(free * ((double)plan_ticks(v) / (double)p->work) + 0.5)
                       : free / p->n_missed;
}

int width_now(const struct plan *p, const struct vertex *v, int node, int free)
{
    int all = free + free_elsewhere(p, node);
    int64_t width = v->width, left = 0;
    if (p->policy.rule == WIDTH_SHARE)
        width = share(p, v, all);
    else if (p->policy.expand && all > p->wanted)
        width += share(p, v, all - (int)p->wanted);
    if (p->policy.rule == WIDTH_SHARE || p->policy.expand)
        left = all - (p->demand - v->ask.cores_max); /* what the others could not use anyway */
    width = left > width ? left : width;
    int cores = clamp(&v->ask, width > p->widest ? p->widest : (int)width);
    return cores < free ? cores : free;
}

/* ---- widening the longest path ---- */

struct widen { /* over the open tasks */
    struct plan *p;
    int *order, n;
    double *top;   /* longest path to the start of it */
    int *depth;    /* most tasks before it */
    int64_t *used; /* cores wanted by all of a depth */
};

static double seconds(const struct vertex *v)
{
    return work_seconds(&v->ask.work, v->width);
}

/* Longest paths with the present widths; the longest of all. *area: work over all cores. */
static double measure(struct widen *w, double *area)
{
    const struct plan *p = w->p;
    double longest = 0, sum = 0;
    for (int i = 0; i < w->n; i++)
        w->top[w->order[i]] = 0;
    for (int i = 0; i < w->n; i++) {
        int task = w->order[i];
        const struct vertex *v = &p->vertex[task];
        double end = w->top[task] + (plan_is_open(p, task) ? seconds(v) : 0);
        sum += plan_is_open(p, task) ? seconds(v) * v->width : 0;
        for (size_t k = 0; k < v->n_next; k++)
            w->top[v->next[k]] = fmax(w->top[v->next[k]], end);
    }
    for (int i = w->n - 1; i >= 0; i--) {
        int task = w->order[i];
        const struct vertex *v = &p->vertex[task];
        double after = 0;
        for (size_t k = 0; k < v->n_next; k++)
            after = fmax(after, p->priority[v->next[k]]);
        p->priority[task] = after + (plan_is_open(p, task) ? seconds(v) : 0);
        longest = fmax(longest, w->top[task] + p->priority[task]);
    }
    *area = sum / p->cores;
    return longest;
}

static int step_of(const struct vertex *v)
{
    int step = 1 + v->width / 8;
    return v->width + step > v->ask.cores_max ? v->ask.cores_max - v->width : step;
}

/* The task of the longest path that gains most for each of its cores (CPA; Radulescu and van Gemund 2001). */
static int best_to_widen(const struct widen *w, double longest, bool levels)
{
    int best = -1;
    double most = 0;
    for (int i = 0; i < w->n; i++) {
        int task = w->order[i], step;
        const struct vertex *v = &w->p->vertex[task];
        if (!plan_is_open(w->p, task) || v->missed || (step = step_of(v)) <= 0 ||
            w->top[task] + w->p->priority[task] < longest * (1 - 1e-9) ||
            (levels && w->used[w->depth[task]] + step > w->p->cores))
            continue;
        int wider = v->width + step;
        double gain = seconds(v) / v->width - work_seconds(&v->ask.work, wider) / wider;
        if (gain > most) {
            most = gain;
            best = task;
        }
    }
    return best;
}

static void find_depths(struct widen *w)
{
    for (int i = 0; i < w->n; i++) {
        const struct vertex *v = &w->p->vertex[w->order[i]];
        for (size_t k = 0; k < v->n_next; k++)
            if (w->depth[v->next[k]] <= w->depth[w->order[i]])
                w->depth[v->next[k]] = w->depth[w->order[i]] + 1;
        if (plan_is_open(w->p, w->order[i]))
            w->used[w->depth[w->order[i]]] += v->width;
    }
}

static void widen_path(struct plan *p, const struct policy *policy)
{
    struct widen w = {.p = p, .order = plan_order(p, &w.n)};
    w.top = xcalloc((size_t)p->n + 1, sizeof *w.top);
    w.depth = xcalloc((size_t)p->n + 1, sizeof *w.depth);
    w.used = xcalloc((size_t)p->n + 1, sizeof *w.used);
    find_depths(&w);
    size_t pass = 0;
    for (int i = 0; i < w.n; i++)
        pass += 1 + p->vertex[w.order[i]].n_next;
    for (size_t looked = 0; looked < TRY_STEPS; looked += 2 * pass + 1) {
        double area, longest = measure(&w, &area);
        int task = longest > policy->stop * area ? best_to_widen(&w, longest, policy->levels) : -1;
        if (task < 0)
            break;
        int step = step_of(&p->vertex[task]);
        p->vertex[task].width += step;
        w.used[w.depth[task]] += step;
    }
    free(w.order);
    free(w.top);
    free(w.depth);
    free(w.used);
}

/* ---- the choice ---- */

static void first_widths(struct plan *p, const struct policy *policy)
{
    for (int i = 0; i < p->n; i++) {
        struct vertex *v = &p->vertex[i];
        if (plan_is_open(p, i) && !v->missed)
            v->width =
                policy->rule == WIDTH_EVEN ? clamp(&v->ask, p->cores / policy->parts) : v->ask.cores_min;
    }
    if (policy->rule == WIDTH_PATH)
        widen_path(p, policy);
}

/* The open part of p on an idle machine, to be driven without places; what is held stays so. */
static struct plan *copy_open(const struct plan *p, struct machine *m)
{
    struct plan *q = plan_new(p->n, m);
    for (int i = 0; i < p->n; i++) {
        const struct vertex *v = &p->vertex[i];
        plan_task(q, i, &v->ask);
        q->vertex[i].width = v->width;
        if (!plan_is_open(p, i)) {
            plan_exclude(q, i);
            continue;
        }
        for (size_t k = 0; k < v->n_next; k++)
            plan_edge(q, i, v->next[k]);
        if (v->holds > 0)
            plan_hold(q, i);
    }
    for (int i = 0; i < m->n; i++)
        plan_node(q, i, p->room[i].there);
    q->chosen = true;
    q->policy = p->policy;
    return q;
}

/* When would all be done with the policy and the widths that p has now? */
static double try_widths(const struct plan *p, struct machine *m)
{
    struct plan *q = copy_open(p, m);
    plan_start(q);
    double end = plan_drive(q, NULL, NULL, NULL);
    plan_free(q);
    return end;
}

/* Measured times are never equal: within a half and twice of the work, and an eighth of its serial share. */
static bool alike(const struct ask *a, const struct ask *b)
{
    double x = work_seconds(&a->work, 1), y = work_seconds(&b->work, 1);
    return x < 2 * y && y < 2 * x && fabs(a->work.serial / x - b->work.serial / y) < 0.125 &&
           a->cores_min == b->cores_min && a->cores_max == b->cores_max;
}

/* Tasks that are alike in what matters for their width: group[i] of each. How many groups. */
static int group_alike(const struct plan *p, int *group)
{
    int n = 0;
    AUTO(mem) int *first = xcalloc((size_t)p->n + 1, sizeof *first);
    for (int i = 0; i < p->n; i++) {
        const struct ask *a = &p->vertex[i].ask;
        group[i] = -1;
        if (!plan_is_open(p, i) || p->vertex[i].missed || a->cores_min == a->cores_max)
            continue;
        for (int g = 0; g < n && group[i] < 0; g++) {
            const struct ask *b = &p->vertex[first[g]].ask;
            if (alike(a, b))
                group[i] = g;
        }
        if (group[i] < 0 && n < GROUPS) {
            group[i] = n;
            first[n++] = i;
        }
    }
    return n;
}

static void scale_group(struct plan *p, const int *group, int which, double factor, int *before)
{
    for (int i = 0; i < p->n; i++) {
        struct vertex *v = &p->vertex[i];
        before[i] = v->width;
        if (group[i] == which)
            v->width = clamp(&v->ask, (int)(v->width * factor + 0.5));
    }
}

/* Wider and narrower, group by group, as long as that ends sooner and the budget lasts. */
static double improve(struct plan *p, struct machine *m, double end, int tries)
{
    static const double factors[] = {0.5, 0.75, 1.33, 2};
    AUTO(mem) int *group = xcalloc((size_t)p->n + 1, sizeof *group);
    AUTO(mem) int *before = xcalloc((size_t)p->n + 1, sizeof *before);
    int n = group_alike(p, group);
    for (bool better = true; better && tries > 0;) {
        better = false;
        for (int k = 0; k < 4 * n && tries-- > 0; k++) {
            scale_group(p, group, k / 4, factors[k % 4], before);
            double now = try_widths(p, m);
            if (now < ENOUGH * end) {
                end = now;
                better = true;
                continue;
            }
            for (int i = 0; i < p->n; i++)
                p->vertex[i].width = before[i];
        }
    }
    return end;
}

/* What no rule can change: every task has one width. */
static bool is_rigid(const struct plan *p)
{
    for (int i = 0; i < p->n; i++)
        if (plan_is_open(p, i) && p->vertex[i].ask.cores_max > p->vertex[i].ask.cores_min)
            return false;
    return true;
}

struct trial {
    const struct policy *policy;
    double end;
};

static int by_end(const void *a, const void *b)
{
    const struct trial *x = a, *y = b;
    return x->end != y->end ? (x->end > y->end) - (x->end < y->end)
                            : (x->policy > y->policy) - (x->policy < y->policy);
}

static void choose(struct plan *p, struct machine *m, int open)
{
    struct trial trial[POLICIES], best = {0};
    AUTO(mem) int *width = xcalloc((size_t)p->n + 1, sizeof *width);
    for (size_t i = 0; i < POLICIES; i++) {
        p->policy = policies[i];
        first_widths(p, &p->policy);
        trial[i] = (struct trial){&policies[i], try_widths(p, m)};
    }
    qsort(trial, POLICIES, sizeof *trial, by_end);
    int tries = (int)fmin(TRY_PART * trial[0].end / (TRY_COST * open), TRY_MOST) / STARTS;
    for (size_t i = 0; i < STARTS; i++) {
        p->policy = *trial[i].policy;
        first_widths(p, &p->policy);
        double end = improve(p, m, trial[i].end, p->policy.rule == WIDTH_SHARE ? 0 : tries);
        if (best.policy && end >= ENOUGH * best.end)
            continue;
        best = (struct trial){trial[i].policy, end};
        for (int k = 0; k < p->n; k++)
            width[k] = p->vertex[k].width;
    }
    p->policy = *best.policy;
    for (int k = 0; k < p->n; k++)
        p->vertex[k].width = width[k];
}

void width_choose(struct plan *p)
{
    int open = 0;
    for (int i = 0; i < p->n; i++)
        open += plan_is_open(p, i);
    if (p->chosen || is_rigid(p))
        return;
    if (open > TRY_TASKS) {
        p->policy = policies[LARGE];
        first_widths(p, &p->policy);
    } else {
        struct machine m = *p->machine;
        AUTO(mem) struct machine_node *node = xcalloc((size_t)m.n, sizeof *node);
        memcpy(node, m.node, (size_t)m.n * sizeof *node);
        m.node = node;
        for (int i = 0; i < m.n; i++)
            node[i].topo = NULL;
        choose(p, &m, open);
    }
    plan_priorities(p);
}

void plan_set_policy(struct plan *p, const struct policy *policy, int width)
{
    p->policy = *policy;
    p->chosen = true;
    for (int i = 0; i < p->n; i++)
        p->vertex[i].width = clamp(&p->vertex[i].ask, width);
}

void plan_follow(struct plan *p, const struct plan *other)
{
    plan_set_policy(p, &other->policy, 0);
    for (int i = 0; i < p->n; i++)
        p->vertex[i].width = clamp(&p->vertex[i].ask, other->vertex[i].width);
}
