#include "engine/exec/history.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/history_impl.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One core of a machine of today, for what was never measured. A matrix product on an AVX-512 core of 2023
 * reaches 200 GFLOP/s (bench_gemm), of which the stages there get half: all of what a core with AVX2 has. */
#define FLOPS_A_SECOND 1e11
#define BYTES_A_SECOND 1e9
#define START_SECONDS  0.01 /* of a worker, as far as records count it */
#define MARGIN         1.1  /* of memory over what earlier runs needed */

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
    *h = (struct history){.store = store,
                          .stages = json_object(),
                          .tasks = json_object(),
                          .hosts = json_object(),
                          .typical = {-1, -1}};
    *ret = h;
}

void history_close(struct history *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < h->n_stages; i++)
        free(h->stage[i].run);
    free(h->stage);
    free(h->task);
    free(h->host);
    json_decref(h->stages);
    json_decref(h->tasks);
    json_decref(h->hosts);
    free(h);
}

void history_look(struct history *h, const struct resolver *r)
{
    h->resolver = r;
}

/* ---- one run as a measure of other work ---- */

struct aim { /* the work that is to be predicted: a task's */
    const struct task *task;
    struct sizes sizes;
    struct record_cost cost, nominal; /* with these sizes, where they are known; for nominal ones */
    const struct run *run;            /* or another run's, to see how well that goes */
};

static double factor(struct history *h, int host);

static double one_core(struct history *h, const struct fit *f, const struct run *r)
{
    return r->record.seconds * factor(h, r->host) / fit_share(f, r->record.threads);
}

/* The aim's cost, to be compared with that of r. Where the sizes of its inputs are not known, they are as
 * they were for r. */
static struct record_cost cost_beside(const struct aim *a, const struct run *r)
{
    if (a->run)
        return a->run->nominal == r->nominal ? a->run->cost : (struct record_cost){0};
    if (r->nominal)
        return a->nominal;
    struct cost_input same = a->sizes.in;
    same.samples = r->record.samples;
    same.bytes = r->record.read;
    return a->sizes.known ? a->cost : cost_of(a->task, &same);
}

static double work_of(const struct of_stage *g, const struct record_cost *c)
{
    return g->by_flops ? c->flops : (double)c->bytes;
}

/* Seconds on one core as run r says; fit: of g, perhaps without some run. */
static double seconds_by(struct history *h, const struct of_stage *g, const struct fit *f,
                         const struct run *r, const struct aim *a)
{
    const struct record_cost cost = cost_beside(a, r);
    double from = work_of(g, &r->cost), to = work_of(g, &cost);
    const struct fit plain = {0}; /* nominal work is in another unit than the fit's */
    return one_core(h, f, r) * fit_scale(r->nominal ? &plain : f, from, to);
}

/* The median of what the runs say, without the aim's own; 0: there is none. */
static double seconds_by_all(struct history *h, const struct of_stage *g, const struct fit *f,
                             struct run *const *run, int n, const struct aim *a)
{
    double x[HISTORY_STAGE_RUNS];
    int k = 0;
    for (int i = 0; i < n; i++)
        if (run[i] != a->run)
            x[k++] = seconds_by(h, g, f, run[i], a);
    return fit_median(x, k);
}

/* ---- a stage ---- */

/* Nominal work is no unit to compare others by. */
static void find_points(struct history *h, struct of_stage *g, struct fit_point *p)
{
    int known = 0;
    for (int i = 0; i < g->n_use; i++)
        known += g->use[i]->cost.flops > 0;
    g->by_flops = 2 * known > g->n_use;
    for (int i = 0; i < g->n_use; i++) {
        const struct run *r = g->use[i];
        p[i] = (struct fit_point){.seconds = r->record.seconds * factor(h, r->host),
                                  .cores = r->record.threads > 0 ? r->record.threads : 1,
                                  .work = r->nominal ? 0 : work_of(g, &r->cost),
                                  .task = r->task};
    }
}

