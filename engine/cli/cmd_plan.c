/* weft plan: what a run would do, why, and what it would take; nothing runs. */
#include "base/cleanup.h"
#include "base/json.h"
#include "engine/cli/cmd.h"
#include "engine/cli/planview.h"
#include "engine/cli/reason.h"
#include "engine/cli/sweep_run.h"
#include "engine/cli/units.h"
#include "engine/exec/targets.h"
#include <stdio.h>
#include <string.h>

#define NAMED 3 /* tasks that one waits for, of which a line tells the names */

static const struct opt opts[] = {
    OPT_ROW_SET,
    OPT_ROW_VARS,
    OPT_ROW_STORE,
    {"target", 't', OPT_LIST, "TASK", "only this task or stage and what it needs; repeatable"},
    OPT_ROWS_MACHINE,
    {"all", 'a', OPT_FLAG, NULL, "compare every miss with earlier results, not just the first 50"},
    OPT_ROW_SWEEP,
    OPT_ROW_JSON,
    {0}};

static const char *const state_name[] = {
    [RESOLVE_ERROR] = "error", [RESOLVE_WAIT] = "wait", [RESOLVE_MISS] = "run", [RESOLVE_HIT] = "hit"};

/* ---- why ---- */

/* The tasks right before t that have no result yet, each once: "unified, proxy[a] and 2 more". */
static void add_waits_for(const struct planview *v, const struct task *t, struct buf *out)
{
    AUTO_JSON seen = json_object();
    const struct task_ref *ref;
    int n = 0;
    for (int k = 0; (ref = task_input_at(t, k)); k++) {
        if (v->task[ref->task->index].state == RESOLVE_HIT || json_object_get(seen, ref->task->name))
            continue;
        json_object_set_new(seen, ref->task->name, json_true());
        if (n++ < NAMED)
            buf_printf(out, "%s%s", n > 1 ? ", " : "for ", ref->task->name);
    }
    if (n > NAMED)
        buf_printf(out, " and %d more", n - NAMED);
}

static void add_made(const struct index_entry *entry, struct buf *out)
{
    struct record_summary made;
    record_summary_of(entry, &made);
    buf_puts(out, "made ");
    buf_puts(out, made.when);
}

static void why(const struct planview *v, int i, struct buf *out)
{
    const struct planview_task *t = &v->task[i];
    const struct task *task = v->spec->task[i];
    if (t->state == RESOLVE_HIT)
        add_made(t->known->entry, out);
    else if (t->fetch)
        buf_printf(out, "%s is not fetched yet", t->fetch);
    else if (t->state == RESOLVE_WAIT)
        add_waits_for(v, task, out);
    else if (t->same)
        buf_printf(out, "the same as %s, which runs for both", t->same->name);
    else if (t->known->lost)
        buf_puts(out, "a part of the result is no longer in the store");
    else if (!t->asked)
        buf_puts(out, "no result of this key");
    else if (!t->near.text)
        buf_printf(out, "new: no earlier result of stage '%s'", task->stage->name);
    else
        reason_text(task, &t->near.diff.change[0], out);
    if (t->asked && t->near.diff.n > 1)
        buf_printf(out, " and %d more", t->near.diff.n - 1);
}

/* ---- for people ---- */

static int name_width(const struct planview *v)
{
    size_t most = 4;
    for (int i = 0; i < v->spec->n; i++)
        if (v->task[i].wanted && strlen(v->spec->task[i]->name) > most)
            most = strlen(v->spec->task[i]->name);
    return most > 40 ? 40 : (int)most;
}

/* There may be a hundred thousand: put together by hand, which is several times as fast as printf. */
static void add_row(const struct planview *v, int i, int width, struct buf *out)
{
    const struct planview_task *t = &v->task[i];
    char time[UNITS_MAX] = "-", memory[UNITS_MAX] = "-", cores[UNITS_MAX] = "-";
    if (t->cores) {
        seconds_text(t->seconds, time);
        snprintf(cores, sizeof cores, "%d", t->cores);
    }
    if (t->memory)
        bytes_text(t->memory, memory);
    buf_left(out, state_name[t->state], 6);
    buf_left(out, v->spec->task[i]->name, width);
    buf_puts(out, "  ");
    buf_left(out, v->spec->task[i]->stage->name, 12);
    buf_right(out, time, 9);
    buf_right(out, cores, 6);
    buf_right(out, memory, 11);
    buf_puts(out, "  ");
    why(v, i, out);
    buf_putc(out, '\n');
}

