/* The records by stage and task, newest first. */
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/history_impl.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cost_input history_nominal_input(void)
{
    return (struct cost_input){.samples = 1000, .own = 1000, .chosen = 500, .bytes = 1 << 24};
}

struct record_cost history_nominal(const struct stage *s, const void *params)
{
    const struct task t = {.stage = s, .params = (void *)(uintptr_t)params};
    const struct cost_input in = history_nominal_input();
    return cost_of(&t, &in);
}

/* The parameters of a record, out of its key's lines "param NAME = VALUE"; imports are not among them. */
static bool read_params(const struct stage *s, const char *text, void *params, struct arena *a)
{
    param_defaults(s->params, params, a);
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t n = strcspn(line, "\n");
        if (strncmp(line, "param ", 6) != 0)
            continue;
        char *copy = arena_alloc(a, n + 1), *value;
        memcpy(copy, line, n);
        if (!(value = strstr(copy, " = ")))
            return false;
        *value = '\0';
        const struct param *row = param_find(s->params, copy + 6);
        AUTO_JSON j = row ? json_loads(value + 3, JSON_DECODE_ANY, NULL) : NULL;
        if (!j || !param_set(row, params, j, a, NULL))
            return false;
    }
    return true;
}

/* A record of a time when none told its cost, or by another rule: from its parameters, without the sizes of
 * its inputs. */
static void find_cost(struct history *h, struct run *r)
{
    const struct stage *s = stage_find(r->record.stage);
    AUTO(arena) struct arena a;
    struct record *whole;
    arena_init(&a);
    if (r->asked)
        return;
    r->asked = true;
    bool none = !(r->cost.flops > 0) && !r->cost.bytes && !r->cost.peak;
    if (r->record.told && (none || r->cost.rule == COST_RULE))
        return;
    r->cost = (struct record_cost){0};
    if (!s || !s->cost || !s->params)
        return;
    r->nominal = true;
    if (!store_get_record(h->store, r->record.key, &whole, NULL) || !whole)
        return;
    void *params = arena_alloc(&a, s->params_size);
    if (read_params(s, whole->text, params, &a))
        r->cost = history_nominal(s, params);
    record_free(whole);
}

/* ---- reading ---- */

static size_t index_of(json_t *names, const char *name, size_t *n)
{
    const json_t *known = json_object_get(names, name);
    if (known)
        return (size_t)json_integer_value(known);
    json_object_set_new(names, name, json_integer((json_int_t)*n));
    return (*n)++;
}

static size_t stage_index(struct history *h, const char *name)
{
    size_t before = h->n_stages, i = index_of(h->stages, name, &h->n_stages);
    h->stage = xgrow(h->stage, &h->cap_stages, h->n_stages, sizeof *h->stage);
    if (i == before)
        h->stage[i] = (struct of_stage){.name = name};
    return i;
}

static size_t task_index(struct history *h, const char *stage, size_t stage_number, const char *task)
{
    AUTO(mem) char *name = xprintf("%s %s", stage, task);
    size_t before = h->n_tasks, i = index_of(h->tasks, name, &h->n_tasks);
    h->task = xgrow(h->task, &h->cap_tasks, h->n_tasks, sizeof *h->task);
    if (i == before)
        h->task[i] = (struct of_task){.stage = (int)stage_number};
    return i;
}

static size_t host_index(struct history *h, const char *name)
{
    size_t before = h->n_hosts, i = index_of(h->hosts, name, &h->n_hosts);
    h->host = xgrow(h->host, &h->cap_hosts, h->n_hosts, sizeof *h->host);
    if (i == before)
        h->host[i] = (struct of_host){.name = name};
    return i;
}

static bool see(void *arg, const struct record_summary *m)
{
    struct history *h = arg;
    if (!(m->seconds > 0)) /* says nothing, and is no number to divide by */
        return true;
    size_t s = stage_index(h, m->stage), t = task_index(h, m->stage, s, m->task);
    struct of_stage *g = &h->stage[s];
    g->run = xgrow(g->run, &g->cap, g->n + 1, sizeof *g->run);
    g->run[g->n++] =
        (struct run){.record = *m, .cost = m->cost, .task = (int)t, .host = (int)host_index(h, m->node)};
    return true;
}

/* Newest first, whatever the order of the store's folders. */
static int by_age(const void *a, const void *b)
{
    const struct run *x = a, *y = b;
    int order = strcmp(y->record.when, x->record.when);
    return order ? order : memcmp(x->record.key, y->record.key, sizeof *x->record.key);
}

void history_read(struct history *h)
{
    if (h->read)
        return;
    gethostname(h->here, sizeof h->here - 1);
    host_index(h, h->here);
    h->host[0].factor = 1;
    h->read = true;
    (void)!store_each_summary(h->store, see, h, NULL); /* what cannot be read tells nothing */
    for (size_t s = 0; s < h->n_stages; s++) {
        struct of_stage *g = &h->stage[s];
        qsort(g->run, g->n, sizeof *g->run, by_age);
        for (size_t i = 0; i < g->n; i++)
            if (!h->task[g->run[i].task].newest)
                h->task[g->run[i].task].newest = &g->run[i];
    }
}

struct of_stage *history_stage_of(struct history *h, const char *name)
{
    const json_t *at = json_object_get(h->stages, name);
    return at ? &h->stage[json_integer_value(at)] : NULL;
}

struct of_task *history_task_of(struct history *h, const char *stage, const char *task)
{
    AUTO(mem) char *name = xprintf("%s %s", stage, task);
    const json_t *at = json_object_get(h->tasks, name);
    return at ? &h->task[json_integer_value(at)] : NULL;
}

/* ---- which of them count ---- */

void history_choose(struct history *h, struct of_stage *g)
{
    for (int here = 1; here >= 0; here--) /* other hosts' where there is none of this one */
        for (size_t i = 0; i < g->n; i++) {
            struct run *r = &g->run[i];
            struct of_task *t = &h->task[r->task];
            if ((r->host == 0) != here)
                continue;
            if (t->n < HISTORY_OWN && (here || !t->n || t->run[0]->host != 0)) {
                find_cost(h, r);
                t->run[t->n++] = r;
            }
            if (g->n_use < HISTORY_STAGE_RUNS && (here || !g->here)) {
                find_cost(h, r);
                g->use[g->n_use++] = r;
                g->here = here;
            }
        }
}
