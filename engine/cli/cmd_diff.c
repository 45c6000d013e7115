/* weft diff: two runs side by side: configuration, keys, results. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/cli/cmd.h"
#include "engine/cli/reason.h"
#include "engine/cli/resultdiff.h"
#include "engine/cli/runconf.h"
#include "engine/cli/rundiff.h"
#include "engine/cli/runname.h"
#include "engine/cli/units.h"
#include <stdio.h>
#include <string.h>

#define NAMED 6 /* tasks of a list that a line tells by name */

static const struct opt opts[] = {OPT_ROW_STORE, OPT_ROW_JSON, {0}};

struct diff {
    struct store *store;
    struct arena arena;
    struct runview before, now;
    struct key_diff conf;
    struct rundiff tasks;
    json_t *results;
    int same_results;
};

static bool read_run(struct diff *d, const char *name, struct runview *ret, struct error *err)
{
    const char *id;
    return runname_find(store_path(d->store), name, &d->arena, &id, err) &&
           runview_read(store_path(d->store), id, &d->arena, ret, err);
}

static bool compare(struct diff *d, const struct cmd_args *a, struct error *err)
{
    if (!read_run(d, a->arg[0], &d->before, err) || !read_run(d, a->arg[1], &d->now, err) ||
        !runconf_diff(store_path(d->store), d->before.id, d->now.id, &d->arena, &d->conf, err) ||
        !rundiff_make(d->store, &d->before, &d->now, &d->arena, &d->tasks, err))
        return false;
    for (int i = 0; i < d->tasks.n; i++) {
        const struct rundiff_task *t = &d->tasks.task[i];
        if (t->kind == RUNDIFF_SAME)
            continue;
        const struct digest *was = t->before && t->before->has_key ? &t->before->key : NULL;
        const struct digest *is = t->now && t->now->has_key ? &t->now->key : NULL;
        if (!resultdiff(d->store, t->name, was, is, d->results, &d->same_results, err))
            return error_context(err, "results of task '%s'", t->name);
    }
    return true;
}

/* ---- for people ---- */

static void print_run(const char *sign, const struct runview *r)
{
    char spent[UNITS_MAX];
    printf("%s %s  %s  %s, %s in %s\n", sign, r->id, r->begin, r->file, r->state,
           seconds_text(r->seconds, spent));
}

static void print_conf(const struct diff *d)
{
    for (int i = 0; i < d->conf.n; i++) {
        AUTO(buf) struct buf line = {0};
        reason_text(NULL, &d->conf.change[i], &line);
        printf("%s  %s\n", i ? "" : "configuration\n", buf_str(&line));
    }
}

/* "  2 tasks only in the first run: a, b" */
static void print_names(const struct diff *d, enum rundiff_kind kind, const char *what)
{
    int n = 0, all = d->tasks.count[kind];
    if (!all)
        return;
    printf("  %d task%s %s:", all, all == 1 ? "" : "s", what);
    for (int i = 0; i < d->tasks.n && n < NAMED; i++)
        if (d->tasks.task[i].kind == kind)
            printf("%s %s", n++ ? "," : "", d->tasks.task[i].name);
    if (all > NAMED)
        printf(" and %d more", all - NAMED);
    printf("\n");
}

static size_t stem(const char *name)
{
    return strcspn(name, "[");
}

/* Each with the changes that are its own. Tasks of one stage with the same are one entry: "expert[*], 3
 * tasks". */
static void print_changed(const struct diff *d)
{
    AUTO_JSON groups = json_object();
    for (int i = 0; i < d->tasks.n; i++) {
        const struct rundiff_task *t = &d->tasks.task[i];
        if (t->kind != RUNDIFF_CHANGED)
            continue;
        AUTO(buf) struct buf text = {0};
        buf_printf(&text, "%.*s\n", (int)stem(t->name), t->name);
        for (int k = 0; k < t->diff.n; k++) {
            if (rundiff_follows(&t->diff.change[k]))
                continue;
            buf_puts(&text, "    ");
            reason_text(NULL, &t->diff.change[k], &text);
            buf_putc(&text, '\n');
        }
        json_t *group = json_object_get(groups, buf_str(&text));
        if (!group)
            json_object_set_new(groups, buf_str(&text), group = json_array());
        json_array_append_new(group, json_string(t->name));
    }
    const char *text;
    json_t *group;
    json_object_foreach(groups, text, group)
    {
        size_t n = json_array_size(group);
        if (n == 1)
            printf("  %s\n", json_string_value(json_array_get(group, 0)));
        else
            printf("  %.*s[*], %zu tasks\n", (int)strcspn(text, "\n"), text, n);
        fputs(strchr(text, '\n') + 1, stdout);
    }
}

