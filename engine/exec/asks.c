#include "engine/exec/asks.h"
#include <math.h>

#define BACKOFF_MOST 3600.0 /* seconds */

/* Tasks that ask for nearly the same are alike to the scheduler: up to the next eighth of a power of two. */
static int64_t coarse(int64_t bytes)
{
    int64_t step = 1 << 20;
    while (step * 16 < bytes)
        step *= 2;
    return (bytes + step - 1) / step * step;
}

static int64_t most_memory(const struct machine *m)
{
    int64_t most = 0;
    for (int i = 0; i < m->n; i++) {
        if (m->node[i].memory <= 0)
            return 0; /* not known */
        most = m->node[i].memory > most ? m->node[i].memory : most;
    }
    return most;
}

int64_t ask_guess(const struct machine *m, int64_t bytes)
{
    int64_t most = most_memory(m), guess = coarse(bytes);
    return most > 0 && guess > most ? most : guess;
}

int64_t ask_memory(const struct task *t, const struct machine *m, int failed)
{
    int64_t most = most_memory(m);
    double growth = t->memory_growth > 0 ? pow(t->memory_growth, failed) : 1;
    double bytes = fmin((double)t->memory * growth, 9e18);
    return most > 0 && bytes > (double)most ? most : (int64_t)bytes;
}

double ask_backoff(const struct task *t, int failed)
{
    return failed > 0 ? fmin(t->backoff * pow(2, failed - 1), BACKOFF_MOST) : 0;
}

static bool add_units(const struct task *t, const struct machine *m, struct arena *mem, struct ask *ret,
                      struct error *err)
{
    struct ask_unit *unit = arena_alloc(mem, (size_t)(t->n_units + 1) * sizeof *unit);
    for (int i = 0; i < t->n_units; i++) {
        const struct task_unit *u = &t->unit[i];
        int at = machine_unit(m, u->name), has = at < 0 ? 0 : m->unit[at].count;
        if (has < u->count)
            return error_set(err, &u->pos, ERROR_INPUT,
                             "task '%s' asks for %d of '%s'; there are %d: say what this machine has by "
                             "--unit %s=%d",
                             t->name, u->count, u->name, has, u->name, u->count);
        unit[i] = (struct ask_unit){at, u->count};
    }
    ret->units = unit;
    ret->n_units = t->n_units;
    return true;
}

bool ask_make(const struct task *t, const struct machine *m, const struct history_cost *c, struct arena *mem,
              struct ask *ret, struct error *err)
{
    int64_t most = most_memory(m);
    *ret = (struct ask){.work = c->work,
                        .cores_min = t->cores_min,
                        .cores_max = t->cores_max,
                        .exclusive = t->exclusive,
                        .policy = t->spread ? TOPO_SPREAD : TOPO_COMPACT};
    if (most > 0 && t->memory > most)
        return error_set(err, &t->pos, ERROR_INPUT,
                         "task '%s' asks for %lld MiB of memory; the most that a node has free is %lld MiB",
                         t->name, (long long)(t->memory >> 20), (long long)(most >> 20));
    ret->memory = t->memory ? t->memory : ask_guess(m, c->memory);
    return add_units(t, m, mem, ret, err);
}
