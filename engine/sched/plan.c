#include "engine/sched/plan.h"
#include "base/mem.h"
#include "engine/sched/plan_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TICKS_MOST 1e13 /* 100 days: the sum over 900,000 tasks still fits */

const char *task_state_name(enum task_state s)
{
    static const char *const name[] = {
        [TASK_WAIT] = "wait", [TASK_READY] = "ready",   [TASK_RUN] = "run",        [TASK_HIT] = "hit",
        [TASK_DONE] = "ran",  [TASK_FAILED] = "failed", [TASK_SKIPPED] = "skipped"};
    return name[s];
}

struct plan *plan_new(int n, struct machine *m)
{
    struct plan *p = xcalloc(1, sizeof *p);
    *p = (struct plan){
        .machine = m, .n = n, .cores = machine_cores(m), .widest = machine_widest(m), .held = -1};
    p->policy = policy_share; /* until priorities are set by all that is known */
    p->vertex = xcalloc((size_t)n + 1, sizeof *p->vertex);
    p->priority = xcalloc((size_t)n + 1, sizeof *p->priority);
    p->scratch = xcalloc((size_t)n + 1, sizeof *p->scratch);
    p->count[TASK_WAIT] = n;
    const struct ask nothing = {0};
    for (int i = 0; i < n; i++) {
        p->vertex[i] = (struct vertex){.near_task = -1, .near_node = -1, .waited_from = -1};
        plan_task(p, i, &nothing);
    }
    heap_init(&p->ready, p->priority);
    room_init(p);
    return p;
}

void plan_free(struct plan *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->n; i++) {
        if (p->vertex[i].state == TASK_RUN && !p->vertex[i].gone)
            room_give(p, i);
        free(p->vertex[i].next);
        free(p->vertex[i].near);
    }
    for (size_t i = 0; i < p->n_groups; i++)
        heap_done(&p->group[i].heap);
    room_free(p);
    heap_done(&p->ready);
    free(p->vertex);
    free(p->priority);
    free(p->scratch);
    free(p->running);
    free(p->group);
    free(p->delayed);
    free(p);
}

void plan_edge(struct plan *p, int from, int to)
{
    struct vertex *f = &p->vertex[from];
    f->next = xgrow(f->next, &f->cap_next, f->n_next + 1, sizeof *f->next);
    f->next[f->n_next++] = to;
    p->vertex[to].waits++;
}

void plan_task(struct plan *p, int task, const struct ask *ask)
{
    struct ask *a = &p->vertex[task].ask;
    *a = *ask;
    a->cores_min = ask->cores_min < 1 ? 1 : ask->cores_min > p->widest ? p->widest : ask->cores_min;
    a->cores_max = ask->cores_max < 1 || ask->cores_max > p->widest ? p->widest : ask->cores_max;
    if (a->cores_max < a->cores_min)
        a->cores_max = a->cores_min;
    p->vertex[task].width = a->cores_min;
}

bool plan_fits(const struct plan *p, int task)
{
    for (int i = 0; i < p->machine->n; i++)
        if (room_could_fit(p, &p->vertex[task], i))
            return true;
    return false;
}

double plan_one_core(const struct vertex *v)
{
    return work_seconds(&v->ask.work, 1);
}

int64_t plan_ticks(const struct vertex *v)
{
    return (int64_t)fmin(plan_one_core(v) * 1e6, TICKS_MOST);
}

/* The sums over what is missed follow. */
void plan_estimate(struct plan *p, int task, const struct work *w)
{
    struct vertex *v = &p->vertex[task];
    if (v->missed)
        p->work -= plan_ticks(v);
    v->ask.work = *w;
    if (v->missed)
        p->work += plan_ticks(v);
}

/* What asks for something else is of another group. */
void plan_remember(struct plan *p, int task, int64_t memory)
{
    bool missed = p->vertex[task].missed;
    if (memory == p->vertex[task].ask.memory)
        return;
    if (missed)
        plan_leave_missed(p, task);
    p->vertex[task].ask.memory = memory;
    if (missed)
        plan_join_missed(p, task);
}

void plan_exclude(struct plan *p, int task)
{
    p->vertex[task].excluded = true;
}

void plan_hold(struct plan *p, int task)
{
    p->vertex[task].holds++;
    p->vertex[task].waits++;
}

void plan_set_state(struct plan *p, int task, enum task_state s)
{
    p->count[p->vertex[task].state]--;
    p->count[s]++;
    p->vertex[task].state = s;
}

bool plan_is_open(const struct plan *p, int task)
{
    enum task_state s = p->vertex[task].state;
    return (s == TASK_WAIT || s == TASK_READY) && !p->vertex[task].excluded;
}

