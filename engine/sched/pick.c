/* Which task starts next, where, and for whom room is kept. List scheduling by priority; a task that has no
 * room keeps its place by a reservation, as in EASY backfilling (Lifka 1995): others may go ahead only when
 * that does not delay it, by what is known of times. */
#include "base/mem.h"
#include "engine/sched/plan_impl.h"
#include <math.h>
#include <stdlib.h>

#define LOOK    32   /* tasks of a group to look at for one that may go ahead: an event must stay cheap */
#define PASSED  64   /* tasks that may go ahead of one, whatever is known of times: times may be wrong */
#define OVERRUN 0.1  /* a task past its time will take this part of what it took, at least */
#define WORTH   0.98 /* waiting has to end sooner than this part of starting now */

struct reservation { /* for the task that has priority and no room, or not enough */
    int task, node;
    double at;   /* when it can start */
    int cores;   /* that it will have then */
    bool strict; /* nobody goes ahead any more */
};

static double end_of(const struct vertex *v, double now)
{
    return fmax(v->end, now + OVERRUN * (now - v->start));
}

/* Delayed tasks whose time came are missed again. */
static void wake(struct plan *p, double now)
{
    for (int i = p->n_delayed - 1; i >= 0; i--) {
        int task = p->delayed[i];
        if (p->vertex[task].state == TASK_READY && p->vertex[task].not_before > now)
            continue;
        p->delayed[i] = p->delayed[--p->n_delayed];
        if (p->vertex[task].state == TASK_READY)
            plan_join_missed(p, task);
    }
}

/* The first of a group; what was skipped or moved meanwhile goes. */
static int top_of(struct plan *p, size_t group)
{
    struct heap *h = &p->group[group].heap;
    int task;
    while ((task = heap_top(h)) >= 0 && !(p->vertex[task].missed && p->vertex[task].group == (int)group))
        heap_pop(h);
    return task;
}

/* The node where it starts now: where it gets the most cores, then where its inputs lie, then the fullest. */
static int best_node(const struct plan *p, const struct vertex *v, int *ret_cores)
{
    int best = -1;
    for (int i = 0; i < p->machine->n; i++) {
        if (!room_fits(p, v, i))
            continue;
        int cores = width_now(p, v, i, p->room[i].cores);
        bool better =
            best < 0 || cores > *ret_cores ||
            (cores == *ret_cores &&
             (i == v->near_node || (best != v->near_node && p->room[i].cores < p->room[best].cores)));
        if (better) {
            best = i;
            *ret_cores = cores;
        }
    }
    return best;
}

/* The first time at which a node has room, with all units free then that are now or will have been given
 * back: which ones those are is not followed, as units are few and seldom. */
static bool room_at(const struct plan *p, const struct vertex *v, int node, double now, double *ret)
{
    if (!room_could_fit(p, v, node))
        return false;
    *ret = now;
    if (room_fits(p, v, node))
        return true;
    for (int i = 0; i < p->n_running; i++) {
        const struct vertex *r = &p->vertex[p->running[i]];
        struct room later;
        if (r->node != node && r->ask.n_units == 0)
            continue;
        later = room_later(p, node, r->end);
        *ret = fmax(*ret, end_of(r, now)); /* one past its time may end after the next */
        if (room_holds(p, &later, v, node))
            return true;
    }
    return false; /* what it needs is not given back by what runs */
}

static struct reservation reserve(const struct plan *p, int task, double now)
{
    const struct vertex *v = &p->vertex[task];
    struct reservation r = {.task = -1, .at = HUGE_VAL, .strict = v->passed >= PASSED};
    for (int i = 0; i < p->machine->n; i++) {
        double at;
        if (!room_at(p, v, i, now, &at) || at >= r.at)
            continue;
        r.task = task;
        r.node = i;
        r.at = at;
    }
    if (r.task >= 0)
        r.cores = v->ask.cores_min;
    return r;
}

/* A task keeps its width to the end. So one that could have more cores when some of those at work are done
 * waits for them, if it then ends sooner than it would when it started now; once it has waited for as long as
 * it was to gain, it does not any more. */
static bool worth_waiting(const struct plan *p, int task, int node, int cores, double now,
                          struct reservation *ret)
{
    const struct vertex *v = &p->vertex[task];
    double start_now = work_seconds(&v->ask.work, cores), best = WORTH * start_now;
    *ret = (struct reservation){.task = -1, .strict = v->passed >= PASSED};
    if (!p->policy.wait || p->n_running == 0 || cores >= v->ask.cores_max ||
        (v->waited_from >= 0 && now - v->waited_from > start_now))
        return false;
    int free = p->room[node].cores;
    double at = now;
    for (int i = 0; i < p->n_running; i++) {
        const struct vertex *r = &p->vertex[p->running[i]];
        if (r->node != node)
            continue;
        free += r->cores;
        at = fmax(at, end_of(r, now));
        double wait = at - now;
        if (wait >= best)
            break;
        int later = width_now(p, v, node, free);
        if (wait + work_seconds(&v->ask.work, later) < best) {
            best = wait + work_seconds(&v->ask.work, later);
            *ret = (struct reservation){task, node, at, later, ret->strict};
        }
    }
    return ret->task >= 0;
}

/* Could units that v takes on a node be missing on another (or the same) one for k? */
static bool same_units(const struct plan *p, const struct vertex *v, const struct vertex *k, bool same_node)
{
    for (int i = 0; i < v->ask.n_units; i++)
        for (int j = 0; j < k->ask.n_units; j++)
            if (v->ask.units[i].unit == k->ask.units[j].unit &&
                (same_node || !p->machine->unit[v->ask.units[i].unit].per_node))
                return true;
    return false;
}

