#include "engine/cli/machineopt.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include <stdlib.h>

static bool number(const struct cmd_args *a, const char *name, int *ret, struct error *err)
{
    const struct opt_value *o = cmd_opt(a, name);
    if (o->set && (o->number < 1 || o->number > 100000))
        return error_set(err, NULL, ERROR_INPUT, "--%s takes a number from 1 to 100000", name);
    *ret = (int)o->number;
    return true;
}

bool machineopt_read(const struct cmd_args *a, struct machineopt *ret, struct error *err)
{
    const struct opt_value *units = cmd_opt(a, "unit");
    *ret = (struct machineopt){0};
    struct machine_options *o = &ret->options;
    o->topo.source = cmd_opt(a, "topology")->string;
    o->topo.threads = cmd_opt(a, "threads")->set;
    if (!number(a, "nodes", &o->nodes, err) || !number(a, "cores", &o->cores, err) ||
        !unitlist_read(units->list, units->n, &ret->units, err) ||
        (!o->topo.source && !unitlist_find_gpus(&ret->units, "/dev", getenv("CUDA_VISIBLE_DEVICES"), err)))
        return false;
    o->units = ret->units.unit;
    o->n_units = ret->units.n;
    return true;
}

/* More cores than this machine has are those of a described one. */
bool machineopt_open(struct machineopt *m, struct error *err)
{
    struct machine_options o = m->options;
    if (o.topo.source)
        return machine_open(&o, &m->machine, err);
    o.cores = 0;
    if (!machine_open(&o, &m->machine, err))
        return false;
    if (m->options.cores <= m->machine.node[0].cores) {
        for (int i = 0; m->options.cores > 0 && i < m->machine.n; i++)
            m->machine.node[i].cores = m->options.cores;
        return true;
    }
    AUTO(mem) char *described = xprintf("core:%d", m->options.cores);
    o.topo.source = described;
    machine_done(&m->machine);
    return machine_open(&o, &m->machine, err);
}

void machineopt_done(struct machineopt *m)
{
    machine_done(&m->machine); /* the units outlive it */
    unitlist_done(&m->units);
    *m = (struct machineopt){0};
}