static void print_tasks(const struct diff *d)
{
    const int *count = d->tasks.count;
    if (count[RUNDIFF_SAME] == d->tasks.n)
        return;
    printf("tasks\n");
    print_names(d, RUNDIFF_BEFORE, "only in the first run");
    print_names(d, RUNDIFF_NOW, "only in the second run");
    print_changed(d);
    print_names(d, RUNDIFF_UNKNOWN,
                count[RUNDIFF_UNKNOWN] == 1 ? "differs, without records to say how"
                                            : "differ, without records to say how");
    print_names(d, RUNDIFF_CONSEQUENCE,
                count[RUNDIFF_CONSEQUENCE] == 1 ? "differs only through these" : "differ only through these");
    printf("  %d the same\n", count[RUNDIFF_SAME]);
}

static void value_text(const json_t *v, const char *format, char out[UNITS_MAX])
{
    snprintf(out, UNITS_MAX, json_is_number(v) ? format : "-", json_number_value(v));
}

static void print_results(const struct diff *d)
{
    size_t i;
    json_t *row;
    if (json_array_size(d->results))
        printf("results\n  %-20s %-14s %-14s %-14s %10s %10s %10s\n", "task", "system", "domain", "metric",
               "before", "now", "difference");
    json_array_foreach(d->results, i, row)
    {
        char before[UNITS_MAX], now[UNITS_MAX], difference[UNITS_MAX];
        value_text(json_object_get(row, "before"), "%.4g", before);
        value_text(json_object_get(row, "now"), "%.4g", now);
        value_text(json_object_get(row, "difference"), "%+.4g", difference);
        printf("  %-20s %-14s %-14s %-14s %10s %10s %10s\n", json_string_or(row, "task", ""),
               json_string_or(row, "system", ""), json_string_or(row, "domain", ""),
               json_string_or(row, "metric", ""), before, now, difference);
    }
    if (d->same_results)
        printf("%s  %d value%s the same\n", json_array_size(d->results) ? "" : "results\n", d->same_results,
               d->same_results == 1 ? " is" : "s are");
}

static void print_people(const struct diff *d)
{
    print_run("-", &d->before);
    print_run("+", &d->now);
    print_conf(d);
    print_tasks(d);
    print_results(d);
    if (d->conf.n == 0 && d->tasks.count[RUNDIFF_SAME] == d->tasks.n)
        printf("the runs do not differ: %d tasks the same\n", d->tasks.n);
}

/* ---- for programs ---- */

static json_t *run_json(const struct runview *r)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:f}", "run", r->id, "experiment", r->experiment, "file",
                     r->file, "time", r->begin, "state", r->state, "seconds", r->seconds);
}

static json_t *tasks_json(const struct diff *d)
{
    static const char *const name[] = {[RUNDIFF_SAME] = "same",
                                       [RUNDIFF_CHANGED] = "changed",
                                       [RUNDIFF_CONSEQUENCE] = "consequence",
                                       [RUNDIFF_UNKNOWN] = "unknown",
                                       [RUNDIFF_BEFORE] = "only before",
                                       [RUNDIFF_NOW] = "only now"};
    json_t *list = json_array();
    for (int i = 0; i < d->tasks.n; i++) {
        const struct rundiff_task *t = &d->tasks.task[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "task", t->name, "stage",
                                              t->now ? t->now->stage : t->before->stage, "difference",
                                              name[t->kind], "changes", reasons_json(NULL, &t->diff)));
    }
    return list;
}

static json_t *diff_json(const struct diff *d)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:O, s:i}", "before", run_json(&d->before), "now",
                     run_json(&d->now), "configuration", reasons_json(NULL, &d->conf), "tasks", tasks_json(d),
                     "results", d->results, "same_results", d->same_results);
}

static int run(const struct cmd_args *a)
{
    struct error err = {0};
    struct diff d = {.results = json_array()};
    int status = 0;
    arena_init(&d.arena);
    if (!cmd_open_store(a, &d.store, &err) || !compare(&d, a, &err))
        status = cmd_fail(&err);
    else if (cmd_opt(a, "json")->set)
        status = cmd_print_json(diff_json(&d));
    else
        print_people(&d);
    json_decref(d.results);
    store_close(d.store);
    arena_done(&d.arena);
    return status;
}

const struct cmd cmd_diff = {
    .name = "diff",
    .group = "Look at results",
    .doc = "Compare two runs: configuration, keys, results.",
    .details = "Of the configuration: the file's name and text, --set, --vars, and the variables after "
               "these. Of the tasks: which are in one run only, which differ in something of their own, "
               "and which only because their inputs do. Of the results: each row of metrics and tables "
               "that is not the same. The exit status is 0 whether or not they differ.\n\n"
               "A run is named by its id, the beginning of one, or last.",
    .args = (const struct arg[]){{.name = "RUN1", .doc = "the run before"},
                                 {.name = "RUN2", .doc = "the run that is compared with it"},
                                 {0}},
    .opts = opts,
    .examples =
        (const struct example[]){{"weft diff 20261125T031608Z-000 last", "what the newest run changed"}, {0}},
    .run = run};