/* How far off would a prediction of each run have been, made of the others? */
static void find_errors(struct history *h, struct of_stage *g, const struct fit_point *p)
{
    double stage[HISTORY_STAGE_RUNS], own[HISTORY_STAGE_RUNS];
    int n_stage = 0, n_own = 0;
    for (int i = 0; g->n_use > 1 && i < g->n_use; i++) {
        const struct run *r = g->use[i];
        const struct of_task *t = &h->task[r->task];
        const struct aim a = {.run = r};
        struct fit f;
        fit_points(p, g->n_use, i, &f);
        double took = one_core(h, &f, r), by_task = seconds_by_all(h, g, &f, t->run, t->n, &a);
        stage[n_stage++] = fabs(log(seconds_by_all(h, g, &f, g->use, g->n_use, &a) / took));
        if (by_task > 0)
            own[n_own++] = fabs(log(by_task / took));
    }
    g->error = exp(fit_median(stage, n_stage)) - 1;
    g->own_error = n_own ? exp(fit_median(own, n_own)) - 1 : g->error;
}

static double guess(const struct record_cost *c)
{
    return c->flops / FLOPS_A_SECOND + (double)c->bytes / BYTES_A_SECOND;
}

static void find_slowness(struct history *h, struct of_stage *g)
{
    double x[HISTORY_STAGE_RUNS];
    int n = 0;
    for (int i = 0; i < g->n_use; i++) {
        const struct run *r = g->use[i];
        if (!r->nominal && r->cost.flops > 0) {
            x[n++] = one_core(h, &g->fit, r) / guess(&r->cost);
            g->seconds += one_core(h, &g->fit, r);
        }
    }
    g->slow = fit_median(x, n);
}

static void prepare(struct history *h, struct of_stage *g)
{
    struct fit_point p[HISTORY_STAGE_RUNS];
    if (g->prepared)
        return;
    g->prepared = true;
    history_choose(h, g);
    find_points(h, g, p);
    fit_points(p, g->n_use, -1, &g->fit);
    find_errors(h, g, p);
    find_slowness(h, g);
}

/* ---- other hosts ---- */

static bool is_of_here(const struct of_stage *g)
{
    for (size_t i = 0; i < g->n; i++)
        if (g->run[i].host == 0)
            return true;
    return false;
}

/* What our runs say of a host's run, by what it took there; 0: nothing. */
static double ratio_to(struct history *h, const struct of_stage *g, const struct run *r)
{
    const struct of_task *t = &h->task[r->task];
    const struct aim a = {.run = r};
    bool own = t->n && t->run[0]->host == 0;
    if (!own && !g->by_flops)
        return 0;
    double ours = own ? seconds_by_all(h, g, &g->fit, t->run, t->n, &a)
                      : seconds_by_all(h, g, &g->fit, g->use, g->n_use, &a);
    return ours * fit_share(&g->fit, r->record.threads) / r->record.seconds;
}

/* From the newest runs of stages that ran here too; 1 where there are none. */
static double factor(struct history *h, int host)
{
    struct of_host *o = &h->host[host];
    if (o->factor > 0)
        return o->factor;
    AUTO(mem) double *x = xcalloc(h->n_stages * HISTORY_STAGE_RUNS + 1, sizeof *x);
    int n = 0;
    o->factor = 1;
    for (size_t s = 0; s < h->n_stages; s++) {
        struct of_stage *g = &h->stage[s];
        if (!is_of_here(g))
            continue;
        prepare(h, g);
        int seen = 0;
        for (size_t i = 0; i < g->n && seen < HISTORY_STAGE_RUNS; i++)
            if (g->run[i].host == host) {
                double ratio = ratio_to(h, g, &g->run[i]);
                seen++;
                if (ratio > 0)
                    x[n++] = ratio;
            }
    }
    if (n)
        o->factor = fit_median(x, n);
    return o->factor;
}

