#include "engine/sched/plan.h"
#include "base/mem.h"
#include "engine/sched/heap.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define LOOK 32 /* tasks to look at for one that may slip in before a held one: an event must stay cheap */

struct node {
    enum task_state state;
    double seconds;
    int cores_min, cores_max, cores; /* cores: held while running */
    int *next;                       /* tasks that need this one */
    size_t n_next, cap_next;
    int waits; /* unfinished tasks this one needs, and holds */
    int holds;
    double held; /* seconds of work that went ahead while this task waited for more cores */
    bool excluded;
    bool missed; /* among plan.missed */
};
struct plan {
    struct node *node;
    double *priority;
    int n, cores, free;
    int *running, n_running; /* tasks, at most one a core */
    int held;                /* the task that plan_pick held back last, -1: none */
    int count[TASK_SKIPPED + 1];
    struct heap ready; /* not looked at yet */
    struct heap missed;
    int64_t demand; /* cores that all of `missed` could use */
    double work;    /* seconds on one core of all of `missed` */
    bool started;
    int *set_aside; /* scratch of plan_pick */
};

const char *task_state_name(enum task_state s)
{
    static const char *const name[] = {
        [TASK_WAIT] = "wait", [TASK_READY] = "ready",   [TASK_RUN] = "run",        [TASK_HIT] = "hit",
        [TASK_DONE] = "ran",  [TASK_FAILED] = "failed", [TASK_SKIPPED] = "skipped"};
    return name[s];
}

struct plan *plan_new(int n, int cores)
{
    struct plan *p = xcalloc(1, sizeof *p);
    p->node = xcalloc((size_t)n, sizeof *p->node);
    p->priority = xcalloc((size_t)n, sizeof *p->priority);
    p->set_aside = xcalloc((size_t)n, sizeof *p->set_aside);
    p->running = xcalloc((size_t)cores, sizeof *p->running);
    p->held = -1;
    p->n = n;
    p->cores = p->free = cores;
    p->count[TASK_WAIT] = n;
    for (int i = 0; i < n; i++)
        p->node[i] = (struct node){.cores_min = 1, .cores_max = cores};
    heap_init(&p->ready, n, p->priority);
    heap_init(&p->missed, n, p->priority);
    return p;
}

void plan_free(struct plan *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->n; i++)
        free(p->node[i].next);
    free(p->node);
    free(p->priority);
    free(p->set_aside);
    free(p->running);
    heap_done(&p->ready);
    heap_done(&p->missed);
    free(p);
}

void plan_edge(struct plan *p, int from, int to)
{
    struct node *f = &p->node[from];
    f->next = xgrow(f->next, &f->cap_next, f->n_next + 1, sizeof *f->next);
    f->next[f->n_next++] = to;
    p->node[to].waits++;
}

void plan_task(struct plan *p, int task, double seconds, int cores_min, int cores_max)
{
    struct node *t = &p->node[task];
    t->seconds = seconds;
    t->cores_min = cores_min < 1 ? 1 : cores_min > p->cores ? p->cores : cores_min;
    t->cores_max = cores_max < 1 || cores_max > p->cores ? p->cores : cores_max;
    if (t->cores_max < t->cores_min)
        t->cores_max = t->cores_min;
}

void plan_estimate(struct plan *p, int task, double seconds)
{
    if (p->node[task].missed)
        p->work += seconds - p->node[task].seconds;
    p->node[task].seconds = seconds;
}

void plan_exclude(struct plan *p, int task)
{
    p->node[task].excluded = true;
}

void plan_hold(struct plan *p, int task)
{
    p->node[task].holds++;
    p->node[task].waits++;
}

static void set_state(struct plan *p, int task, enum task_state s)
{
    p->count[p->node[task].state]--;
    p->count[s]++;
    p->node[task].state = s;
}

