/* What commands that run a graph share: `weft run` and `weft sweep`. */
#ifndef ENGINE_CLI_CMD_RUN_H
#define ENGINE_CLI_CMD_RUN_H
#include "engine/cli/cmd.h"
#include "engine/cli/progress.h"

/* From --set, --vars, --cores, --keep-going and --target; Ctrl-C and termination arrive through a descriptor.
 * False: an option is wrong. */
struct run_setup {
    struct build_options opt;
    char *self;
    int interrupts;
    struct progress *progress;
};
bool run_setup(const struct cmd_args *a, struct run_setup *ret, struct error *err) MUST_CHECK;
void run_setup_done(struct run_setup *s);
/* "quickstart: 28 tasks: 3 hit, 25 ran in 2:31", on stderr. */
void run_summary(const struct spec *s, const struct build *b, double seconds);
#endif