/* Of a stage that ran but once: what such predictions are off by in the middle one of the other stages. */
static double typical_error(struct history *h, bool own)
{
    AUTO(mem) double *x = xcalloc(h->n_stages + 1, sizeof *x);
    int n = 0;
    if (h->typical[own] >= 0)
        return h->typical[own];
    for (size_t i = 0; i < h->n_stages; i++) {
        struct of_stage *g = &h->stage[i];
        prepare(h, g);
        if (g->n_use > 1)
            x[n++] = own ? g->own_error : g->error;
    }
    return h->typical[own] = fit_median(x, n);
}

static double error_of(struct history *h, const struct of_stage *g, bool own)
{
    return g->n_use < 2 ? typical_error(h, own) : own ? g->own_error : g->error;
}

/* ---- what never ran ---- */

/* The stage at which half of all the time is behind: long ones count for more. `without` may be NULL. */
static double weighted_slowness(const struct history *h, const struct of_stage *without)
{
    double half = 0, best = 0;
    for (size_t i = 0; i < h->n_stages; i++)
        half += &h->stage[i] != without ? h->stage[i].seconds / 2 : 0;
    for (size_t i = 0; i < h->n_stages; i++) {
        const struct of_stage *g = &h->stage[i];
        double behind = 0;
        for (size_t k = 0; k < h->n_stages; k++)
            if (&h->stage[k] != without && h->stage[k].slow <= g->slow)
                behind += h->stage[k].seconds;
        if (g != without && g->slow > 0 && behind >= half && (best <= 0 || g->slow < best))
            best = g->slow;
    }
    return best;
}

static void correct(struct history *h)
{
    if (h->corrected)
        return;
    h->corrected = true;
    AUTO(mem) double *x = xcalloc(h->n_stages + 1, sizeof *x);
    int n = 0;
    for (size_t i = 0; i < h->n_stages; i++)
        prepare(h, &h->stage[i]);
    h->correction = weighted_slowness(h, NULL);
    for (size_t i = 0; i < h->n_stages; i++) {
        double others = weighted_slowness(h, &h->stage[i]);
        if (h->stage[i].slow > 0 && others > 0)
            x[n++] = fabs(log(h->stage[i].slow / others));
    }
    h->guess_error = exp(fit_median(x, n)) - 1;
}

static struct history_cost estimate(const struct record_cost *c, double slow)
{
    double seconds = START_SECONDS + slow * guess(c);
    return (struct history_cost){
        .core_seconds = seconds,
        .work = {.serial = FIT_SERIAL * seconds, .parallel = (1 - FIT_SERIAL) * seconds},
        .memory = c->peak,
        .source = HISTORY_ESTIMATE};
}

struct history_cost history_estimate(const struct task *t)
{
    const struct record_cost c = history_nominal(t->stage, t->params);
    return estimate(&c, 1);
}

/* ---- predictions ---- */

static const struct index_content *typical_output(void *arg, const struct task *t, int output)
{
    const struct of_task *known = history_task_of(arg, t->stage->name, t->name);
    if (!known)
        return NULL;
    const struct record_summary *m = &known->newest->record;
    const char *port = m->ports;
    for (size_t i = 0; i < m->outputs; i++, port += strlen(port) + 1)
        if (strcmp(port, t->stage->outputs[output].name) == 0)
            return &m->content[i];
    return NULL;
}

static void take_aim(struct history *h, const struct task *t, struct aim *ret)
{
    const struct sizes_typical typical = {typical_output, h};
    *ret = (struct aim){.task = t, .nominal = history_nominal(t->stage, t->params)};
    if (h->resolver)
        sizes_of_inputs(h->resolver, t, &typical, &ret->sizes);
    if (ret->sizes.known)
        ret->cost = cost_of(t, &ret->sizes.in);
}

