#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "cache/store.h"
#include "engine/cli/cmd.h"
#include "engine/cli/runview.h"
#include "engine/cli/units.h"
#include "engine/exec/history.h"
#include "engine/exec/runlog.h"
#include <stdio.h>
#include <stdlib.h>

static const struct opt opts[] = {
    {"limit", 'n', OPT_INT, "N", "the newest N runs only"},
    {"stages", 's', OPT_FLAG, NULL, "what the records tell of the stages, instead of the runs"},
    OPT_ROW_STORE,
    OPT_ROW_JSON,
    {0}};

static const char *const states[] = {"hit", "ran", "failed", "skipped"};
#define STATES (sizeof states / sizeof *states)

static json_t *run_json(const struct runview *r)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:f}", "run", r->id, "experiment", r->experiment, "file",
                          r->file, "time", r->begin, "state", r->state, "seconds", r->seconds);
    for (size_t i = 0; i < STATES; i++)
        json_object_set_new(o, states[i], json_integer(runview_count(r, states[i])));
    return o;
}

/* "20261125T031608Z-000  2026-11-25T03:16:08Z  tiny  ok  3 hit, 15 ran in 2:31" */
static void print_run(const struct runview *r)
{
    AUTO(buf) struct buf counts = {0};
    char spent[UNITS_MAX];
    for (size_t i = 0; i < STATES; i++)
        if (runview_count(r, states[i]))
            buf_printf(&counts, "%s%d %s", counts.len ? ", " : "", runview_count(r, states[i]), states[i]);
    printf("%-20s  %-20s  %-16s %-11s %s in %s\n", r->id, r->begin, r->experiment, r->state,
           counts.len ? buf_str(&counts) : "no task", seconds_text(r->seconds, spent));
}

/* Print, or add to the list; folders that hold no events are no runs. */
static void add_run(const char *store, const char *id, json_t *list, long *left)
{
    AUTO(arena) struct arena mem;
    struct runview r;
    arena_init(&mem);
    if (!runview_read(store, id, &mem, &r, NULL))
        return;
    --*left;
    if (list)
        json_array_append_new(list, run_json(&r));
    else
        print_run(&r);
}

/* ---- of the stages ---- */

static json_t *stage_json(const struct history_stage *s)
{
    return json_pack("{s:s, s:i, s:f, s:f, s:f, s:b, s:f, s:I}", "stage", s->name, "runs", s->runs, "seconds",
                     s->seconds, "flops", s->flops, "serial", s->serial, "widths", s->widths, "error",
                     s->error, "memory", (json_int_t)s->memory);
}

static void print_stage(const struct history_stage *s)
{
    char spent[UNITS_MAX], memory[UNITS_MAX], flops[UNITS_MAX] = "-", error[UNITS_MAX] = "-";
    if (s->flops > 0)
        snprintf(flops, sizeof flops, "%.3g", s->flops / 1e9);
    if (s->error > 0)
        snprintf(error, sizeof error, "%.0f %%", 100 * s->error);
    printf("%-12s %6d %10s %9s %7.0f %% %-7s %7s %10s\n", s->name, s->runs, seconds_text(s->seconds, spent),
           flops, 100 * (1 - s->serial), s->widths ? "" : "assumed", error, bytes_text(s->memory, memory));
}

static int show_stages(struct store *store, bool json)
{
    struct history *h;
    struct history_stage *row;
    history_open(store, &h);
    size_t n = history_stages(h, &row);
    json_t *list = json ? json_array() : NULL;
    if (n && !json)
        printf("%-12s %6s %10s %9s %9s %-7s %7s %10s\n", "stage", "runs", "time", "GFLOP/s", "parallel", "",
               "error", "memory");
    for (size_t i = 0; i < n; i++)
        if (json)
            json_array_append_new(list, stage_json(&row[i]));
        else
            print_stage(&row[i]);
    free(row);
    history_close(h);
    return json ? cmd_print_json(json_pack("{s:o}", "stages", list)) : 0;
}

/* ---- the command ---- */

static int run(const struct cmd_args *a)
{
    AUTO(store) struct store *store = NULL;
    struct error err = {0};
    const struct opt_value *limit = cmd_opt(a, "limit");
    long left = limit->set ? limit->number : 1000000000;
    char **list;
    size_t n;
    if (left < 1) {
        error_set(&err, NULL, ERROR_INPUT, "--limit takes a number of runs, 1 or more, not %ld", left);
        return cmd_fail(&err);
    }
    if (!cmd_open_store(a, &store, &err))
        return cmd_fail(&err);
    if (cmd_opt(a, "stages")->set)
        return show_stages(store, cmd_opt(a, "json")->set);
    if (!runlog_list(store_path(store), &list, &n, &err))
        return cmd_fail(&err);
    bool json = cmd_opt(a, "json")->set;
    json_t *runs = json ? json_array() : NULL;
    for (size_t i = 0; i < n && left > 0; i++)
        add_run(store_path(store), list[i], runs, &left);
    fs_list_free(list, n);
    return json ? cmd_print_json(json_pack("{s:o}", "runs", runs)) : 0;
}

const struct cmd cmd_history = {
    .name = "history",
    .group = "Look at results",
    .doc = "List the runs of the store, newest first.",
    .details = "A run is ok, failed, interrupted, or unfinished: it still runs, or was killed. The "
               "first column is the run's name for --run of other commands.\n\n"
               "With --stages: how often each ran, its median time, the FLOPs a second on one core by its "
               "cost function, the part of its time that more cores share (assumed where it ran at one width "
               "only), how far off a prediction of one of its runs from the others typically is, and the "
               "most memory one needed. Of each stage the newest 32 runs count, those of this host first.",
    .args = (const struct arg[]){{0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft history --limit 5", "the newest five"},
                                         {"weft history --stages", "what stages take"},
                                         {"weft history --json", "for programs"},
                                         {0}},
    .run = run};
