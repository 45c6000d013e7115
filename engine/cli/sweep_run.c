#include "engine/cli/sweep_run.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/cli/sweep_metrics.h"
#include "engine/sched/halving.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct cell_state {
    int left;      /* ends that are still to come */
    bool released; /* it may run */
    bool failed;   /* a task of it failed */
    bool done;     /* all ends are there */
    double value;  /* of the objective; NAN: none */
    json_t **rows; /* by task of the objective */
};
struct sweep_run {
    const struct spec *spec;
    const struct sweep *sweep;
    struct store *store;
    const char *dir;
    struct progress *progress;
    int top;
    bool quiet, told_no_metric;
    struct cell_state *cell;
    int **user, *n_user; /* by task: cells for which it is an end */
    size_t *cap_user;
    int finished; /* points at their first rung */
    bool *held;
    struct halving *halving;
    int *queue, n_queue; /* released tasks */
    size_t cap_queue;
    json_t *decisions;
    struct arena arena;
    struct sweep_view view;
};

/* ---- counts ---- */

void sweep_counts_print(const struct spec *s, FILE *to)
{
    const struct sweep *w = s->sweep;
    fprintf(to, "sweep: %d point%s", w->n, w->n == 1 ? "" : "s");
    if (w->over)
        fprintf(to, " at %d rungs", w->n_rungs);
    fprintf(to, ": %lld tasks, of which %d exist and %lld are shared\n", (long long)w->tasks, s->n,
            (long long)w->tasks - s->n);
}

json_t *sweep_counts_json(const struct spec *s)
{
    const struct sweep *w = s->sweep;
    return json_pack("{s:i, s:i, s:I, s:i, s:I}", "points", w->n, "rungs", w->n_rungs, "tasks",
                     (json_int_t)w->tasks, "exist", s->n, "shared", (json_int_t)(w->tasks - s->n));
}

/* ---- setting up ---- */

/* What a cell waits for: its objective's tasks, or all of it where no objective is named. */
static struct task **ends(const struct sweep_cell *c, int *ret_n)
{
    *ret_n = c->n_objective ? c->n_objective : c->n;
    return c->n_objective ? c->objective : c->task;
}

static void add_user(struct sweep_run *r, int task, int cell)
{
    r->user[task] = xgrow(r->user[task], &r->cap_user[task], (size_t)r->n_user[task] + 1, sizeof **r->user);
    r->user[task][r->n_user[task]++] = cell;
}

/* Tasks that only higher rungs need wait for their trial's promotion. */
static void hold_rungs(struct sweep_run *r)
{
    const struct sweep *w = r->sweep;
    r->held = xcalloc((size_t)r->spec->n + 1, sizeof *r->held);
    for (int i = 0; i < r->spec->n; i++)
        r->held[i] = true;
    for (int k = 0; k < w->n; k++) {
        const struct sweep_cell *c = &w->cell[k * w->n_rungs];
        for (int i = 0; i < c->n; i++)
            r->held[c->task[i]->index] = false;
    }
    r->halving = halving_new(w->n, w->n_rungs, w->keep, w->wait);
    r->decisions = json_array();
}

struct sweep_run *sweep_run_new(const struct spec *s, struct store *store, const char *dir,
                                struct progress *p, int top, bool quiet)
{
    struct sweep_run *r = xcalloc(1, sizeof *r);
    const struct sweep *w = s->sweep;
    int cells = w->n * w->n_rungs;
    *r = (struct sweep_run){
        .spec = s, .sweep = w, .store = store, .dir = dir, .progress = p, .top = top, .quiet = quiet};
    arena_init(&r->arena);
    r->cell = xcalloc((size_t)cells + 1, sizeof *r->cell);
    r->user = xcalloc((size_t)s->n + 1, sizeof *r->user);
    r->n_user = xcalloc((size_t)s->n + 1, sizeof *r->n_user);
    r->cap_user = xcalloc((size_t)s->n + 1, sizeof *r->cap_user);
    for (int k = 0; k < cells; k++) {
        int n;
        struct task **end = ends(&w->cell[k], &n);
        r->cell[k] = (struct cell_state){.left = n, .released = k % w->n_rungs == 0, .value = NAN};
        r->cell[k].rows = xcalloc((size_t)w->cell[k].n_objective + 1, sizeof(json_t *));
        for (int i = 0; i < n; i++)
            add_user(r, end[i]->index, k);
    }
    if (w->over)
        hold_rungs(r);
    return r;
}