static void print_rows(const struct planview *v, int width)
{
    AUTO(buf) struct buf rows = {0};
    for (int i = 0; i < v->spec->n; i++) {
        if (v->task[i].wanted)
            add_row(v, i, width, &rows);
        if (rows.len > 1 << 15 || i + 1 == v->spec->n) {
            fwrite(buf_str(&rows), 1, rows.len, stdout);
            buf_clear(&rows);
        }
    }
}

static void print_forecast(const struct planview *v)
{
    const struct simulate *r = &v->forecast.found;
    char time[UNITS_MAX], path[UNITS_MAX], work[UNITS_MAX], memory[UNITS_MAX];
    printf("predicted: about %s on %d core%s, ", seconds_text(r->makespan, time), v->cores,
           v->cores == 1 ? "" : "s");
    if (v->error > 0)
        printf("within %.0f %% by %d task%s of the history", 100 * v->error, v->forecast.sure,
               v->forecast.sure == 1 ? "" : "s");
    else if (v->known)
        printf("by %d task%s of the history, each of which ran but once", v->known, v->known == 1 ? "" : "s");
    printf(v->forecast.guessed ? "%s%d estimate%s\n" : "\n", v->known ? ", " : "", v->forecast.guessed,
           v->forecast.guessed == 1 ? "" : "s");
    printf("work: %.3g core-hours, %.0f %% of the cores in use, at most %s at a time\n",
           r->core_seconds / 3600, 100 * r->utilisation, bytes_text(r->memory, memory));
    printf("no less than %s (longest path at its widest %s, work over cores %s); bound by %s\n",
           seconds_text(forecast_bound(&v->forecast), time), seconds_text(r->path_bound, path),
           seconds_text(r->work_bound, work), simulate_bound_name(r->bound));
    printf("longest path, %s:", seconds_text(v->forecast.found.path_seconds, path));
    for (int i = 0; i < v->forecast.found.n_path; i++)
        printf("%s%s", i ? " > " : " ", v->spec->task[v->forecast.found.path[i]]->name);
    printf("\n");
}

static void print_people(const struct planview *v)
{
    int width = name_width(v), n = v->hit + v->miss + v->wait;
    char saved[UNITS_MAX];
    printf("%-5s %-*s  %-11s %9s %5s %10s  %s\n", "state", width, "task", "stage", "time", "cores", "memory",
           "why");
    print_rows(v, width);
    printf("%s: %d task%s: %d hit (worth %s), %d to run, %d waiting for these\n", v->spec->experiment, n,
           n == 1 ? "" : "s", v->hit, seconds_text(v->saved, saved), v->miss, v->wait);
    if (v->spec->sweep)
        sweep_counts_print(v->spec, stdout);
    if (v->fetch)
        printf(
            "%d of those that wait need%s data that is not fetched yet: weft fetch, or weft run, gets it\n",
            v->fetch, v->fetch == 1 ? "s" : "");
    if (v->forecast.run)
        print_forecast(v);
    if (v->unasked)
        fprintf(stderr, "%d more misses were not compared with earlier results; --all does\n", v->unasked);
}

/* ---- for programs ---- */

static json_t *waits_json(const struct planview *v, const struct task *t)
{
    json_t *list = json_array();
    const struct task_ref *ref;
    for (int k = 0; (ref = task_input_at(t, k)); k++)
        if (v->task[ref->task->index].state != RESOLVE_HIT)
            json_array_append_new(list, json_string(ref->task->name));
    return list;
}

static json_t *row_json(const struct planview *v, int i)
{
    const struct planview_task *t = &v->task[i];
    const struct task *task = v->spec->task[i];
    AUTO(buf) struct buf reason = {0};
    char hex[DIGEST_HEX];
    why(v, i, &reason);
    json_t *o = json_pack("{s:s, s:s, s:s, s:f, s:i, s:I, s:s}", "task", task->name, "stage",
                          task->stage->name, "state", state_name[t->state], "seconds", t->seconds, "cores",
                          t->cores, "memory", (json_int_t)t->memory, "why", buf_str(&reason));
    json_object_set_new(o, "key",
                        t->known->has_key ? json_string(digest_hex(&t->known->key, hex)) : json_null());
    if (t->state != RESOLVE_HIT && !t->same)
        json_object_set_new(o, "source", json_string(history_source_name(t->source)));
    if (t->asked && t->near.text)
        json_object_set_new(o, "nearest",
                            json_pack("{s:s, s:s, s:o}", "task", t->near.task, "when", t->near.when,
                                      "changes", reasons_json(task, &t->near.diff)));
    if (t->same)
        json_object_set_new(o, "same_as", json_string(t->same->name));
    if (t->state == RESOLVE_WAIT)
        json_object_set_new(o, "waits_for", waits_json(v, task));
    if (t->fetch)
        json_object_set_new(o, "fetch", json_string(t->fetch));
    return o;
}

