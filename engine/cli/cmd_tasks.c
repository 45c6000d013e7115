/* weft tasks: names for completion, one a line. Whatever is wrong is said by the command that is being
 * written, not while it is: here nothing is printed on stderr. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "engine/cli/cmd.h"
#include "engine/cli/runview.h"
#include "engine/exec/runlog.h"
#include "engine/spec/spec.h"
#include <stdio.h>

#define RUNS 8 /* the newest ones are asked, without an experiment */

static const struct opt opts[] = {
    {"outputs", 0, OPT_FLAG, NULL, "also TASK.OUTPUT"}, OPT_ROW_SET, OPT_ROW_VARS, OPT_ROW_STORE, {0}};

static void print_task(const char *name, const struct stage *s, bool outputs)
{
    puts(name);
    for (const struct port *p = s && outputs ? s->outputs : NULL; p && p->name; p++)
        printf("%s.%s\n", name, p->name);
}

static int tasks_of_spec(const struct cmd_args *a, bool outputs)
{
    const struct opt_value *set = cmd_opt(a, "set"), *vars = cmd_opt(a, "vars");
    const struct spec_options options = {
        .set = set->list, .n_set = set->n, .vars = vars->list, .n_vars = vars->n};
    struct error *errors;
    struct spec *s;
    int n;
    if (!spec_read(a->arg[0], &options, &s, &errors, &n)) {
        free(errors);
        return 2;
    }
    for (int i = 0; i < s->n; i++)
        print_task(s->task[i]->name, s->task[i]->stage, outputs);
    spec_free(s);
    return 0;
}

/* The tasks of one run that were not named yet. */
static void tasks_of_run(const char *store, const char *id, bool outputs, json_t *seen)
{
    AUTO(arena) struct arena mem;
    struct runview r;
    arena_init(&mem);
    if (!runview_read(store, id, &mem, &r, NULL))
        return;
    for (int i = 0; i < r.n; i++) {
        if (json_object_get(seen, r.task[i].name))
            continue;
        json_object_set_new(seen, r.task[i].name, json_true());
        print_task(r.task[i].name, stage_find(r.task[i].stage), outputs);
    }
}

static int run(const struct cmd_args *a)
{
    AUTO(mem) char *store = cmd_store_path(a);
    AUTO_JSON seen = json_object();
    char **list;
    size_t n;
    bool outputs = cmd_opt(a, "outputs")->set;
    if (a->n)
        return tasks_of_spec(a, outputs);
    if (!fs_is_dir(store) || !runlog_list(store, &list, &n, NULL))
        return 2;
    for (size_t i = 0; i < n && i < RUNS; i++)
        tasks_of_run(store, list[i], outputs, seen);
    fs_list_free(list, n);
    return 0;
}

const struct cmd cmd_tasks = {
    .name = "tasks",
    .doc = "Print the names of tasks: of an experiment, else of the newest runs.",
    .args =
        (const struct arg[]){{.name = "EXPERIMENT", .doc = "the experiment, a YAML file", .optional = true},
                             {0}},
    .opts = opts,
    .run = run,
    .hidden = true};
