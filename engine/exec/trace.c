/* Bars and marks out of a run's events. */
#include "engine/exec/trace.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/runlog.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void trace_init(struct trace *t, const char *run)
{
    *t = (struct trace){.experiment = "", .host = "", .open = json_object()};
    arena_init(&t->mem);
    t->run = arena_strdup(&t->mem, run);
}

void trace_done(struct trace *t)
{
    json_decref(t->open);
    free(t->bar);
    free(t->mark);
    arena_done(&t->mem);
    *t = (struct trace){0};
}

static const char *copy(struct trace *t, const char *text)
{
    return text && *text ? arena_strdup(&t->mem, text) : "";
}

void trace_add(struct trace *t, const struct trace_bar *bar)
{
    t->bar = xgrow(t->bar, &t->cap, t->n + 1, sizeof *t->bar);
    t->bar[t->n++] = (struct trace_bar){.task = copy(t, bar->task),
                                        .stage = copy(t, bar->stage),
                                        .node = copy(t, bar->node),
                                        .cpuset = copy(t, bar->cpuset),
                                        .cores = bar->cores > 0 ? bar->cores : 1,
                                        .start = bar->start,
                                        .end = bar->end,
                                        .state = copy(t, bar->state),
                                        .key = copy(t, bar->key)};
}

static size_t open_bar(const struct trace *t, const char *task)
{
    const json_t *at = task ? json_object_get(t->open, task) : NULL;
    return at ? (size_t)json_integer_value(at) : TRACE_NO_BAR;
}

static void close_bar(struct trace *t, size_t i, double at, const char *state, const char *key)
{
    struct trace_bar *b = &t->bar[i];
    b->end = at > b->start ? at : b->start;
    b->state = copy(t, state);
    b->key = copy(t, key);
    json_object_del(t->open, b->task);
}

static void start(struct trace *t, const struct trace_event *e, double at)
{
    size_t old = open_bar(t, e->task);
    if (old != TRACE_NO_BAR) /* planned anew: that attempt's result was not kept */
        close_bar(t, old, at, "cut off", "");
    trace_add(t, &(struct trace_bar){.task = e->task,
                                     .stage = e->stage,
                                     .node = e->node ? e->node : t->host,
                                     .cpuset = e->cpuset ? e->cpuset : e->text,
                                     .cores = e->cores,
                                     .start = at,
                                     .end = at,
                                     .state = "cut off"});
    json_object_set_new(t->open, t->bar[t->n - 1].task, json_integer((json_int_t)t->n - 1));
}

static void mark(struct trace *t, const struct trace_event *e, double at)
{
    t->mark = xgrow(t->mark, &t->cap_marks, t->n_marks + 1, sizeof *t->mark);
    t->mark[t->n_marks++] = (struct trace_mark){.bar = open_bar(t, e->task),
                                                .name = copy(t, e->name ? e->name : e->event),
                                                .text = copy(t, e->text),
                                                .has_value = e->has_value,
                                                .value = e->has_value ? e->value : 0,
                                                .at = at,
                                                .step = e->step};
}

static bool is_one_of(const char *name, const char *const *list)
{
    while (*list && strcmp(name, *list) != 0)
        list++;
    return *list;
}

void trace_event(struct trace *t, const struct trace_event *e)
{
    static const char *const ends[] = {"ran", "failed", "retry", "stopped", NULL},
                             *const marks[] = {"metric",  "warn", "resumed",   "checkpoint",
                                               "stopped", "heal", "interrupt", NULL};
    if (!(e->at >= 0)) /* of a run that did not keep it */
        return;
    double at = t->last = e->at > t->last ? e->at : t->last;
    size_t bar = open_bar(t, e->task);
    if (strcmp(e->event, "begin") == 0) {
        t->experiment = copy(t, e->experiment);
        t->host = copy(t, e->node);
        t->cores = e->cores;
    } else if (strcmp(e->event, "start") == 0 && e->task) {
        start(t, e, at);
    }
    if (is_one_of(e->event, marks))
        mark(t, e, at);
    if (is_one_of(e->event, ends) && bar != TRACE_NO_BAR)
        close_bar(t, bar, at, e->event, e->key);
}

void trace_take(struct trace *t, const json_t *o)
{
    const char *event = json_string_or(o, "event", ""), *node = json_string_or(o, "node", NULL);
    const json_t *value = json_object_get(o, "value");
    bool begins = strcmp(event, "begin") == 0;
    trace_event(t, &(struct trace_event){.event = event,
                                         .at = json_real_or(o, "at", -1),
                                         .task = json_string_or(o, "task", NULL),
                                         .stage = json_string_or(o, "stage", NULL),
                                         .node = begins ? json_string_or(o, "host", NULL) : node,
                                         .cpuset = json_string_or(o, "cpuset", NULL),
                                         .cores = (int)json_int_or(o, "cores", begins ? 0 : 1),
                                         .name = json_string_or(o, "name", NULL),
                                         .text = json_string_or(o, "text", NULL),
                                         .key = json_string_or(o, "key", NULL),
                                         .experiment = json_string_or(o, "experiment", NULL),
                                         .has_value = json_is_number(value),
                                         .value = json_number_value(value),
                                         .step = json_int_or(o, "step", -1)});
}

void trace_end(struct trace *t)
{
    for (size_t i = 0; i < t->n && json_object_size(t->open); i++)
        if (open_bar(t, t->bar[i].task) == i)
            close_bar(t, i, t->last, "cut off", "");
}