void sweep_run_free(struct sweep_run *r)
{
    if (!r)
        return;
    for (int k = 0; k < r->sweep->n * r->sweep->n_rungs; k++) {
        for (int i = 0; i < r->sweep->cell[k].n_objective; i++)
            json_decref(r->cell[k].rows[i]);
        free(r->cell[k].rows);
    }
    for (int i = 0; i < r->spec->n; i++)
        free(r->user[i]);
    free(r->user);
    free(r->n_user);
    free(r->cap_user);
    free(r->cell);
    free(r->held);
    free(r->queue);
    halving_free(r->halving);
    json_decref(r->decisions);
    arena_done(&r->arena);
    free(r);
}

const bool *sweep_run_held(const struct sweep_run *r)
{
    return r->held;
}

json_t *sweep_run_decisions(const struct sweep_run *r)
{
    return r->decisions ? json_incref(r->decisions) : NULL;
}

/* ---- as tasks end ---- */

/* The cell that stands for a point: its highest rung that is done. */
static int top_cell(const struct sweep_run *r, int point)
{
    int rungs = r->sweep->n_rungs;
    for (int k = rungs - 1; k > 0; k--)
        if (r->cell[point * rungs + k].done)
            return point * rungs + k;
    return point * rungs;
}

static bool better(const struct sweep *w, double a, double b)
{
    return isnan(b) || (w->maximise ? a > b : a < b);
}

/* Is the cell's value the best of all that are done at its rung? */
static bool is_best(const struct sweep_run *r, int cell)
{
    const struct sweep *w = r->sweep;
    for (int k = cell % w->n_rungs; k < w->n * w->n_rungs; k += w->n_rungs)
        if (k != cell && r->cell[k].done && !isnan(r->cell[k].value) &&
            !better(w, r->cell[cell].value, r->cell[k].value))
            return false;
    return true;
}

/* "point 7/24  lambda=0.3,seed=1: score.average 0.7091 (best)" */
static void tell(struct sweep_run *r, int cell)
{
    const struct sweep *w = r->sweep;
    const struct cell_state *c = &r->cell[cell];
    AUTO(buf) struct buf line = {0};
    buf_printf(&line, "point %d/%d  %s", r->finished, w->n, w->point[cell / w->n_rungs].name);
    if (w->over)
        buf_printf(&line, " at %s=%g", w->over, w->rung[cell % w->n_rungs]);
    if (c->failed)
        buf_puts(&line, ": FAILED");
    else if (!isnan(c->value))
        buf_printf(&line, ": %s %.6g%s", w->objective, c->value, is_best(r, cell) ? " (best)" : "");
    if (!r->quiet)
        progress_say(r->progress, buf_str(&line));
}

static void promote(struct sweep_run *r, int cell)
{
    const struct sweep *w = r->sweep;
    const struct cell_state *c = &r->cell[cell];
    int trial, rung;
    halving_done(r->halving, cell / w->n_rungs, cell % w->n_rungs,
                 c->failed     ? NAN
                 : w->maximise ? c->value
                               : -c->value);
    json_t *to = json_array();
    while (halving_next(r->halving, &trial, &rung)) {
        const struct sweep_cell *next = &w->cell[trial * w->n_rungs + rung];
        r->cell[trial * w->n_rungs + rung].released = true;
        for (int i = 0; i < next->n; i++) {
            r->queue = xgrow(r->queue, &r->cap_queue, (size_t)r->n_queue + 1, sizeof *r->queue);
            r->queue[r->n_queue++] = next->task[i]->index;
        }
        json_array_append_new(to, json_pack("{s:i, s:i}", "point", trial, "rung", rung));
    }
    json_array_append_new(
        r->decisions,
        json_pack("{s:i, s:i, s:o, s:o}", "point", cell / w->n_rungs, "rung", cell % w->n_rungs, "value",
                  isnan(c->value) || c->failed ? json_null() : json_real(c->value), "promoted", to));
}

struct entry {
    int cell, rung;
    double value;
};

static int best_first(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->rung != y->rung)
        return y->rung - x->rung;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return x->cell - y->cell;
}

