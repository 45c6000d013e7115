/* What is free on each node: cores, memory, named resources, and the node as a whole. */
#include "base/mem.h"
#include "engine/sched/plan_impl.h"
#include <stdlib.h>

static bool **units_of(const struct plan *p, int unit, int node)
{
    return &p->taken[unit * p->machine->n + (p->machine->unit[unit].per_node ? node : 0)];
}

void room_init(struct plan *p)
{
    const struct machine *m = p->machine;
    p->room = xcalloc((size_t)m->n, sizeof *p->room);
    for (int i = 0; i < m->n; i++)
        p->room[i] = (struct room){.there = true, .cores = m->node[i].cores, .memory = m->node[i].memory};
    p->taken = xcalloc((size_t)(m->n_units * m->n) + 1, sizeof *p->taken);
    for (int u = 0; u < m->n_units; u++)
        for (int i = 0; i < (m->unit[u].per_node ? m->n : 1); i++)
            *units_of(p, u, i) = xcalloc((size_t)m->unit[u].count + 1, sizeof(bool));
}

void room_free(struct plan *p)
{
    for (int i = 0; i < p->machine->n_units * p->machine->n; i++)
        free(p->taken[i]);
    free(p->taken);
    free(p->room);
}

static int units_free(const struct plan *p, int unit, int node)
{
    int n = 0;
    const bool *taken = *units_of(p, unit, node);
    for (int i = 0; i < p->machine->unit[unit].count; i++)
        n += !taken[i];
    return n;
}

/* All but named resources. */
bool room_holds(const struct plan *p, const struct room *r, const struct vertex *v, int node)
{
    return r->there && !r->exclusive && r->cores >= v->ask.cores_min &&
           (p->machine->node[node].memory <= 0 || r->memory >= v->ask.memory) &&
           (!v->ask.exclusive || r->running == 0);
}

bool room_fits(const struct plan *p, const struct vertex *v, int node)
{
    if (!room_holds(p, &p->room[node], v, node))
        return false;
    for (int i = 0; i < v->ask.n_units; i++)
        if (units_free(p, v->ask.units[i].unit, node) < v->ask.units[i].count)
            return false;
    return true;
}

bool room_could_fit(const struct plan *p, const struct vertex *v, int node)
{
    const struct machine_node *m = &p->machine->node[node];
    const struct room idle = {.there = p->room[node].there, .cores = m->cores, .memory = m->memory};
    if (!room_holds(p, &idle, v, node))
        return false;
    for (int i = 0; i < v->ask.n_units; i++)
        if (p->machine->unit[v->ask.units[i].unit].count < v->ask.units[i].count)
            return false;
    return true;
}

/* By the node that comes nearest; one that has room waits for more cores. */
enum lack room_lack(const struct plan *p, const struct vertex *v)
{
    enum lack lack = LACK_CORES;
    for (int i = 0; i < p->machine->n; i++)
        if (room_fits(p, v, i))
            return LACK_CORES;
    for (int i = 0; i < p->machine->n; i++) {
        const struct room *r = &p->room[i];
        if (!r->there || r->exclusive || r->cores < v->ask.cores_min || (v->ask.exclusive && r->running > 0))
            continue;
        if (room_holds(p, r, v, i))
            return LACK_UNIT;
        lack = LACK_MEMORY;
    }
    return lack;
}

struct room room_later(const struct plan *p, int node, double until)
{
    struct room r = p->room[node];
    for (int i = 0; i < p->n_running; i++) {
        const struct vertex *v = &p->vertex[p->running[i]];
        if (v->node != node || v->end > until)
            continue;
        r.cores += v->cores;
        r.memory += v->ask.memory;
        r.running--;
        r.exclusive = r.exclusive && !v->ask.exclusive;
    }
    return r;
}

/* The lowest ids that are free. */
static void take_units(struct plan *p, struct vertex *v)
{
    int n = 0, at = 0;
    for (int i = 0; i < v->ask.n_units; i++)
        n += v->ask.units[i].count;
    v->unit = n ? xcalloc((size_t)n, sizeof *v->unit) : NULL;
    for (int i = 0; i < v->ask.n_units; i++) {
        const struct machine_unit *u = &p->machine->unit[v->ask.units[i].unit];
        bool *taken = *units_of(p, v->ask.units[i].unit, v->node);
        for (int k = 0, left = v->ask.units[i].count; left > 0 && k < u->count; k++)
            if (!taken[k]) {
                taken[k] = true;
                v->unit[at++] = k;
                left--;
            }
    }
}

static void give_units(struct plan *p, struct vertex *v)
{
    for (int i = 0, at = 0; i < v->ask.n_units; i++)
        for (int k = 0; k < v->ask.units[i].count; k++)
            (*units_of(p, v->ask.units[i].unit, v->node))[v->unit[at++]] = false;
    free(v->unit);
    v->unit = NULL;
}

int plan_units(const struct plan *p, int task, int unit, const int **ret_id)
{
    const struct vertex *v = &p->vertex[task];
    for (int i = 0, at = 0; v->unit && i < v->ask.n_units; at += v->ask.units[i++].count)
        if (v->ask.units[i].unit == unit) {
            *ret_id = v->unit + at;
            return v->ask.units[i].count;
        }
    return 0;
}

void room_take(struct plan *p, int task, int node, int cores)
{
    struct vertex *v = &p->vertex[task];
    struct room *r = &p->room[node];
    struct topo *topo = p->machine->node[node].topo;
    v->node = node;
    v->cores = cores;
    r->cores -= cores;
    r->memory -= v->ask.memory;
    r->running++;
    r->exclusive = v->ask.exclusive;
    take_units(p, v);
    v->place = topo ? topo_reserve(topo, cores, v->ask.policy, v->near_node == node ? v->near : NULL) : NULL;
}

void room_give(struct plan *p, int task)
{
    struct vertex *v = &p->vertex[task];
    struct room *r = &p->room[v->node];
    r->cores += v->cores;
    r->memory += v->ask.memory;
    r->running--;
    r->exclusive = false;
    give_units(p, v);
    if (v->place)
        topo_release(p->machine->node[v->node].topo, v->place);
    v->place = NULL;
}
