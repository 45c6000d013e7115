/* weft times: what each system of an experiment took (paper, Table 15): the time to unify it, and how many
 * samples a second its evaluations saw. Times are of the records, not of results: a result is the same
 * however long it took, so that no table of a stage may hold them. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/cli/cmd.h"
#include "engine/cli/units.h"
#include "engine/exec/resolve.h"
#include <stdio.h>
#include <string.h>

#define UNIFY "merge,router"

static const struct opt opts[] = {
    {"stages", 0, OPT_STRING, "LIST", "whose time is that of unifying, as a comma list; default " UNIFY},
    OPT_ROW_SET,
    OPT_ROW_VARS,
    OPT_ROW_STORE,
    OPT_ROW_SWEEP,
    OPT_ROW_JSON,
    {0}};

struct row { /* a system */
    const char *system;
    double unify;   /* seconds, summed over its evaluations */
    int unified;    /* evaluations of models that were made by such stages */
    double seconds; /* of its evaluations */
    int64_t samples;
    int done, missing, threads_min, threads_max;
};
struct times {
    const struct spec *spec;
    struct resolver *resolver;
    const char *stages;
    struct row *row;
    int n;
};

/* ---- measuring ---- */

/* The name in tables of what the task evaluates; NULL: it evaluates nothing. */
static const char *system_of(const struct task *t)
{
    const struct param *p = t->stage->params ? param_find(t->stage->params, "system") : NULL;
    bool metrics = false;
    for (const struct port *o = t->stage->outputs; o && o->name; o++)
        metrics = metrics || o->type == ARTIFACT_METRICS;
    return p && p->type == PARAM_STRING && metrics ? *(const char **)((char *)t->params + p->offset) : NULL;
}
static bool in_list(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *s = list; s; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL)
        if (strncmp(s, name, n) == 0 && (s[n] == ',' || !s[n]))
            return true;
    return false;
}
/* All that t was made of, each task once. *ret_found: one of these stages was among them. False: one of their
 * records is not there. */
static bool add_unify(const struct times *x, const struct task *t, bool *seen, double *seconds,
                      bool *ret_found)
{
    bool whole = true;
    for (int p = 0; p < stage_port_count(t->stage->inputs); p++)
        for (int i = 0; i < t->inputs[p].n; i++) {
            const struct task *from = t->inputs[p].ref[i].task;
            if (seen[from->index])
                continue;
            seen[from->index] = true;
            if (in_list(x->stages, from->stage->name)) {
                const struct record *r = resolve_record(x->resolver, from);
                *ret_found = true;
                whole = whole && r;
                *seconds += r ? r->seconds : 0;
            }
            whole = add_unify(x, from, seen, seconds, ret_found) && whole;
        }
    return whole;
}
static struct row *row_of(struct times *x, const char *system)
{
    for (int i = 0; i < x->n; i++)
        if (strcmp(x->row[i].system, system) == 0)
            return &x->row[i];
    x->row[x->n] = (struct row){.system = system};
    return &x->row[x->n++];
}
static void add_task(struct times *x, const struct task *t)
{
    const char *system = system_of(t);
    const struct record *r = system ? resolve_record(x->resolver, t) : NULL;
    if (!system)
        return;
    struct row *row = row_of(x, system);
    AUTO(mem) bool *seen = xcalloc((size_t)x->spec->n + 1, sizeof *seen);
    double unify = 0;
    bool found = false;
    if (!r || !add_unify(x, t, seen, &unify, &found)) {
        row->missing++;
        return;
    }
    row->threads_min = !row->done || r->threads < row->threads_min ? r->threads : row->threads_min;
    row->threads_max = r->threads > row->threads_max ? r->threads : row->threads_max;
    row->done++;
    row->seconds += r->seconds;
    row->samples += r->samples;
    row->unify += unify;
    row->unified += found;
}

/* ---- showing ---- */

