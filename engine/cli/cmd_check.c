#include "engine/cli/cmd.h"
#include "engine/cli/sweep_run.h"
#include "engine/spec/spec.h"
#include <stdio.h>
#include <stdlib.h>

static const struct opt opts[] = {
    OPT_ROW_SET,
    OPT_ROW_VARS,
    {"pedantic", 0, OPT_FLAG, NULL, "warn of values that equal their default, too"},
    OPT_ROW_JSON,
    {0}};

static json_t *place(const char *file, int line, int col, const char *text)
{
    json_t *o = json_pack("{s:s}", "text", text);
    json_object_set_new(o, "file", line ? json_string(file) : json_null());
    json_object_set_new(o, "line", line ? json_integer(line) : json_null());
    json_object_set_new(o, "col", line ? json_integer(col) : json_null());
    return o;
}

/* The warnings, or the errors, of a list. */
static json_t *entries(const struct error *list, int n, bool warnings)
{
    json_t *all = json_array();
    for (int i = 0; i < n; i++) {
        const struct error *e = &list[i];
        if ((e->code == ERROR_WARNING) != warnings)
            continue;
        json_t *o = place(e->file, e->line, e->col, e->text);
        if (e->note.line)
            json_object_set_new(o, "note", place(e->note.file, e->note.line, e->note.col, e->note.text));
        json_array_append_new(all, o);
    }
    return all;
}

static json_t *tasks_json(const struct spec *s)
{
    json_t *tasks = json_array();
    for (int i = 0; i < s->n; i++) {
        const struct task *t = s->task[i];
        json_t *labels = json_array();
        for (int k = 0; k < t->n_labels; k++)
            json_array_append_new(labels, json_string(t->labels[k]));
        json_array_append_new(tasks,
                              json_pack("{s:s, s:s, s:s, s:i, s:o}", "task", t->name, "stage", t->stage->name,
                                        "file", t->pos.file, "line", t->pos.line, "private", labels));
    }
    return tasks;
}

static int fail(const struct error *errors, int n, bool json)
{
    int status = cmd_print_all(errors, n);
    if (json && cmd_print_json(json_pack("{s:o, s:o}", "errors", entries(errors, n, false), "warnings",
                                         entries(errors, n, true))) != 0)
        status = 1;
    return status;
}

/* The experiment, and its sweep where it has one: NULL in *sweep where not. */
static int read_both(const struct cmd_args *a, bool json, struct spec **ret, struct spec **sweep)
{
    struct error *errors = NULL;
    int n, status = 0;
    struct spec_options opt = cmd_spec_options(a);
    opt.pedantic = cmd_opt(a, "pedantic")->set;
    *ret = *sweep = NULL;
    bool ok = spec_read(a->arg[0], &opt, ret, &errors, &n);
    opt.sweep = true;
    if (ok && (*ret)->has_sweep)
        ok = spec_read(a->arg[0], &opt, sweep, &errors, &n);
    if (!ok)
        status = fail(errors, n, json);
    free(errors);
    return status;
}

static int print(const struct spec *s, const struct spec *sweep, bool json)
{
    cmd_print_all(s->warning, s->n_warnings);
    if (json) {
        json_t *o = json_pack("{s:s, s:o, s:o}", "experiment", s->experiment, "tasks", tasks_json(s),
                              "warnings", entries(s->warning, s->n_warnings, true));
        if (sweep)
            json_object_set_new(o, "sweep", sweep_counts_json(sweep));
        return cmd_print_json(o);
    }
    printf("%s: %d task%s, ok\n", s->experiment, s->n, s->n == 1 ? "" : "s");
    if (sweep)
        sweep_counts_print(sweep, stdout);
    return 0;
}

static int run(const struct cmd_args *a)
{
    struct spec *s, *sweep;
    bool json = cmd_opt(a, "json")->set;
    int status = read_both(a, json, &s, &sweep);
    if (status == 0)
        status = print(s, sweep, json);
    spec_free(s);
    spec_free(sweep);
    return status;
}

const struct cmd cmd_check = {
    .name = "check",
    .group = "Run experiments",
    .doc = "Read an experiment and print every error and warning in it.",
    .details = "Variables, parameters with their ranges, references, ports and private labels are "
               "all checked; nothing runs. All errors come in one go, each with its file, line and "
               "column; the exit status is then 2.",
    .args = (const struct arg[]){{.name = "EXPERIMENT", .doc = "the experiment, a YAML file"}, {0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft check exp.yaml", "is it right?"},
                                         {"weft check exp.yaml --vars small.yaml --json",
                                          "the tasks of a variant, for programs"},
                                         {0}},
    .run = run};
