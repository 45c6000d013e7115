#include "base/cleanup.h"
#include "base/fs.h"
#include "engine/cli/cmd.h"
#include "engine/cli/lastrun.h"
#include "engine/exec/runlog.h"
#include <stdio.h>

static const struct opt opts[] = {
    {"run", 'r', OPT_STRING, "RUN", "of that run instead of the last in which the task ran"},
    OPT_ROW_STORE,
    {0}};

static bool print_log(const struct cmd_args *a, struct error *err)
{
    AUTO(store) struct store *store = NULL;
    AUTO(arena) struct arena mem;
    struct lastrun found;
    arena_init(&mem);
    if (!cmd_open_store(a, &store, err) ||
        !lastrun_find(store, cmd_opt(a, "run")->string, a->arg[0], true, &mem, &found, err))
        return false;
    AUTO(mem) char *path = runlog_path(store_path(store), found.run, found.task);
    AUTO(mem) char *text = NULL;
    size_t n;
    if (!fs_exists(path))
        return error_set(err, NULL, ERROR_TASK, "task '%s' failed in run %s before it had a worker",
                         found.task, found.run);
    if (!fs_read_file(path, &text, &n, err))
        return false;
    fprintf(stderr, "%s %s at %s, run %s\n", found.task, found.state, found.time, found.run);
    return fwrite(text, 1, n, stdout) == n || error_errno(err, "cannot write the output");
}

static int run(const struct cmd_args *a)
{
    struct error err = {0};
    return print_log(a, &err) ? 0 : cmd_fail(&err);
}

const struct cmd cmd_log = {
    .name = "log",
    .group = "Look at results",
    .doc = "Print what a task's worker wrote when it last ran.",
    .details = "Each task that runs has a log of its own: what its stage and the libraries below "
               "wrote. A task that was a hit has none in that run; the newest run in which it did "
               "run is taken.",
    .args = (const struct arg[]){{.name = "TASK", .doc = "a task's name"}, {0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft log 'expert[rings]'", "its newest log"}, {0}},
    .run = run};
