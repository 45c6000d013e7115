#include "engine/cli/cmd.h"
#include "engine/exec/keeper.h"

static const struct opt opts[] = {
    {"serve", 0, OPT_FLAG, NULL, "many workers, asked for over the socket that is stdin"}, {0}};

static int run(const struct cmd_args *a)
{
    return cmd_opt(a, "serve")->set ? keeper_serve() : keeper_once();
}

const struct cmd cmd_worker = {
    .name = "worker",
    .doc = "Run one task: a job as JSON on stdin, events on stdout (used by 'weft run').",
    .opts = opts,
    .args = (const struct arg[]){{0}},
    .run = run,
    .hidden = true};
