#include "engine/cli/cmd.h"
#include "engine/exec/worker.h"

static int run(const struct cmd_args *a)
{
    return worker_main();
}

const struct cmd cmd_worker = {
    .name = "worker",
    .doc = "Run one task: a job as JSON on stdin, events on stdout (used by 'weft run').",
    .args = (const struct arg[]){{0}},
    .run = run,
    .hidden = true};