/* May v start on a node without delaying the one that room is kept for? */
static bool may_pass(const struct plan *p, const struct vertex *v, int node, int cores, double now,
                     const struct reservation *kept)
{
    if (kept->task < 0)
        return true;
    const struct vertex *k = &p->vertex[kept->task];
    bool units = same_units(p, v, k, node == kept->node);
    if (node != kept->node && !units)
        return true;
    if (kept->strict)
        return false;
    if (now + work_seconds(&v->ask.work, cores) <= kept->at)
        return true;
    if (units || k->ask.exclusive || v->ask.exclusive)
        return false;
    struct room later = room_later(p, node, kept->at);
    later.cores -= cores;
    later.memory -= v->ask.memory;
    return later.cores >= kept->cores &&
           (p->machine->node[node].memory <= 0 || later.memory >= k->ask.memory);
}

void plan_waits_no_more(struct plan *p, int task)
{
    p->vertex[task].waited_from = -1;
    p->vertex[task].passed = 0;
}

void plan_mark_begun(struct plan *p, int task, int cores, double now)
{
    struct vertex *v = &p->vertex[task];
    plan_leave_missed(p, task);
    plan_set_state(p, task, TASK_RUN);
    v->start = now;
    v->end = now + work_seconds(&v->ask.work, cores);
    v->gone = false;
}

void plan_add_running(struct plan *p, int task)
{
    const struct vertex *v = &p->vertex[task];
    p->running = xgrow(p->running, &p->cap_running, (size_t)p->n_running + 1, sizeof *p->running);
    int i = p->n_running++;
    for (; i > 0 && p->vertex[p->running[i - 1]].end > v->end; i--)
        p->running[i] = p->running[i - 1];
    p->running[i] = task;
}

static void begin(struct plan *p, int task, int node, int cores, double now, struct plan_choice *ret)
{
    plan_mark_begun(p, task, cores, now);
    room_take(p, task, node, cores);
    plan_waits_no_more(p, task);
    plan_add_running(p, task);
    *ret = (struct plan_choice){task, node, cores, p->vertex[task].place};
}

int plan_first_missed(struct plan *p, const bool *hopeless)
{
    int top = -1;
    for (size_t g = 0; g < p->n_groups; g++) {
        int task = top_of(p, g);
        if (task >= 0 && !(hopeless && hopeless[g]) && (top < 0 || heap_before(&p->ready, task, top)))
            top = task;
    }
    return top;
}

/* The first of a group that may go ahead; those before it come back. */
static int find_passing(struct plan *p, size_t group, double now, const struct reservation *kept, int *node,
                        int *cores)
{
    struct heap *h = &p->group[group].heap;
    int aside[LOOK], n = 0, found = -1, task;
    while (found < 0 && n < LOOK && (task = top_of(p, group)) >= 0) {
        const struct vertex *v = &p->vertex[task];
        *node = best_node(p, v, cores);
        if (*node < 0)
            break;
        heap_pop(h);
        aside[n++] = task;
        if (task != kept->task && may_pass(p, v, *node, *cores, now, kept))
            found = task;
    }
    while (n > 0)
        if (aside[--n] != found)
            heap_push(h, aside[n]);
    return found;
}

static bool pick_passing(struct plan *p, double now, const struct reservation *kept, struct plan_choice *ret)
{
    int best = -1, best_at = -1, best_cores = 0;
    for (size_t g = 0; g < p->n_groups; g++) {
        int node, cores = 0, task = find_passing(p, g, now, kept, &node, &cores);
        if (task < 0)
            continue;
        int other = best < 0 || heap_before(&p->ready, task, best) ? best : task;
        if (other != task) {
            best = task;
            best_at = node;
            best_cores = cores;
        }
        if (other >= 0)
            heap_push(&p->group[p->vertex[other].group].heap, other);
    }
    if (best < 0)
        return false;
    if (kept->task >= 0)
        p->vertex[kept->task].passed++;
    begin(p, best, best_at, best_cores, now, ret);
    return true;
}

/* Nothing that runs will ever give it what it needs, or nothing is there that could: others go on. */
static bool is_hopeless(const struct plan *p, int task, double now, struct reservation *kept)
{
    *kept = reserve(p, task, now);
    return kept->task < 0;
}

bool plan_pick(struct plan *p, double now, struct plan_choice *ret)
{
    p->held = -1;
    wake(p, now);
    bool *hopeless = xcalloc(p->n_groups + 1, sizeof *hopeless);
    struct reservation kept = {.task = -1};
    bool picked = false;
    int top;
    while (!picked && kept.task < 0 && (top = plan_first_missed(p, hopeless)) >= 0) {
        struct vertex *v = &p->vertex[top];
        int cores = 0, node = best_node(p, v, &cores);
        bool wait = node >= 0 && worth_waiting(p, top, node, cores, now, &kept);
        if (node >= 0 && !wait) {
            heap_pop(&p->group[v->group].heap);
            begin(p, top, node, cores, now, ret);
            picked = true;
        } else if (node < 0 && is_hopeless(p, top, now, &kept)) {
            hopeless[v->group] = true;
        } else if (v->waited_from < 0) {
            v->waited_from = now;
        }
    }
    free(hopeless);
    p->held = kept.task;
    return picked || (kept.task >= 0 && !p->policy.fifo && pick_passing(p, now, &kept, ret));
}

int plan_held(const struct plan *p)
{
    return p->held;
}