static double speed(const struct row *r)
{
    return r->seconds > 0 ? (double)r->samples / r->seconds : 0;
}
static json_t *row_json(const struct row *r)
{
    json_t *o =
        json_pack("{s:s, s:i, s:i}", "system", r->system, "evaluations", r->done, "missing", r->missing);
    if (r->unified)
        json_object_set_new(o, "unify_seconds", json_real(r->unify / r->done));
    if (r->done) {
        json_object_set_new(o, "samples_per_second", json_real(speed(r)));
        json_object_set_new(o, "threads", json_pack("[i, i]", r->threads_min, r->threads_max));
    }
    return o;
}
static void print_row(const struct row *r)
{
    char rate[UNITS_MAX];
    printf("| ");
    for (const char *c = r->system; *c; c++)
        printf(*c == '|' || *c == '\\' ? "\\%c" : "%c", *c);
    if (r->unified)
        printf(" | %.2f | ", r->unify / r->done);
    else
        printf(" | – | ");
    if (r->done == 0) {
        printf("not evaluated | – |\n");
        return;
    }
    printf("%s | %d", rate_text(speed(r), rate), r->threads_min);
    if (r->threads_max != r->threads_min)
        printf("-%d", r->threads_max);
    printf(" |\n");
}
static int show(const struct times *x, bool json)
{
    if (json) {
        json_t *rows = json_array();
        for (int i = 0; i < x->n; i++)
            json_array_append_new(rows, row_json(&x->row[i]));
        return cmd_print_json(json_pack("{s:s, s:s, s:o}", "experiment", x->spec->experiment, "stages",
                                        x->stages, "rows", rows));
    }
    printf("| system | unify time (s) | inference (samples/s) | threads |\n|---|---:|---:|---:|\n");
    for (int i = 0; i < x->n; i++)
        print_row(&x->row[i]);
    return 0;
}

/* ---- the command ---- */

static bool check_stages(const char *list, struct error *err)
{
    AUTO(mem) char *copy = xstrdup(list);
    char *rest = copy, *one;
    while ((one = strsep(&rest, ",")))
        if (!stage_find(one))
            return error_set(err, NULL, ERROR_INPUT,
                             "--stages: there is no stage '%s' ('weft stages' lists them)", one);
    return true;
}
static int times(const struct cmd_args *a, const struct spec *s)
{
    AUTO(store) struct store *store = NULL;
    AUTO(mem) enum resolution *state = xcalloc((size_t)s->n + 1, sizeof *state);
    AUTO(mem) struct row *row = xcalloc((size_t)s->n + 1, sizeof *row);
    const struct opt_value *list = cmd_opt(a, "stages");
    struct resolver r;
    struct times x = {.spec = s, .resolver = &r, .stages = list->set ? list->string : UNIFY, .row = row};
    struct error err = {0};
    if (!check_stages(x.stages, &err) || !cmd_open_store(a, &store, &err))
        return cmd_fail(&err);
    resolver_init(&r, s, store);
    int status = 0;
    if (!resolve_all(&r, s, state, &err)) {
        status = cmd_fail(&err);
    } else {
        for (int i = 0; i < s->n; i++)
            add_task(&x, s->task[i]);
        status = show(&x, cmd_opt(a, "json")->set);
    }
    resolver_done(&r, s);
    return status;
}
static int run(const struct cmd_args *a)
{
    return cmd_with_spec(a, times);
}

const struct cmd cmd_times = {
    .name = "times",
    .group = "Look at results",
    .doc = "Show what each system took: time to unify it, and samples a second of its evaluations.",
    .details = "A row for each 'system' of the tasks that evaluate. The time to unify is that of all tasks "
               "of --stages "
               "that its model was made of, the mean over its evaluations; the speed is all their samples by "
               "all their "
               "time, in which a model is read and images are decoded too. Times are those of the runs that "
               "made the "
               "results, on as many threads as they had, beside what else ran: to compare systems, run them "
               "with the "
               "same --cores and nothing beside.",
    .args = (const struct arg[]){{.name = "EXPERIMENT", .doc = "the experiment, a YAML file"}, {0}},
    .opts = opts,
    .examples =
        (const struct example[]){{"weft times exp.yaml", "of its systems"},
                                 {"weft times exp.yaml --stages merge", "without the router's training"},
                                 {0}},
    .run = run};
