#include "engine/cli/graphview.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/targets.h"
#include <string.h>

struct maker {
    const struct spec *spec;
    const struct graph_options *o;
    struct arena *arena;
    struct graphview *ret;
    int *node_of;  /* by task index */
    json_t *stems; /* name of a stage in the file -> how many wanted tasks; then its group or node */
    json_t *seen;  /* edges: "FROM TO" */
    size_t cap;
};

static const char *stem(struct arena *a, const struct task *t)
{
    return arena_printf(a, "%.*s", (int)strcspn(t->name, "["), t->name);
}

/* A task that stands in brackets belongs to a group, even when its stage has one alone. */
static bool grouped(const struct task *t)
{
    return strchr(t->name, '[') != NULL;
}

static int number_of(json_t *names, const char *name, int *n)
{
    const json_t *known = json_object_get(names, name);
    if (known)
        return (int)json_integer_value(known);
    json_object_set_new(names, name, json_integer(*n));
    return (*n)++;
}

static void count_state(struct graph_node *n, enum resolution state)
{
    n->hit += state == RESOLVE_HIT;
    n->miss += state == RESOLVE_MISS;
    n->wait += state == RESOLVE_WAIT;
}

static void add_task(struct maker *m, const struct task *t)
{
    struct graphview *g = m->ret;
    const char *name = stem(m->arena, t);
    int at, before = g->n;
    if (m->o->collapse) {
        at = number_of(m->stems, name, &g->n);
    } else {
        at = g->n++;
        int groups = g->n_groups, group = grouped(t) ? number_of(m->stems, name, &g->n_groups) : -1;
        if (g->n_groups > groups)
            g->group[group] = name;
        g->node[at].group = group;
    }
    struct graph_node *n = &g->node[at];
    if (at == before)
        *n = (struct graph_node){.name = m->o->collapse ? name : t->name,
                                 .stage = t->stage->name,
                                 .group = m->o->collapse ? -1 : n->group};
    n->tasks++;
    m->node_of[t->index] = at;
    if (m->o->states)
        count_state(n, m->o->states[t->index]);
}

static void add_edge(struct maker *m, int from, int to)
{
    AUTO(mem) char *name = xprintf("%d %d", from, to);
    struct graphview *g = m->ret;
    if (from == to || json_object_get(m->seen, name)) /* an edge inside a group says nothing about groups */
        return;
    json_object_set_new(m->seen, name, json_true());
    if ((size_t)g->n_edges == m->cap) {
        struct graph_edge *more = arena_alloc(m->arena, (2 * m->cap + 16) * sizeof *more);
        if (g->n_edges)
            memcpy(more, g->edge, (size_t)g->n_edges * sizeof *more);
        g->edge = more;
        m->cap = 2 * m->cap + 16;
    }
    g->edge[g->n_edges++] = (struct graph_edge){from, to};
}

void graphview_make(const struct spec *s, const struct graph_options *o, struct arena *a,
                    struct graphview *ret)
{
    AUTO_JSON stems = json_object();
    AUTO_JSON seen = json_object();
    size_t room = (size_t)s->n + 1;
    *ret = (struct graphview){.title = s->experiment,
                              .node = arena_alloc(a, room * sizeof *ret->node),
                              .group = arena_alloc(a, room * sizeof *ret->group)};
    struct maker m = {.spec = s,
                      .o = o,
                      .arena = a,
                      .ret = ret,
                      .node_of = arena_alloc(a, room * sizeof *m.node_of),
                      .stems = stems,
                      .seen = seen};
    for (int i = 0; i < s->n; i++) {
        const struct task_ref *ref;
        if (!o->wanted[i])
            continue;
        add_task(&m, s->task[i]);
        for (int k = 0; (ref = task_input_at(s->task[i], k)); k++)
            add_edge(&m, m.node_of[ref->task->index], m.node_of[i]);
    }
}

const char *graph_state(const struct graph_node *n)
{
    return n->miss ? "run" : n->wait ? "wait" : n->hit ? "hit" : NULL;
}

void graph_label(const struct graph_node *n, struct buf *out)
{
    const struct {
        int n;
        const char *what;
    } part[] = {{n->hit, "hit"}, {n->miss, "run"}, {n->wait, "wait"}};
    buf_puts(out, n->name);
    if (n->tasks == 1)
        return;
    buf_printf(out, " x%d", n->tasks);
    const char *separator = ": ";
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        if (part[i].n) {
            buf_printf(out, "%s%d %s", separator, part[i].n, part[i].what);
            separator = ", ";
        }
}
