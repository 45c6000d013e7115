#include "engine/sched/machine.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

static bool open_node(const struct machine_options *o, int number, struct machine_node *ret,
                      struct error *err)
{
    *ret = (struct machine_node){.name = o->nodes > 0 ? xprintf("node%d", number) : xstrdup("")};
    if (!topo_open(&o->topo, &ret->topo, err))
        return false;
    ret->cores = topo_cores(ret->topo);
    ret->memory = topo_memory(ret->topo);
    if (o->cores > ret->cores)
        return error_set(err, NULL, ERROR_INPUT, "%d cores asked for, but %s %d", o->cores,
                         o->topo.source ? "the machine described has" : "this process may use", ret->cores);
    ret->cores = o->cores > 0 ? o->cores : ret->cores;
    return true;
}

bool machine_open(const struct machine_options *o, struct machine *ret, struct error *err)
{
    int nodes = o->nodes > 0 ? o->nodes : 1;
    *ret = (struct machine){.node = xcalloc((size_t)nodes, sizeof *ret->node)};
    ret->unit = xcalloc((size_t)o->n_units + 1, sizeof *ret->unit);
    for (; ret->n_units < o->n_units; ret->n_units++)
        ret->unit[ret->n_units] = o->units[ret->n_units];
    for (int i = 0; i < nodes; i++) {
        ret->n = i + 1; /* what was begun is closed too */
        if (!open_node(o, i, &ret->node[i], err)) {
            machine_done(ret);
            return false;
        }
    }
    return true;
}

int machine_cores(const struct machine *m)
{
    int sum = 0;
    for (int i = 0; i < m->n; i++)
        sum += m->node[i].cores;
    return sum;
}

int machine_widest(const struct machine *m)
{
    int widest = 0;
    for (int i = 0; i < m->n; i++)
        widest = m->node[i].cores > widest ? m->node[i].cores : widest;
    return widest;
}

int machine_unit(const struct machine *m, const char *name)
{
    for (int i = 0; i < m->n_units; i++)
        if (strcmp(m->unit[i].name, name) == 0)
            return i;
    return -1;
}

void machine_done(struct machine *m)
{
    for (int i = 0; i < m->n; i++) {
        topo_close(m->node[i].topo);
        free(m->node[i].name);
    }
    free(m->node);
    free(m->unit);
    *m = (struct machine){0};
}
