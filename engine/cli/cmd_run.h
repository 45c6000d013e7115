/* What commands that run a graph share: `weft run` and `weft sweep`. */
#ifndef ENGINE_CLI_CMD_RUN_H
#define ENGINE_CLI_CMD_RUN_H
#include "engine/cli/cmd.h"
#include "engine/cli/progress.h"
#include "engine/cli/unitlist.h"

/* From --set, --vars, --cores, --unit, --launcher, --keep-going, --remote and --target; Ctrl-C and
 * termination arrive through a descriptor. False: an option is wrong. */
struct run_setup {
    struct build_options opt;   /* its remote is the setup's */
    struct remote_stats remote; /* after run_setup_done */
    char *remote_url;           /* without credentials; NULL: none */
    char *self;
    struct unitlist units;
    struct launcher_options launcher;
    int interrupts;
    struct progress *progress;
};
bool run_setup(const struct cmd_args *a, struct store *store, struct run_setup *ret,
               struct error *err) MUST_CHECK;
void run_setup_end(struct run_setup *s); /* the run is over: nothing of it is used but what it counted */
void run_setup_done(struct run_setup *s);
/* "quickstart: 28 tasks: 3 hit, 25 ran in 2:31", and what the remote tier did, on stderr. */
void run_summary(const struct spec *s, const struct build *b, const struct run_setup *setup, double seconds);
#define OPT_ROW_REMOTE                                                                                       \
    {                                                                                                        \
        "remote", 0, OPT_STRING, "URL",                                                                      \
            "share results through a server (docs/remote.md); off: not; default: the store's setting"        \
    }
/* clang-format off */
#define OPT_ROWS_LAUNCHER                                                                                                        \
    {"launcher", 0, OPT_STRING, "LAUNCHER", "where workers run: local, slurm, or a command for --nodes such as 'ssh {node} {quoted}' (docs/slurm.md)"}, \
    {"nodes", 0, OPT_STRING, "NAMES", "nodes of such a command: a,b"},                                                           \
    {"slurm", 0, OPT_STRING, "WISHES", "what to ask of Slurm: 'partition=main time=4h nodes=2'"}
/* clang-format on */
#endif