/* Kahn's algorithm; what is over is not waited for any more. */
int *plan_order(const struct plan *p, int *ret_n)
{
    int *order = xcalloc((size_t)p->n + 1, sizeof *order);
    int *waits = xcalloc((size_t)p->n + 1, sizeof *waits);
    int n = 0;
    for (int i = 0; i < p->n; i++)
        if ((waits[i] = p->vertex[i].waits - p->vertex[i].holds) == 0)
            order[n++] = i;
    for (int at = 0; at < n; at++) {
        const struct vertex *v = &p->vertex[order[at]];
        bool over = v->state == TASK_HIT || v->state == TASK_DONE;
        for (size_t k = 0; k < v->n_next; k++)
            if (!over && --waits[v->next[k]] == 0)
                order[n++] = v->next[k];
    }
    free(waits);
    *ret_n = n;
    return order;
}

/* Longest remaining path, tasks in reverse topological order. */
void plan_priorities(struct plan *p)
{
    int n, *order = plan_order(p, &n);
    for (int at = n - 1; at >= 0; at--) {
        const struct vertex *v = &p->vertex[order[at]];
        double longest = 0;
        for (size_t k = 0; k < v->n_next; k++)
            longest = fmax(longest, p->priority[v->next[k]]);
        p->priority[order[at]] = longest + work_seconds(&v->ask.work, v->width > 0 ? v->width : 1);
    }
    for (int i = 0; p->policy.fifo && i < p->n; i++)
        p->priority[i] = -i;
    free(order);
}

void plan_prioritize(struct plan *p)
{
    plan_priorities(p);
    width_choose(p);
    heap_order(&p->ready);
    for (size_t i = 0; i < p->n_groups; i++)
        heap_order(&p->group[i].heap);
}

static void make_ready(struct plan *p, int task)
{
    if (p->vertex[task].state != TASK_WAIT)
        return;
    plan_set_state(p, task, TASK_READY);
    heap_push(&p->ready, task);
}

void plan_start(struct plan *p)
{
    plan_priorities(p);
    p->started = true;
    for (int i = 0; i < p->n; i++)
        if (p->vertex[i].excluded)
            plan_set_state(p, i, TASK_SKIPPED);
    for (int i = 0; i < p->n; i++)
        if (p->vertex[i].waits == 0)
            make_ready(p, i);
}

void plan_release(struct plan *p, int task)
{
    struct vertex *v = &p->vertex[task];
    if (v->holds == 0)
        return;
    v->holds--;
    if (--v->waits == 0 && p->started)
        make_ready(p, task);
}

int plan_next_ready(struct plan *p)
{
    int task;
    do
        task = heap_pop(&p->ready);
    while (task >= 0 && p->vertex[task].state != TASK_READY);
    return task;
}

/* What needs it had better run where it lies; of several that it needs, near the one that took longest. */
static void draw_near(struct plan *p, int from, int to)
{
    const struct vertex *f = &p->vertex[from];
    struct vertex *v = &p->vertex[to];
    const struct vertex *n = v->near_task < 0 ? NULL : &p->vertex[v->near_task];
    if (f->state != TASK_RUN || (n && (plan_one_core(n) > plan_one_core(f) ||
                                       (plan_one_core(n) == plan_one_core(f) && v->near_task < from))))
        return;
    free(v->near);
    v->near = f->place ? xstrdup(place_cpuset(f->place)) : NULL;
    v->near_task = from;
    v->near_node = f->node;
}

void plan_draw_near(struct plan *p, int from)
{
    const struct vertex *v = &p->vertex[from];
    for (size_t k = 0; k < v->n_next; k++)
        draw_near(p, from, v->next[k]);
}

static void finish(struct plan *p, int task, enum task_state s)
{
    plan_set_state(p, task, s);
    const struct vertex *v = &p->vertex[task];
    for (size_t k = 0; k < v->n_next; k++)
        if (--p->vertex[v->next[k]].waits == 0)
            make_ready(p, v->next[k]);
}

void plan_hit(struct plan *p, int task)
{
    finish(p, task, TASK_HIT);
}

static bool same_ask(const struct ask *a, const struct ask *b)
{
    if (a->cores_min != b->cores_min || a->memory != b->memory || a->exclusive != b->exclusive ||
        a->n_units != b->n_units)
        return false;
    for (int i = 0; i < a->n_units; i++)
        if (a->units[i].unit != b->units[i].unit || a->units[i].count != b->units[i].count)
            return false;
    return true;
}

