#include "engine/exec/history.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

/* One core of a machine of today, for what was never measured. */
#define FLOPS_A_SECOND 5e10
#define BYTES_A_SECOND 1e9
#define START_SECONDS  0.05 /* of a worker */

struct sample {                 /* one record */
    double core_seconds, flops; /* flops 0: the cost function cannot say */
    int64_t memory;
};
struct of_stage {
    struct sample *sample;
    size_t n, cap;
    bool summed; /* median is right */
    struct sample median;
};
struct of_task {
    struct sample sample;
    char *when;
};
struct history {
    struct store *store;
    bool read;
    json_t *stages, *tasks; /* names -> index; a task's is "STAGE TASK" */
    struct of_stage *stage;
    struct of_task *task;
    size_t n_stages, cap_stages, n_tasks, cap_tasks;
};

const char *history_source_name(enum history_source s)
{
    static const char *const name[] = {[HISTORY_ESTIMATE] = "estimate",
                                       [HISTORY_STAGE] = "history of the stage",
                                       [HISTORY_TASK] = "history of this task"};
    return name[s];
}

void history_open(struct store *store, struct history **ret)
{
    struct history *h = xcalloc(1, sizeof *h);
    *h = (struct history){.store = store, .stages = json_object(), .tasks = json_object()};
    *ret = h;
}

void history_close(struct history *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < h->n_stages; i++)
        free(h->stage[i].sample);
    for (size_t i = 0; i < h->n_tasks; i++)
        free(h->task[i].when);
    free(h->stage);
    free(h->task);
    json_decref(h->stages);
    json_decref(h->tasks);
    free(h);
}

/* ---- work as the stage's own cost function sees it, for data of a nominal size: proportions count ---- */

static struct cost nominal(const struct stage *s, const void *params)
{
    const struct cost_input in = {.samples = 1000, .bytes = 1 << 24};
    struct cost c = {0};
    if (s->cost)
        s->cost(params, &in, &c);
    return c;
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

static double flops_of_record(const struct record *r)
{
    const struct stage *s = stage_find(r->stage);
    AUTO(arena) struct arena a;
    arena_init(&a);
    if (!s || !s->cost || !s->params)
        return 0;
    void *params = arena_alloc(&a, s->params_size);
    return read_params(s, r->text, params, &a) ? nominal(s, params).flops : 0;
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

static void add_to_stage(struct history *h, const char *name, const struct sample *s)
{
    size_t before = h->n_stages, i = index_of(h->stages, name, &h->n_stages);
    h->stage = xgrow(h->stage, &h->cap_stages, h->n_stages, sizeof *h->stage);
    struct of_stage *g = &h->stage[i];
    if (i == before)
        *g = (struct of_stage){0};
    g->sample = xgrow(g->sample, &g->cap, g->n + 1, sizeof *g->sample);
    g->sample[g->n++] = *s;
}

static void add_to_task(struct history *h, const struct record *r, const struct sample *s)
{
    AUTO(mem) char *name = xprintf("%s %s", r->stage, r->task);
    size_t before = h->n_tasks, i = index_of(h->tasks, name, &h->n_tasks);
    h->task = xgrow(h->task, &h->cap_tasks, h->n_tasks, sizeof *h->task);
    struct of_task *t = &h->task[i];
    if (i == before)
        *t = (struct of_task){0};
    if (t->when && strcmp(r->when, t->when) < 0)
        return;
    free(t->when);
    *t = (struct of_task){.sample = *s, .when = xstrdup(r->when)};
}

static bool see(void *arg, const struct record *r)
{
    struct history *h = arg;
    if (!(r->seconds > 0)) /* says nothing, and is no number to divide by */
        return true;
    const struct sample s = {.core_seconds = r->seconds * (r->threads > 0 ? r->threads : 1),
                             .flops = flops_of_record(r),
                             .memory = r->peak_rss};
    add_to_stage(h, r->stage, &s);
    add_to_task(h, r, &s);
    return true;
}

/* The one place that reads records. */
static void read_once(struct history *h)
{
    if (!h->read)
        store_each_record(h->store, see, h, NULL);
    h->read = true;
}

/* ---- predictions ---- */

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, size_t n)
{
    if (n == 0)
        return 0;
    qsort(x, n, sizeof *x, by_number);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* The median of time and memory; of seconds a FLOP where all samples know their work, with flops 1. */
static void sum_up(struct of_stage *g)
{
    AUTO(mem) double *x = xcalloc(g->n + 1, sizeof *x);
    bool known = true;
    for (size_t i = 0; i < g->n; i++)
        known = known && g->sample[i].flops > 0;
    for (size_t i = 0; i < g->n; i++)
        x[i] = g->sample[i].core_seconds / (known ? g->sample[i].flops : 1);
    g->median = (struct sample){.core_seconds = median(x, g->n), .flops = known};
    for (size_t i = 0; i < g->n; i++)
        x[i] = (double)g->sample[i].memory;
    g->median.memory = (int64_t)median(x, g->n);
    g->summed = true;
}

static const struct sample *of_stage(struct history *h, const struct task *t)
{
    const json_t *at = json_object_get(h->stages, t->stage->name);
    if (!at)
        return NULL;
    struct of_stage *g = &h->stage[json_integer_value(at)];
    if (!g->summed)
        sum_up(g);
    return &g->median;
}

static const struct sample *of_task(struct history *h, const struct task *t)
{
    AUTO(mem) char *name = xprintf("%s %s", t->stage->name, t->name);
    const json_t *at = json_object_get(h->tasks, name);
    return at ? &h->task[json_integer_value(at)].sample : NULL;
}

struct history_cost history_estimate(const struct task *t)
{
    struct cost c = nominal(t->stage, t->params);
    double seconds = START_SECONDS + c.flops / FLOPS_A_SECOND + (double)c.bytes / BYTES_A_SECOND;
    return (struct history_cost){
        .core_seconds = seconds, .work = {.parallel = seconds}, .memory = c.peak, .source = HISTORY_ESTIMATE};
}

struct history_cost history_predict(struct history *h, const struct task *t)
{
    read_once(h);
    const struct sample *s = of_task(h, t);
    enum history_source source = s ? HISTORY_TASK : HISTORY_STAGE;
    if (!s && !(s = of_stage(h, t)))
        return history_estimate(t);
    double flops = nominal(t->stage, t->params).flops;
    bool scale = s->flops > 0 && flops > 0;
    if (source == HISTORY_STAGE && s->flops > 0 && !scale)
        return history_estimate(t); /* seconds a FLOP, and no FLOPs to multiply by */
    double seconds = s->core_seconds * (scale ? flops / s->flops : 1);
    return (struct history_cost){
        .core_seconds = seconds, .work = {.parallel = seconds}, .memory = s->memory, .source = source};
}
