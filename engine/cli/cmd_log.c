/* weft log: what a task's worker wrote, in the newest run that has it, also while it goes on writing. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/cli/cmd.h"
#include "engine/cli/lastrun.h"
#include "engine/cli/runname.h"
#include "engine/cli/tasklog.h"
#include "engine/exec/runlog.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOOK_MS 200 /* between two looks while following */

static const struct opt opts[] = {
    {"follow", 'f', OPT_FLAG, NULL, "go on until the task ends; waits for one that has not begun"},
    {"lines", 'n', OPT_INT, "N", "begin with the last N lines"},
    {"run", 'r', OPT_STRING, "RUN", "of that run instead of the last in which the task ran"},
    OPT_ROW_STORE,
    {0}};

/* Is there something to print, or to wait for? */
static bool serves(const struct tasklog *t, bool follow)
{
    return fs_exists(t->path) || (follow && !tasklog_over(t));
}

/* The newest run, or `run`, that serves. Not found: ERROR_INPUT or ERROR_TASK, with the reason. */
static bool find(struct store *store, const char *run, const char *task, bool follow, struct arena *a,
                 struct tasklog *ret, struct error *err)
{
    const char *id = NULL;
    char **list;
    size_t n;
    bool found = false;
    if (run && !runname_find(store_path(store), run, a, &id, err))
        return false;
    if (!runlog_list(store_path(store), &list, &n, err))
        return false;
    for (size_t i = 0; i < n && !found; i++) {
        if (id && strcmp(id, list[i]) != 0)
            continue;
        found = tasklog_open(ret, store_path(store), list[i], task, a) && serves(ret, follow);
        if (!found)
            tasklog_close(ret);
    }
    fs_list_free(list, n);
    struct lastrun last;
    if (!found && lastrun_find(store, id, task, true, a, &last, err))
        error_set(err, NULL, ERROR_TASK, "task '%s' failed in run %s before it had a worker", last.task,
                  last.run);
    return found;
}

/* Where the last n lines of a file of so many bytes begin. */
static long last_lines(FILE *f, long size, long n)
{
    long at = size;
    for (long lines = 0; at > 0; at--) {
        if (fseek(f, at - 1, SEEK_SET) != 0)
            return 0;
        if (fgetc(f) == '\n' && at != size && ++lines == n)
            break;
    }
    return n > 0 ? at : size;
}

static bool copy_rest(FILE *f, struct error *err)
{
    char chunk[65536];
    size_t n;
    clearerr(f);
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
        if (fwrite(chunk, 1, n, stdout) != n)
            return error_errno(err, "cannot write the output");
    return fflush(stdout) == 0 || error_errno(err, "cannot write the output");
}

static void sleep_a_moment(void)
{
    nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
}

/* Wait for the log; false: the task ended, or the run, without one. */
static FILE *open_log(struct tasklog *t, bool follow)
{
    for (bool told = false;; told = true) {
        bool over = tasklog_over(t); /* first: what was written before it ended is there then */
        FILE *f = fopen(t->path, "re");
        if (f || !follow || over)
            return f;
        if (!told)
            fprintf(stderr, "%s has not begun in run %s; waiting\n", t->task, t->run);
        sleep_a_moment();
        tasklog_read(t);
    }
}

static void print_state(const struct tasklog *t)
{
    const char *state = t->state ? t->state : "starting";
    bool ended = strcmp(state, "ran") == 0 || strcmp(state, "failed") == 0;
    if (strcmp(state, "hit") == 0) /* it ran, and what it made was planned with again */
        state = "ran";
    else if (!ended && tasklog_over(t))
        state = "was cut off, begun";
    fprintf(stderr, "%s %s at %s, run %s\n", t->task, state, t->time, t->run);
}

static bool print_log(const struct cmd_args *a, struct error *err)
{
    AUTO(store) struct store *store = NULL;
    AUTO(arena) struct arena mem;
    AUTO(tasklog) struct tasklog t = {0};
    bool follow = cmd_opt(a, "follow")->set;
    const struct opt_value *lines = cmd_opt(a, "lines");
    arena_init(&mem);
    if (lines->set && lines->number < 0)
        return error_set(err, NULL, ERROR_INPUT, "--lines takes a number of lines, not %ld", lines->number);
    if (!cmd_open_store(a, &store, err) ||
        !find(store, cmd_opt(a, "run")->string, a->arg[0], follow, &mem, &t, err))
        return false;
    AUTO(file) FILE *f = open_log(&t, follow);
    if (!f)
        return error_set(err, NULL, ERROR_TASK, "run %s ended, and task '%s' had no worker", t.run, t.task);
    tasklog_read(&t);
    print_state(&t);
    if (lines->set && fseek(f, 0, SEEK_END) == 0)
        fseek(f, last_lines(f, ftell(f), lines->number), SEEK_SET);
    for (bool over = false; !over;) {
        over = !follow || tasklog_over(&t);
        if (!copy_rest(f, err))
            return false;
        if (!over)
            sleep_a_moment();
        tasklog_read(&t);
    }
    return true;
}

static int run(const struct cmd_args *a)
{
    struct error err = {0};
    return print_log(a, &err) ? 0 : cmd_fail(&err);
}

const struct cmd cmd_log = {
    .name = "log",
    .group = "Look at results",
    .doc = "Print what a task's worker wrote when it last ran, or writes.",
    .details =
        "Each task that runs has a log of its own: what its stage and the libraries below "
        "wrote. A task that was a hit has none in that run; the newest run in which it did "
        "run is taken, ended or not.\n\n"
        "--follow goes on until the task ends or its run does, and waits for a task that has not begun. "
        "A run is named by its id, the beginning of one, or last.",
    .args = (const struct arg[]){{.name = "TASK", .doc = "a task's name"}, {0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft log 'expert[rings]'", "its newest log"},
                                         {"weft log -f -n 20 seed", "its last lines, and all that follow"},
                                         {0}},
    .run = run};