static int group_of(struct plan *p, const struct ask *ask)
{
    for (size_t i = 0; i < p->n_groups; i++)
        if (same_ask(&p->group[i].ask, ask))
            return (int)i;
    p->group = xgrow(p->group, &p->cap_groups, p->n_groups + 1, sizeof *p->group);
    struct group *g = &p->group[p->n_groups];
    g->ask = *ask;
    heap_init(&g->heap, p->priority);
    return (int)p->n_groups++;
}

void plan_join_missed(struct plan *p, int task)
{
    struct vertex *v = &p->vertex[task];
    v->group = group_of(p, &v->ask);
    heap_push(&p->group[v->group].heap, task);
    v->missed = true;
    p->n_missed++;
    p->demand += v->ask.cores_max;
    p->wanted += v->width;
    p->work += plan_ticks(v);
}

void plan_leave_missed(struct plan *p, int task)
{
    struct vertex *v = &p->vertex[task];
    v->missed = false;
    p->n_missed--;
    p->demand -= v->ask.cores_max;
    p->wanted -= v->width;
    p->work -= plan_ticks(v);
}

void plan_miss(struct plan *p, int task)
{
    plan_join_missed(p, task);
}

void plan_drop_running(struct plan *p, int task)
{
    int i = 0;
    while (p->running[i] != task)
        i++;
    p->n_running--;
    memmove(&p->running[i], &p->running[i + 1], (size_t)(p->n_running - i) * sizeof *p->running);
}

static void stop_running(struct plan *p, int task)
{
    struct vertex *v = &p->vertex[task];
    if (v->state != TASK_RUN || v->gone)
        return;
    v->gone = true;
    room_give(p, task);
    plan_drop_running(p, task);
    plan_waits_no_more(p, task); /* it began behind another, and may be retried */
}

void plan_leave(struct plan *p, int task)
{
    if (!p->vertex[task].gone)
        plan_draw_near(p, task);
    stop_running(p, task);
}

/* An edge may be there twice: they are all taken away, and put back. */
bool plan_opens(struct plan *p, int task)
{
    const struct vertex *v = &p->vertex[task];
    bool opens = false;
    for (size_t k = 0; k < v->n_next; k++)
        opens = --p->vertex[v->next[k]].waits == 0 || opens;
    for (size_t k = 0; k < v->n_next; k++)
        p->vertex[v->next[k]].waits++;
    return opens;
}

void plan_done(struct plan *p, int task)
{
    plan_leave(p, task);
    finish(p, task, TASK_DONE);
}

void plan_retry(struct plan *p, int task, double at)
{
    stop_running(p, task);
    plan_set_state(p, task, TASK_READY);
    p->vertex[task].not_before = at;
    p->delayed = xgrow(p->delayed, &p->cap_delayed, (size_t)p->n_delayed + 1, sizeof *p->delayed);
    p->delayed[p->n_delayed++] = task;
}

double plan_due(const struct plan *p)
{
    double due = HUGE_VAL;
    for (int i = 0; i < p->n_delayed; i++)
        if (p->vertex[p->delayed[i]].state == TASK_READY) /* others came to an end meanwhile */
            due = fmin(due, p->vertex[p->delayed[i]].not_before);
    return due;
}

void plan_postpone(struct plan *p, int task)
{
    stop_running(p, task);
    plan_set_state(p, task, TASK_READY);
}

static void skip(struct plan *p, int task)
{
    if (p->vertex[task].missed)
        plan_leave_missed(p, task);
    plan_set_state(p, task, TASK_SKIPPED);
}

static bool may_skip(enum task_state s)
{
    return s == TASK_WAIT || s == TASK_READY;
}

/* Breadth first over everything that needs `task`. */
static void skip_downstream(struct plan *p, int task)
{
    int head = 0, tail = 0;
    int *queue = p->scratch;
    queue[tail++] = task;
    while (head < tail) {
        const struct vertex *v = &p->vertex[queue[head++]];
        for (size_t k = 0; k < v->n_next; k++)
            if (may_skip(p->vertex[v->next[k]].state)) {
                skip(p, v->next[k]);
                queue[tail++] = v->next[k];
            }
    }
}

void plan_skip_rest(struct plan *p)
{
    for (int i = 0; i < p->n; i++)
        if (may_skip(p->vertex[i].state))
            skip(p, i);
}

void plan_failed(struct plan *p, int task, bool keep_going)
{
    stop_running(p, task);
    if (p->vertex[task].missed)
        plan_leave_missed(p, task);
    plan_set_state(p, task, TASK_FAILED);
    if (keep_going) {
        skip_downstream(p, task);
        return;
    }
    plan_skip_rest(p);
}

void plan_node(struct plan *p, int node, bool there)
{
    p->room[node].there = there;
}

enum task_state plan_state(const struct plan *p, int task)
{
    return p->vertex[task].state;
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