/* Longest remaining path, tasks in reverse topological order (Kahn's algorithm gives the order). */
static void set_priorities(struct plan *p)
{
    int *order = xcalloc((size_t)p->n, sizeof *order);
    int *waits = xcalloc((size_t)p->n, sizeof *waits);
    int n = 0;
    for (int i = 0; i < p->n; i++)
        if ((waits[i] = p->node[i].waits - p->node[i].holds) == 0)
            order[n++] = i;
    for (int at = 0; at < n; at++) {
        const struct node *t = &p->node[order[at]];
        bool over = t->state == TASK_HIT || t->state == TASK_DONE; /* none waits for it any more */
        for (size_t k = 0; k < t->n_next; k++)
            if (!over && --waits[t->next[k]] == 0)
                order[n++] = t->next[k];
    }
    for (int at = n - 1; at >= 0; at--) {
        const struct node *t = &p->node[order[at]];
        double longest = 0;
        for (size_t k = 0; k < t->n_next; k++)
            if (p->priority[t->next[k]] > longest)
                longest = p->priority[t->next[k]];
        p->priority[order[at]] = longest + t->seconds;
    }
    free(order);
    free(waits);
}

void plan_prioritize(struct plan *p)
{
    set_priorities(p);
    heap_order(&p->ready);
}

static void make_ready(struct plan *p, int task)
{
    if (p->node[task].state != TASK_WAIT)
        return;
    set_state(p, task, TASK_READY);
    heap_push(&p->ready, task);
}

void plan_start(struct plan *p)
{
    set_priorities(p);
    p->started = true;
    for (int i = 0; i < p->n; i++)
        if (p->node[i].excluded)
            set_state(p, i, TASK_SKIPPED);
    for (int i = 0; i < p->n; i++)
        if (p->node[i].waits == 0)
            make_ready(p, i);
}

void plan_release(struct plan *p, int task)
{
    struct node *t = &p->node[task];
    if (t->holds == 0)
        return;
    t->holds--;
    if (--t->waits == 0 && p->started)
        make_ready(p, task);
}

int plan_next_ready(struct plan *p)
{
    int task;
    do
        task = heap_pop(&p->ready);
    while (task >= 0 && p->node[task].state != TASK_READY);
    return task;
}

static void finish(struct plan *p, int task, enum task_state s)
{
    set_state(p, task, s);
    const struct node *t = &p->node[task];
    for (size_t k = 0; k < t->n_next; k++)
        if (--p->node[t->next[k]].waits == 0)
            make_ready(p, t->next[k]);
}

void plan_hit(struct plan *p, int task)
{
    finish(p, task, TASK_HIT);
}

static void push_missed(struct plan *p, int task)
{
    heap_push(&p->missed, task);
    p->node[task].missed = true;
    p->demand += p->node[task].cores_max;
    p->work += p->node[task].seconds;
}

static int pop_missed(struct plan *p)
{
    int task = heap_pop(&p->missed);
    if (task < 0)
        return task;
    p->node[task].missed = false;
    p->demand -= p->node[task].cores_max;
    p->work = p->missed.n ? p->work - p->node[task].seconds : 0; /* no rounding stays behind */
    return task;
}

void plan_miss(struct plan *p, int task)
{
    push_missed(p, task);
}

/* `cores` cores shared by work among the tasks that could start now, so that a long one does not crawl on one
 * core because short ones began beside it; each gets one at least. What the others could not use anyway comes
 * on top. */
static int width(const struct plan *p, const struct node *t, int cores)
{
    double all = p->work + t->seconds;
    int64_t share = all > 0 ? (int64_t)(cores * t->seconds / all + 0.5) : cores / (p->missed.n + 1);
    int64_t left = cores - p->demand;
    if (share < left)
        share = left;
    if (share < t->cores_min)
        share = t->cores_min;
    if (share > cores)
        share = cores;
    return share < t->cores_max ? (int)share : t->cores_max;
}

/* Seconds until all that runs is done, at most: there is no clock here to say how long it ran already. */
static double until_idle(const struct plan *p)
{
    double longest = 0;
    for (int i = 0; i < p->n_running; i++) {
        const struct node *r = &p->node[p->running[i]];
        if (r->seconds / r->cores > longest)
            longest = r->seconds / r->cores;
    }
    return longest;
}