/* The best so far, below the tasks at work on a terminal. */
static void show_board(struct sweep_run *r)
{
    const struct sweep *w = r->sweep;
    AUTO(mem) struct entry *all = xcalloc((size_t)w->n + 1, sizeof *all);
    int n = 0;
    for (int k = 0; k < w->n; k++) {
        int cell = top_cell(r, k);
        if (r->cell[cell].done && !isnan(r->cell[cell].value))
            all[n++] = (struct entry){cell, cell % w->n_rungs,
                                      w->maximise ? r->cell[cell].value : -r->cell[cell].value};
    }
    qsort(all, (size_t)n, sizeof *all, best_first);
    n = n > r->top ? r->top : n;
    AUTO(mem) char **line = xcalloc((size_t)n + 1, sizeof *line);
    for (int i = 0; i < n; i++) {
        AUTO(mem) char *rung = w->over ? xprintf(" at %s=%g", w->over, w->rung[all[i].rung]) : xstrdup("");
        line[i] = xprintf("  %2d. %s %.6g  %s%s", i + 1, w->objective, r->cell[all[i].cell].value,
                          w->point[all[i].cell / w->n_rungs].name, rung);
    }
    progress_board(r->progress, line, n);
    for (int i = 0; i < n; i++)
        free(line[i]);
}

static void warn_no_metric(struct sweep_run *r)
{
    AUTO(mem)
    char *text = xprintf("warning: objective '%s': the task's metrics have no '%s'", r->sweep->objective,
                         r->sweep->metric);
    if (!r->told_no_metric)
        progress_say(r->progress, text);
    r->told_no_metric = true;
}

static void finish_cell(struct sweep_run *r, int cell)
{
    const struct sweep *w = r->sweep;
    struct cell_state *c = &r->cell[cell];
    c->done = !c->failed;
    if (c->done && w->objective) {
        c->value = sweep_mean((const json_t *const *)c->rows, w->cell[cell].n_objective, w->metric);
        if (isnan(c->value))
            warn_no_metric(r);
    }
    r->finished += cell % w->n_rungs == 0;
    tell(r, cell);
    show_board(r);
    if (r->halving)
        promote(r, cell);
}

static void keep_rows(struct sweep_run *r, int cell, const struct task *t, json_t *rows)
{
    const struct sweep_cell *c = &r->sweep->cell[cell];
    for (int i = 0; i < c->n_objective; i++)
        if (c->objective[i] == t && !r->cell[cell].rows[i])
            r->cell[cell].rows[i] = json_incref(rows);
}

/* A task is there. */
static void see_end(struct sweep_run *r, const struct build_event *e)
{
    int task = e->task->index, n = r->n_user[task];
    struct error err = {0};
    if (n == 0)
        return;
    AUTO_JSON rows =
        r->sweep->objective ? sweep_rows(r->store, r->dir, e->task, e->result->record, &err) : json_array();
    if (!rows) {
        AUTO(mem) char *text = xprintf("warning: %s", err.text);
        progress_say(r->progress, text);
    }
    r->n_user[task] = 0; /* what is healed ends twice */
    for (int i = 0; i < n; i++) {
        int cell = r->user[task][i];
        if (rows)
            keep_rows(r, cell, e->task, rows);
        if (--r->cell[cell].left == 0 && !r->cell[cell].failed)
            finish_cell(r, cell);
    }
}

/* A task failed, and with it all points that need it. */
static void see_failure(struct sweep_run *r, const struct task *t)
{
    for (int k = 0; k < r->sweep->n * r->sweep->n_rungs; k++) {
        bool needs = false;
        for (int i = 0; i < r->sweep->cell[k].n && !needs; i++)
            needs = r->sweep->cell[k].task[i] == t;
        if (needs && r->cell[k].released && !r->cell[k].failed) {
            r->cell[k].failed = true;
            finish_cell(r, k);
        }
    }
}

void sweep_run_see(void *arg, const struct build_event *e)
{
    struct sweep_run *r = arg;
    progress_see(r->progress, e);
    if (e->kind == BUILD_HIT || e->kind == BUILD_DONE)
        see_end(r, e);
    else if (e->kind == BUILD_FAILED)
        see_failure(r, e->task);
}

int sweep_run_release(void *arg)
{
    struct sweep_run *r = arg;
    return r->n_queue ? r->queue[--r->n_queue] : -1;
}

/* ---- the view ---- */

