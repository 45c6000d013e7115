/* weft runs: the ids of the store's runs for completion, newest first, one a line; nothing on stderr. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "engine/cli/cmd.h"
#include "engine/exec/runlog.h"
#include <stdio.h>

static const struct opt opts[] = {OPT_ROW_STORE, {0}};

static int run(const struct cmd_args *a)
{
    AUTO(mem) char *store = cmd_store_path(a);
    char **list;
    size_t n;
    if (!fs_is_dir(store) || !runlog_list(store, &list, &n, NULL))
        return 2;
    for (size_t i = 0; i < n; i++)
        puts(list[i]);
    fs_list_free(list, n);
    return 0;
}

const struct cmd cmd_runs = {.name = "runs",
                             .doc = "Print the ids of the store's runs, newest first.",
                             .args = (const struct arg[]){{0}},
                             .opts = opts,
                             .run = run,
                             .hidden = true};
