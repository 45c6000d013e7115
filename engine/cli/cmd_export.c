#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/cli/cmd.h"
#include "engine/cli/lastrun.h"
#include "engine/exec/artifacts.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {
    {"run", 'r', OPT_STRING, "RUN", "of that run instead of the last that has the task"},
    {"private", 0, OPT_FLAG, NULL, "also what carries a client's private data"},
    OPT_ROW_STORE,
    {0}};

/* One output: its files; several: a folder each. */
static bool write_outputs(struct store *store, const struct record *r, const char *port, const char *dir,
                          struct error *err)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct record_output *o = &r->output[i];
        if (port && strcmp(port, o->port) != 0)
            continue;
        AUTO(mem) char *to = port || r->n == 1 ? xstrdup(dir) : xprintf("%s/%s", dir, o->port);
        if (!fs_mkdirs(to, err) || !artifacts_write(store, o, to, true, err))
            return false;
    }
    return true;
}

static bool occupied(struct error *err, const char *dir)
{
    return error_set(err, NULL, ERROR_INPUT, "'%s' exists and is no empty folder: choose another", dir);
}

/* Before anything is written: it may be much. Nothing is there, or an empty folder. */
static bool check_target(const char *dir, struct error *err)
{
    if (!fs_exists(dir))
        return true;
    DIR *d = opendir(dir);
    if (!d)
        return errno == ENOTDIR ? occupied(err, dir) : error_errno(err, "cannot open folder '%s'", dir);
    int entries = 0;
    while (readdir(d))
        entries++;
    closedir(d);
    return entries <= 2 || occupied(err, dir);
}

/* All of it appears at once: written beside DIR, then renamed over it, which an empty folder allows. */
static bool export(struct store *store, const struct record *r, const char *port, const char *to,
                   struct error *err)
{
    AUTO(mem) char *dir = xstrdup(to);
    for (size_t n = strlen(dir); n > 1 && dir[n - 1] == '/'; n--)
        dir[n - 1] = '\0';
    AUTO(mem) char *temp = xprintf("%s.weft-%ld", dir, (long)getpid());
    if (!check_target(dir, err))
        return false;
    if (!write_outputs(store, r, port, temp, err)) {
        fs_remove_tree(temp, NULL);
        return false;
    }
    if (fs->rename(temp, dir) == 0)
        return true;
    if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR)
        occupied(err, dir);
    else
        error_errno(err, "cannot rename to '%s'", dir);
    fs_remove_tree(temp, NULL);
    return false;
}

/* Labelled data leaves the store only when that was said: what is exported carries no label any more. */
static bool check_private(const struct lastrun *l, const char *port, struct error *err)
{
    for (int i = 0; i < l->n_private; i++)
        if (!port || strcmp(port, l->private[i].port) == 0)
            return error_set(err, NULL, ERROR_INPUT,
                             "output '%s' carries private data of '%s'; --private exports it all the same",
                             l->private[i].port, l->private[i].labels);
    return true;
}

static bool export_task(const struct cmd_args *a, struct error *err)
{
    AUTO(store) struct store *store = NULL;
    AUTO(arena) struct arena mem;
    struct record *r;
    struct lastrun last;
    const char *port;
    arena_init(&mem);
    if (!cmd_open_store(a, &store, err) ||
        !lastrun_record(store, cmd_opt(a, "run")->string, a->arg[0], &mem, &r, &port, &last, err))
        return false;
    bool ok = (r->n > 0 || error_set(err, NULL, ERROR_INPUT, "it has no outputs: it only passes or fails")) &&
              (cmd_opt(a, "private")->set || check_private(&last, port, err)) &&
              export(store, r, port, a->arg[1], err);
    record_free(r);
    return ok;
}

static int run(const struct cmd_args *a)
{
    struct error err = {0};
    if (!export_task(a, &err)) {
        error_context(&err, "export of '%s'", a->arg[0]);
        return cmd_fail(&err);
    }
    printf("%s\n", a->arg[1]);
    return 0;
}

const struct cmd cmd_export = {
    .name = "export",
    .group = "Look at results",
    .doc = "Copy a task's result as plain files to a new folder.",
    .details = "What is written are plain files that other programs read: models and adapters are "
               "Hugging Face and PEFT folders. All of it appears at once under the folder's name, or "
               "nothing does.",
    .args =
        (const struct arg[]){
            {.name = "TASK[.OUTPUT]",
             .doc = "a task's name; one of its outputs, else all, each in a folder of its own"},
            {.name = "DIR", .doc = "the folder to make; an empty one may be there"},
            {0}},
    .opts = opts,
    .examples =
        (const struct example[]){{"weft export unified model", "the merged model as a folder"},
                                 {"weft export 'expert[rings].adapter' rings", "one output of a task"},
                                 {0}},
    .run = run};