static bool see(void *arg, const json_t *event)
{
    trace_take(arg, event);
    return true;
}

bool trace_read(struct trace *t, const char *store, const char *id, struct error *err)
{
    if (!runlog_read(store, id, see, t, err))
        return false;
    trace_end(t);
    return true;
}

/* ---- lanes ---- */

enum { MOST_CPUS = 1 << 16 }; /* of one node, as in topo_bind_self */

struct node_lanes {
    double *until; /* by core: the end of what was last on it; below 0: nothing */
    size_t n, cap;
};

/* The lane is there from now on. */
static void reach(struct node_lanes *l, size_t core)
{
    l->until = xgrow(l->until, &l->cap, core + 1, sizeof *l->until);
    for (; l->n <= core; l->n++)
        l->until[l->n] = -1;
}

/* The CPUs of a list, "0-3,8", ascending, into core; how many, at most `most`. 0: the text is no such list.
 */
static int read_cpuset(const char *text, int *core, int most)
{
    int n = 0;
    for (const char *at = text; *at;) {
        char *end;
        long first = strtol(at, &end, 10), last = first;
        if (end == at)
            return 0;
        if (*end == '-') {
            at = end + 1;
            last = strtol(at, &end, 10);
            if (end == at)
                return 0;
        }
        if (first < 0 || last < first || last >= MOST_CPUS || last - first >= most - n)
            return 0;
        while (first <= last)
            core[n++] = (int)first++;
        if (*end && *end != ',')
            return 0;
        at = *end ? end + 1 : end;
    }
    return n;
}

static int free_lanes(struct node_lanes *l, const struct trace_bar *b, int *core)
{
    int n = 0;
    for (size_t i = 0; n < b->cores && n < MOST_CPUS; i++) {
        reach(l, i);
        if (l->until[i] <= b->start + 1e-9)
            core[n++] = (int)i;
    }
    return n;
}

static int by_name(const void *a, const void *b)
{
    return strverscmp(*(const char *const *)a, *(const char *const *)b); /* node2 before node10 */
}

/* The names of the nodes, each once. */
static void find_nodes(const struct trace *t, struct trace_lanes *ret)
{
    json_t *seen = json_object();
    for (size_t i = 0; i < t->n; i++)
        if (!json_object_get(seen, t->bar[i].node)) {
            json_object_set_new(seen, t->bar[i].node, json_true());
            ret->node[ret->n_nodes++] = t->bar[i].node;
        }
    json_decref(seen);
    qsort(ret->node, (size_t)ret->n_nodes, sizeof *ret->node, by_name);
}

static int node_of(const struct trace_lanes *l, const char *name)
{
    const char **at = bsearch(&name, l->node, (size_t)l->n_nodes, sizeof *l->node, by_name);
    return (int)(at - l->node);
}

/* The lanes that something was on get their numbers; `of` has cores until here. */
static void number_lanes(const struct node_lanes *by_node, const int *node, size_t bars,
                         struct trace_lanes *ret)
{
    size_t all = 0;
    int **number = xcalloc((size_t)ret->n_nodes + 1, sizeof *number);
    for (int i = 0; i < ret->n_nodes; i++)
        all += by_node[i].n;
    ret->lane = xcalloc(all + 1, sizeof *ret->lane);
    for (int i = 0; i < ret->n_nodes; i++) {
        number[i] = xcalloc(by_node[i].n + 1, sizeof **number);
        for (size_t k = 0; k < by_node[i].n; k++)
            if (by_node[i].until[k] >= 0) {
                number[i][k] = ret->n;
                ret->lane[ret->n++] = (struct trace_lane){i, (int)k};
            }
    }
    for (size_t i = 0; i < bars; i++)
        for (size_t k = ret->first[i]; k < ret->first[i + 1]; k++)
            ret->of[k] = number[node[i]][ret->of[k]];
    for (int i = 0; i < ret->n_nodes; i++)
        free(number[i]);
    free(number);
}

void trace_lanes_find(const struct trace *t, struct trace_lanes *ret)
{
    size_t cap = 0, used = 0;
    *ret = (struct trace_lanes){.node = xcalloc(t->n + 1, sizeof *ret->node),
                                .first = xcalloc(t->n + 1, sizeof *ret->first)};
    int *core = xcalloc(MOST_CPUS, sizeof *core), *node = xcalloc(t->n + 1, sizeof *node);
    struct node_lanes *by_node = xcalloc(t->n + 1, sizeof *by_node);
    find_nodes(t, ret);
    for (size_t i = 0; i < t->n; i++) {
        node[i] = node_of(ret, t->bar[i].node);
        struct node_lanes *l = &by_node[node[i]];
        int n = read_cpuset(t->bar[i].cpuset, core, MOST_CPUS);
        n = n ? n : free_lanes(l, &t->bar[i], core);
        ret->of = xgrow(ret->of, &cap, used + (size_t)n, sizeof *ret->of);
        for (int k = 0; k < n; k++) {
            reach(l, (size_t)core[k]);
            l->until[core[k]] = fmax(l->until[core[k]], t->bar[i].end);
            ret->of[used++] = core[k];
        }
        ret->first[i + 1] = used;
    }
    number_lanes(by_node, node, t->n, ret);
    for (size_t i = 0; i < t->n; i++)
        free(by_node[i].until);
    free(by_node);
    free(core);
    free(node);
}

void trace_lanes_done(struct trace_lanes *l)
{
    free(l->node);
    free(l->lane);
    free(l->first);
    free(l->of);
    *l = (struct trace_lanes){0};
}
