#include "engine/cli/cmd.h"
#include "engine/spec/spec.h"
#include <stdio.h>

static const struct opt opts[] = {OPT_ROW_SET, OPT_ROW_VARS, OPT_ROW_JSON, {0}};

static json_t *describe(const struct spec *s)
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
    return json_pack("{s:s, s:o}", "experiment", s->experiment, "tasks", tasks);
}

static int run(const struct cmd_args *a)
{
    struct spec *s;
    int status = cmd_read_spec(a, a->arg[0], &s);
    if (status)
        return status;
    if (cmd_opt(a, "json")->set)
        status = cmd_print_json(describe(s));
    else
        printf("%s: %d task%s, ok\n", s->experiment, s->n, s->n == 1 ? "" : "s");
    spec_free(s);
    return status;
}

const struct cmd cmd_check = {
    .name = "check",
    .group = "Run experiments",
    .doc = "Read an experiment and print every error in it.",
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