/* "accuracy pets", or "pets" where there is one metric only. */
static const char *column_name(struct arena *a, const json_t *row, bool one)
{
    const char *domain = json_string_value(json_object_get(row, "domain")),
               *metric = json_string_value(json_object_get(row, "metric"));
    domain = domain ? domain : "";
    metric = metric ? metric : "";
    if (one && *domain)
        return arena_strdup(a, domain);
    return arena_printf(a, "%s%s%s", metric, *domain ? " " : "", domain);
}

struct columns {
    const char **name;
    size_t n, cap;
    bool one; /* metric */
};

static int find_column(struct columns *c, struct arena *a, const json_t *row, bool add)
{
    const char *name = column_name(a, row, c->one);
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->name[i], name) == 0)
            return (int)i;
    if (!add)
        return -1;
    c->name = xgrow(c->name, &c->cap, c->n + 1, sizeof *c->name);
    c->name[c->n++] = name;
    return (int)c->n - 1;
}

#define EACH_ROW(r, at, row)                                                                                 \
    for (int t_ = 0; t_ < (r)->sweep->cell[at].n_objective; t_++)                                            \
        for (size_t k_ = 0; k_ < json_array_size((r)->cell[at].rows[t_]); k_++)                              \
            if ((row = json_array_get((r)->cell[at].rows[t_], k_)))

static void find_columns(struct sweep_run *r, struct columns *c)
{
    const json_t *row;
    const char *first = NULL;
    c->one = true;
    for (int k = 0; k < r->sweep->n; k++)
        EACH_ROW(r, top_cell(r, k), row)
        {
            const char *metric = json_string_value(json_object_get(row, "metric"));
            first = first ? first : metric;
            c->one = c->one && metric && strcmp(metric, first) == 0;
        }
    for (int k = 0; k < r->sweep->n; k++)
        EACH_ROW(r, top_cell(r, k), row)
    find_column(c, &r->arena, row, true);
}

/* Means of the rows of each column. */
static const double *metrics_of(struct sweep_run *r, struct columns *c, int cell)
{
    double *sum = arena_alloc(&r->arena, (c->n + 1) * sizeof *sum);
    AUTO(mem) int *count = xcalloc(c->n + 1, sizeof *count);
    const json_t *row;
    EACH_ROW(r, cell, row)
    {
        int at = find_column(c, &r->arena, row, false);
        const json_t *value = json_object_get(row, "value");
        if (at < 0 || !json_is_number(value))
            continue;
        sum[at] += json_number_value(value);
        count[at]++;
    }
    for (size_t i = 0; i < c->n; i++)
        sum[i] = count[i] ? sum[i] / count[i] : NAN;
    return sum;
}

static enum trial_state state_of(const struct sweep_run *r, int cell)
{
    const struct sweep *w = r->sweep;
    if (r->cell[cell].failed)
        return TRIAL_FAILED;
    if (!r->cell[cell].done)
        return TRIAL_OPEN;
    return w->over && cell % w->n_rungs < w->n_rungs - 1 ? TRIAL_PAUSED : TRIAL_DONE;
}

const struct sweep_view *sweep_run_view(struct sweep_run *r)
{
    const struct sweep *w = r->sweep;
    struct columns columns = {0};
    find_columns(r, &columns);
    struct sweep_trial *trial = arena_alloc(&r->arena, ((size_t)w->n + 1) * sizeof *trial);
    for (int k = 0; k < w->n; k++) {
        int cell = top_cell(r, k);
        bool failed = state_of(r, cell) == TRIAL_FAILED;
        trial[k] = (struct sweep_trial){.value = w->point[k].value,
                                        .number = w->point[k].number,
                                        .state = state_of(r, cell),
                                        .objective = failed ? NAN : r->cell[cell].value,
                                        .rung = r->cell[cell].done ? cell % w->n_rungs : -1,
                                        .metric = metrics_of(r, &columns, cell)};
    }
    const char **name = arena_alloc(&r->arena, (columns.n + 1) * sizeof *name);
    if (columns.n)
        memcpy(name, columns.name, columns.n * sizeof *name);
    free(columns.name);
    r->view = (struct sweep_view){.experiment = r->spec->experiment,
                                  .objective = w->objective,
                                  .maximise = w->maximise,
                                  .axis = w->axis,
                                  .n_axes = w->n_axes,
                                  .column = name,
                                  .n_columns = (int)columns.n,
                                  .trial = trial,
                                  .n = w->n,
                                  .over = w->over,
                                  .rung_value = w->rung,
                                  .n_rungs = w->n_rungs};
    return &r->view;
}