/* What nearly all of the runs would have needed for it, and some more. */
static int64_t memory_by(struct run *const *run, int n, const struct aim *a)
{
    double x[HISTORY_STAGE_RUNS];
    for (int i = 0; i < n; i++) {
        const struct record_cost cost = cost_beside(a, run[i]);
        double scale = run[i]->cost.peak && cost.peak ? (double)cost.peak / (double)run[i]->cost.peak : 1;
        x[i] = (double)run[i]->record.peak_rss * scale;
    }
    return (int64_t)fmin(MARGIN * fit_nearly_all(x, n), 0x1p62);
}

/* What is not known of its inputs is of a nominal size. */
static struct record_cost rough_cost(const struct aim *a)
{
    const struct cost_input some = history_nominal_input();
    struct cost_input in = a->sizes.in;
    in.samples = in.samples ? in.samples : some.samples;
    in.own = in.own ? in.own : some.own;
    in.chosen = in.chosen ? in.chosen : some.chosen;
    in.bytes = in.bytes ? in.bytes : some.bytes;
    return a->sizes.known ? a->cost : cost_of(a->task, &in);
}

static struct history_cost predict(struct history *h, const struct task *t)
{
    struct aim a;
    take_aim(h, t, &a);
    struct of_stage *g = history_stage_of(h, t->stage->name);
    if (!g) {
        correct(h);
        const struct record_cost cost = rough_cost(&a);
        struct history_cost c = estimate(&cost, h->correction > 0 ? h->correction : 1);
        c.error = h->guess_error;
        return c;
    }
    prepare(h, g);
    const struct of_task *own = history_task_of(h, t->stage->name, t->name);
    struct run *const *run = own ? own->run : g->use;
    int n = own ? own->n : g->n_use;
    double seconds = seconds_by_all(h, g, &g->fit, run, n, &a);
    return (struct history_cost){
        .core_seconds = seconds,
        .work = {.serial = g->fit.serial * seconds, .parallel = (1 - g->fit.serial) * seconds},
        .error = error_of(h, g, own != NULL),
        .memory = memory_by(run, n, &a),
        .runs = n,
        .source = own ? HISTORY_TASK : HISTORY_STAGE};
}

struct history_cost history_predict(struct history *h, const struct task *t)
{
    history_read(h);
    struct history_cost c = predict(h, t);
    c.memory = t->memory > 0 ? t->memory : c.memory;
    return c;
}

/* ---- a table of it ---- */

static void describe(struct history *h, struct of_stage *g, struct history_stage *ret)
{
    double seconds[HISTORY_STAGE_RUNS], flops[HISTORY_STAGE_RUNS];
    int n = 0;
    prepare(h, g);
    *ret = (struct history_stage){.name = g->name,
                                  .runs = (int)g->n,
                                  .serial = g->fit.serial,
                                  .widths = g->fit.pairs > 0,
                                  .error = g->error};
    for (int i = 0; i < g->n_use; i++) {
        const struct run *r = g->use[i];
        seconds[i] = r->record.seconds;
        if (!r->nominal && r->cost.flops > 0)
            flops[n++] = r->cost.flops / one_core(h, &g->fit, r);
        ret->memory = r->record.peak_rss > ret->memory ? r->record.peak_rss : ret->memory;
    }
    ret->seconds = fit_median(seconds, g->n_use);
    ret->flops = fit_median(flops, n);
}

static int by_stage_name(const void *a, const void *b)
{
    return strcmp(((const struct history_stage *)a)->name, ((const struct history_stage *)b)->name);
}

size_t history_stages(struct history *h, struct history_stage **ret)
{
    history_read(h);
    *ret = xcalloc(h->n_stages + 1, sizeof **ret);
    for (size_t i = 0; i < h->n_stages; i++)
        describe(h, &h->stage[i], &(*ret)[i]);
    qsort(*ret, h->n_stages, sizeof **ret, by_stage_name);
    return h->n_stages;
}