static json_t *plan_json(const struct planview *v)
{
    json_t *tasks = json_array(), *path = json_array();
    for (int i = 0; i < v->spec->n; i++)
        if (v->task[i].wanted)
            json_array_append_new(tasks, row_json(v, i));
    for (int i = 0; i < v->forecast.found.n_path; i++)
        json_array_append_new(path, json_string(v->spec->task[v->forecast.found.path[i]]->name));
    json_t *totals =
        json_pack("{s:i, s:i, s:i, s:f, s:i, s:f, s:f, s:I, s:o, s:f, s:f, s:i, s:i, s:f, s:f, s:f, s:s}",
                  "hit", v->hit, "run", v->miss, "wait", v->wait, "saved_seconds", v->saved, "cores",
                  v->cores, "seconds", v->forecast.found.makespan, "core_hours",
                  v->forecast.found.core_seconds / 3600, "memory", (json_int_t)v->forecast.found.memory,
                  "longest_path", path, "longest_path_seconds", v->forecast.found.path_seconds, "error",
                  v->error, "by_history", v->known, "by_estimate", v->forecast.guessed, "utilisation",
                  v->forecast.found.utilisation, "path_bound", v->forecast.found.path_bound, "work_bound",
                  v->forecast.found.work_bound, "bound", simulate_bound_name(v->forecast.found.bound));
    json_t *o =
        json_pack("{s:s, s:o, s:o}", "experiment", v->spec->experiment, "tasks", tasks, "totals", totals);
    if (v->spec->sweep)
        json_object_set_new(o, "sweep", sweep_counts_json(v->spec));
    return o;
}

/* ---- the command ---- */

static int plan(const struct cmd_args *a, const struct spec *s)
{
    AUTO(store) struct store *store = NULL;
    AUTO(machineopt) struct machineopt machine = {0};
    struct planview v;
    struct error err = {0};
    const struct opt_value *targets = cmd_opt(a, "target");
    if (!machineopt_read(a, &machine, &err) || !cmd_open_store(a, &store, &err))
        return cmd_fail(&err);
    const struct planview_options o = {.targets = targets->list,
                                       .n_targets = targets->n,
                                       .machine = &machine,
                                       .all = cmd_opt(a, "all")->set};
    int status = 0;
    if (!planview_make(&v, s, store, &o, &err))
        status = cmd_fail(&err);
    else if (cmd_opt(a, "json")->set)
        status = cmd_print_json(plan_json(&v));
    else
        print_people(&v);
    planview_done(&v);
    return status;
}

static int run(const struct cmd_args *a)
{
    return cmd_with_spec(a, plan);
}

const struct cmd cmd_plan = {
    .name = "plan",
    .group = "Run experiments",
    .doc = "Show what would run, why and for how long, before it does.",
    .details =
        "Nothing runs. A task is a hit when the store has its result, would run when it has "
        "not, and waits when what it needs is not known yet: its key then follows from "
        "results still to be made, and it may turn out to be a hit.\n\n"
        "Times and memory follow from earlier runs, else from the stage's cost function. The totals "
        "count tasks that wait as ones that run, and go by what the scheduler would do. The makespan's "
        "error is what it would be off by if every task were off by the typical error of its "
        "prediction, all in the same direction; no schedule ends before the lower bound.",
    .args = (const struct arg[]){{.name = "EXPERIMENT", .doc = "the experiment, a YAML file"}, {0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft plan exp.yaml --set 'clients=[a, b]'",
                                          "what two clients more would cost"},
                                         {"weft plan exp.yaml --cores 64 --target table",
                                          "how long as far as one stage needs it, on a larger machine"},
                                         {"weft plan exp.yaml --json", "the same for programs"},
                                         {0}},
    .run = run};
