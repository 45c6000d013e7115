/* What commands that run a graph share: `weft run` and `weft sweep`. */
#ifndef ENGINE_CLI_CMD_RUN_H
#define ENGINE_CLI_CMD_RUN_H
#include "engine/cli/cmd.h"
#include "engine/cli/progress.h"
#include "engine/cli/unitlist.h"

/* From --set, --vars, --cores, --unit, --keep-going, --remote and --target; Ctrl-C and termination arrive
 * through a descriptor. False: an option is wrong. */
struct run_setup {
    struct build_options opt;   /* its remote is the setup's */
    struct remote_stats remote; /* after run_setup_done */
    char *remote_url;           /* without credentials; NULL: none */
    char *self;
    struct unitlist units;
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
#endif
