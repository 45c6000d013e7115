/* weft times: what each system of an experiment took (paper, Table 15): the time to unify it, and how many
 * samples a second its evaluations saw. Times are of the records, not of results: a result is the same
 * however long it took, so that no table of a stage may hold them. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/cli/cmd.h"
#include "engine/cli/units.h"
#include "engine/exec/artifacts.h"
#include "engine/exec/resolve.h"
#include "engine/exec/targets.h"
#include <stdio.h>
#include <string.h>

#define UNIFY   "merge,router"
#define AVERAGE "Average" /* the domain of a table's averages */

static const struct opt opts[] = {
    {"stages", 0, OPT_STRING, "LIST", "whose time is that of unifying, as a comma list; default " UNIFY},
    {"table", 0, OPT_STRING, "TASK",
     "that table's rows in their order and by their labels, and its averages beside them"},
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
    json_t *table, *averages; /* that of --table, and its rows; NULL: all systems */
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
static struct row *find_row(const struct times *x, const char *system)
{
    for (int i = 0; i < x->n; i++)
        if (strcmp(x->row[i].system, system) == 0)
            return &x->row[i];
    return NULL;
}
static struct row *row_of(struct times *x, const char *system)
{
    struct row *row = find_row(x, system);
    if (!row)
        *(row = &x->row[x->n++]) = (struct row){.system = system};
    return row;
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
static json_t *row_json(const struct row *r, const json_t *shown)
{
    json_t *o =
        json_pack("{s:s, s:i, s:i}", "system", r->system, "evaluations", r->done, "missing", r->missing);
    if (shown) {
        json_object_set(o, "labels", json_object_get(shown, "labels"));
        json_object_set(o, "average", json_object_get(shown, "value"));
    }
    if (r->unified)
        json_object_set_new(o, "unify_seconds", json_real(r->unify / r->done));
    if (r->done) {
        json_object_set_new(o, "samples_per_second", json_real(speed(r)));
        json_object_set_new(o, "threads", json_pack("[i, i]", r->threads_min, r->threads_max));
    }
    return o;
}
static void print_escaped(const char *text)
{
    for (const char *c = text; *c; c++)
        printf(*c == '|' || *c == '\\' ? "\\%c" : "%c", *c);
}
static void print_name(const struct row *r, const json_t *shown)
{
    const json_t *labels = json_object_get(shown, "labels");
    size_t n = json_array_size(labels);
    printf("| ");
    for (size_t i = 0; i < n; i++) {
        printf(i ? " / " : "");
        print_escaped(json_string_value(json_array_get(labels, i)));
    }
    if (n == 0)
        print_escaped(r->system);
    if (shown)
        printf(" | %.2f", 100 * json_real_value(json_object_get(shown, "value")));
}
static void print_row(const struct row *r, const json_t *shown)
{
    char rate[UNITS_MAX];
    print_name(r, shown);
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
static void print_head(const struct times *x)
{
    const char *title = json_string_or(x->table, "title", NULL);
    if (title)
        printf("## %s\n\n", title);
    bool unify = strcmp(x->stages, UNIFY) == 0;
    printf("| system |%s %s%s (s) | inference (samples/s) | threads |\n", x->table ? " accuracy |" : "",
           unify ? "unify time" : "time of ", unify ? "" : x->stages);
    printf("|---|%s---:|---:|---:|\n", x->table ? "---:|" : "");
}
/* The i-th row that is shown; false past the last. */
static bool shown_row(const struct times *x, int i, struct row *ret, const json_t **ret_shown)
{
    *ret_shown = json_array_get(x->averages, (size_t)i);
    if (x->table ? !*ret_shown : i >= x->n)
        return false;
    const char *system = json_string_or(*ret_shown, "system", "");
    const struct row *row = x->table ? find_row(x, system) : &x->row[i];
    *ret = row ? *row : (struct row){.system = system};
    return true;
}
static int show(const struct times *x, bool json)
{
    struct row r;
    const json_t *shown = NULL;
    json_t *rows = json_array();
    if (!json)
        print_head(x);
    for (int i = 0; shown_row(x, i, &r, &shown); i++)
        if (json)
            json_array_append_new(rows, row_json(&r, shown));
        else
            print_row(&r, shown);
    if (json)
        return cmd_print_json(json_pack("{s:s, s:s, s:o}", "experiment", x->spec->experiment, "stages",
                                        x->stages, "rows", rows));
    json_decref(rows);
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
/* The table that --table names, as it was made. */
static bool read_table(struct times *x, struct store *store, const char *name, struct error *err)
{
    AUTO(mem) bool *named = xcalloc((size_t)x->spec->n + 1, sizeof *named);
    AUTO(mem) char *dir = NULL;
    int at = 0;
    if (!targets_find(x->spec, &name, 1, named, err))
        return false;
    while (!named[at])
        at++;
    const struct task *t = x->spec->task[at];
    const struct record *r = resolve_record(x->resolver, t);
    if (!t->stage->outputs || t->stage->outputs->type != ARTIFACT_TABLE)
        return error_set(err, NULL, ERROR_INPUT, "--table: '%s' is no table", t->name);
    if (!r)
        return error_set(err, NULL, ERROR_INPUT, "--table: '%s' was not made yet: weft run ... --target '%s'",
                         t->name, t->name);
    if (!store_temp_dir(store, &dir, err) || !artifacts_write(store, &r->output[0], dir, false, err))
        return false;
    AUTO(mem) char *path = xprintf("%s/table.json", dir);
    if (!(x->table = json_read(path, err)))
        return false;
    json_t *row;
    size_t i;
    x->averages = json_array();
    json_array_foreach(json_object_get(x->table, "rows"), i,
                       row) if (strcmp(json_string_or(row, "domain", ""), AVERAGE) == 0)
        json_array_append(x->averages, row);
    return true;
}
static int times(const struct cmd_args *a, const struct spec *s)
{
    AUTO(store) struct store *store = NULL;
    AUTO(mem) enum resolution *state = xcalloc((size_t)s->n + 1, sizeof *state);
    AUTO(mem) struct row *row = xcalloc((size_t)s->n + 1, sizeof *row); /* a system an evaluation, at most */
    const struct opt_value *list = cmd_opt(a, "stages");
    struct resolver r;
    struct times x = {.spec = s, .resolver = &r, .stages = list->set ? list->string : UNIFY, .row = row};
    struct error err = {0};
    if (!check_stages(x.stages, &err) || !cmd_open_store(a, &store, &err))
        return cmd_fail(&err);
    resolver_init(&r, s, store);
    int status = 0;
    if (!resolve_all(&r, s, state, &err) ||
        (cmd_opt(a, "table")->set && !read_table(&x, store, cmd_opt(a, "table")->string, &err))) {
        status = cmd_fail(&err);
    } else {
        for (int i = 0; i < s->n; i++)
            add_task(&x, s->task[i]);
        if (!x.n && !error_set(&err, NULL, ERROR_INPUT,
                               "'%s' evaluates nothing: no stage of it has a parameter 'system'", s->file))
            status = cmd_fail(&err);
        else
            status = show(&x, cmd_opt(a, "json")->set);
    }
    json_decref(x.averages);
    json_decref(x.table);
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
                                 {"weft times exp.yaml --table table-15", "in the rows of that table"},
                                 {0}},
    .run = run};