/* A task keeps its width to the end. So one that deserves more cores than are free waits for those at work,
 * if they end sooner than the wide run would save; what slips in meanwhile counts against that. */
static bool worth_waiting(const struct plan *p, const struct node *t)
{
    int now = width(p, t, p->free), later = width(p, t, p->cores);
    return p->n_running > 0 && later > now && until_idle(p) + t->held < t->seconds / now - t->seconds / later;
}

/* May t go ahead of the task that is held back? When it ends before that one can start. */
static bool may_slip_in(const struct plan *p, const struct node *t)
{
    return p->held < 0 || t->seconds / width(p, t, p->free) <= until_idle(p);
}

static void start(struct plan *p, int task)
{
    struct node *t = &p->node[task];
    t->cores = width(p, t, p->free);
    if (p->held >= 0)
        p->node[p->held].held += t->seconds / t->cores;
    p->free -= t->cores;
    p->running[p->n_running++] = task;
    set_state(p, task, TASK_RUN);
}

bool plan_pick(struct plan *p, int *ret_task, int *ret_cores)
{
    int aside = 0, task = -1;
    p->held = -1;
    while (p->free > 0 && (p->held < 0 || aside < LOOK) && (task = pop_missed(p)) >= 0) {
        const struct node *t = &p->node[task];
        bool fits = t->state == TASK_READY && t->cores_min <= p->free && may_slip_in(p, t);
        bool hold = fits && p->held < 0 && worth_waiting(p, t);
        if (fits && !hold)
            break;
        if (hold)
            p->held = task;
        if (t->state == TASK_READY)
            p->set_aside[aside++] = task;
        task = -1;
    }
    if (task >= 0) {
        start(p, task);
        *ret_task = task;
        *ret_cores = p->node[task].cores;
    }
    while (aside > 0)
        push_missed(p, p->set_aside[--aside]);
    return task >= 0;
}

int plan_held(const struct plan *p)
{
    return p->held;
}

static void stop_running(struct plan *p, int task)
{
    if (p->node[task].state != TASK_RUN)
        return;
    p->free += p->node[task].cores;
    for (int i = 0; i < p->n_running; i++)
        if (p->running[i] == task) {
            p->running[i] = p->running[--p->n_running];
            break;
        }
}

void plan_done(struct plan *p, int task)
{
    stop_running(p, task);
    finish(p, task, TASK_DONE);
}

void plan_retry(struct plan *p, int task)
{
    stop_running(p, task);
    set_state(p, task, TASK_READY);
    push_missed(p, task);
}

void plan_postpone(struct plan *p, int task)
{
    stop_running(p, task);
    set_state(p, task, TASK_READY);
}

static bool may_skip(enum task_state s)
{
    return s == TASK_WAIT || s == TASK_READY;
}

/* Breadth first over everything that needs `task`. */
static void skip_downstream(struct plan *p, int task)
{
    int head = 0, tail = 0;
    int *queue = p->set_aside;
    queue[tail++] = task;
    while (head < tail) {
        const struct node *t = &p->node[queue[head++]];
        for (size_t k = 0; k < t->n_next; k++)
            if (may_skip(p->node[t->next[k]].state)) {
                set_state(p, t->next[k], TASK_SKIPPED);
                queue[tail++] = t->next[k];
            }
    }
}

void plan_failed(struct plan *p, int task, bool keep_going)
{
    stop_running(p, task);
    set_state(p, task, TASK_FAILED);
    if (keep_going) {
        skip_downstream(p, task);
        return;
    }
    for (int i = 0; i < p->n; i++)
        if (may_skip(p->node[i].state))
            set_state(p, i, TASK_SKIPPED);
}

enum task_state plan_state(const struct plan *p, int task)
{
    return p->node[task].state;
}

bool plan_finished(const struct plan *p)
{
    return p->count[TASK_READY] + p->count[TASK_RUN] == 0;
}

int plan_count(const struct plan *p, enum task_state s)
{
    return p->count[s];
}

double plan_priority(const struct plan *p, int task)
{
    return p->priority[task];
}
