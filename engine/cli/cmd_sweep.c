/* weft sweep: an experiment at all points of its sweep, as one graph. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/cli/cmd_run.h"
#include "engine/cli/fetching.h"
#include "engine/cli/sweep_run.h"
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {
    OPT_ROW_SET,
    OPT_ROW_VARS,
    OPT_ROW_STORE,
    OPT_ROW_REMOTE,
    {"cores", 'c', OPT_INT, "N", "use at most N cores"},
    OPT_ROW_THREADS,
    OPT_ROW_UNIT,
    OPT_ROWS_LAUNCHER,
    {"keep-going", 'k', OPT_FLAG, NULL, "after a failure go on with what does not need it"},
    {"top", 0, OPT_INT, "N", "show the best N while it runs; default 5"},
    {"out", 'o', OPT_STRING, "DIR", "write sweep.md, sweep.csv, sweep.json and sweep.svg there, too"},
    {"dry-run", 'n', OPT_FLAG, NULL, "list the points and count the tasks; nothing runs"},
    {"quiet", 'q', OPT_FLAG, NULL, "print failures and the table only"},
    OPT_ROW_JSON,
    {0}};

static int dry_run(const struct spec *s, bool json)
{
    const struct sweep *w = s->sweep;
    if (json) {
        json_t *points = json_array();
        for (int i = 0; i < w->n; i++)
            json_array_append_new(points, json_string(w->point[i].name));
        return cmd_print_json(json_pack("{s:s, s:o, s:o}", "experiment", s->experiment, "points", points,
                                        "sweep", sweep_counts_json(s)));
    }
    for (int i = 0; i < w->n; i++)
        printf("%s\n", w->point[i].name);
    sweep_counts_print(s, stderr);
    return 0;
}

/* ---- what it ends with ---- */

/* The table, with what was decided on the way where trials went on by halving. */
static json_t *report(struct sweep_run *r)
{
    json_t *o = sweep_json(sweep_run_view(r)), *decisions = sweep_run_decisions(r);
    if (decisions)
        json_object_set_new(o, "decisions", decisions);
    return o;
}

static bool write_all(struct sweep_run *r, const char *dir, struct error *err)
{
    const struct sweep_view *v = sweep_run_view(r);
    AUTO_JSON json = report(r);
    AUTO(mem) char *json_data = json_dumps(json, JSON_INDENT(2) | JSON_SORT_KEYS);
    AUTO(buf) struct buf md = {0};
    AUTO(buf) struct buf csv = {0};
    AUTO(buf) struct buf svg = {0};
    sweep_markdown(v, &md);
    sweep_csv(v, &csv);
    sweep_svg(v, &svg);
    const struct {
        const char *name, *text;
    } file[] = {{"sweep.md", buf_str(&md)},
                {"sweep.csv", buf_str(&csv)},
                {"sweep.json", json_data},
                {"sweep.svg", buf_str(&svg)}};
    if (!fs_mkdirs(dir, err))
        return false;
    for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
        AUTO(mem) char *path = xprintf("%s/%s", dir, file[i].name);
        if (!fs_publish(path, file[i].text, strlen(file[i].text), false, err))
            return false;
    }
    return true;
}

static int print_end(const struct cmd_args *a, struct sweep_run *r)
{
    if (cmd_opt(a, "json")->set)
        return cmd_print_json(report(r));
    AUTO(buf) struct buf md = {0};
    sweep_markdown(sweep_run_view(r), &md);
    fputs(buf_str(&md), stdout);
    return 0;
}

/* Tables and picture: into the run's folder, and to --out. */
static int finish(const struct cmd_args *a, struct store *store, struct sweep_run *r, const char *run)
{
    struct error err = {0};
    AUTO(mem) char *dir = xprintf("%s/runs/%s", store_path(store), run);
    const struct opt_value *out = cmd_opt(a, "out");
    int status = print_end(a, r);
    if (!write_all(r, dir, &err) || (out->set && !write_all(r, out->string, &err))) {
        error_context(&err, "the sweep's table");
        return cmd_fail(&err);
    }
    if (!cmd_opt(a, "quiet")->set)
        fprintf(stderr, "tables and picture: %s/sweep.{md,csv,json,svg}\n", out->set ? out->string : dir);
    return status;
}

/* ---- the command ---- */

static int run_sweep(const struct cmd_args *a, const struct spec *s, struct store *store)
{
    const struct opt_value *top = cmd_opt(a, "top");
    bool quiet = cmd_opt(a, "quiet")->set;
    double start = clock_seconds();
    struct build *b = NULL;
    struct run_setup setup;
    struct error err = {0};
    AUTO(mem) char *dir = NULL;
    if (top->set && (top->number < 0 || top->number > 1000)) {
        error_set(&err, NULL, ERROR_INPUT, "--top takes a number from 0 to 1000");
        return cmd_fail(&err);
    }
    if (!store_temp_dir(store, &dir, &err) || !run_setup(a, store, &setup, &err))
        return cmd_fail(&err);
    if (!fetching_all(a, s, store, setup.interrupts, &err)) {
        run_setup_done(&setup);
        return cmd_fail(&err);
    }
    if (!quiet)
        sweep_counts_print(s, stderr);
    struct sweep_run *r =
        sweep_run_new(s, store, dir, setup.progress, top->set ? (int)top->number : 5, quiet);
    setup.opt.see = sweep_run_see;
    setup.opt.held = sweep_run_held(r);
    setup.opt.release = sweep_run_release;
    setup.opt.arg = r;
    bool ok = build_run(s, store, &setup.opt, &b, &err);
    run_setup_end(&setup);
    int status = ok ? 0 : cmd_fail(&err);
    if (b && !quiet)
        run_summary(s, b, &setup, clock_seconds() - start);
    run_setup_done(&setup);
    if (b) {
        int end = finish(a, store, r, build_run_id(b));
        status = status ? status : end;
    }
    sweep_run_free(r);
    build_free(b);
    return status;
}

static int run(const struct cmd_args *a)
{
    struct spec *s;
    AUTO(store) struct store *store = NULL;
    struct error err = {0};
    struct spec_options opt = cmd_spec_options(a);
    opt.sweep = true;
    int status = cmd_read_spec_with(a->arg[0], &opt, &s);
    if (status)
        return status;
    if (cmd_opt(a, "dry-run")->set)
        status = dry_run(s, cmd_opt(a, "json")->set);
    else
        status = cmd_open_store(a, &store, &err) ? run_sweep(a, s, store) : cmd_fail(&err);
    spec_free(s);
    return status;
}

const struct cmd cmd_sweep = {
    .name = "sweep",
    .group = "Run experiments",
    .doc = "Run an experiment at all points of its sweep, as one graph.",
    .details =
        "What several points share is there once and runs once. Each point that is done is told with its "
        "objective; at the end a table of all points goes to standard output, and to the run's folder "
        "as Markdown, CSV, JSON and a picture. What is in the store does not run again: a sweep that "
        "was stopped goes on, a wider one adds its new points.\n\n"
        "With search.halving the trials start at the first rung, and the best go on to the next, from "
        "the checkpoints of the rung before where the stages keep them; the others stay paused.",
    .args =
        (const struct arg[]){{.name = "EXPERIMENT", .doc = "the experiment, a YAML file with sweep:"}, {0}},
    .opts = opts,
    .examples =
        (const struct example[]){
            {"weft sweep exp.yaml --dry-run", "the points, and how many tasks they share"},
            {"weft sweep exp.yaml --out results/", "run them; table and picture"},
            {0}},
    .run = run};
