#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/cli/cmd.h"
#include "engine/exec/carrier.h"
#include "engine/exec/keeper.h"
#include "engine/exec/slurm_hold.h"
#include <stdlib.h>
#include <string.h>

static const struct opt opts[] = {
    {"serve", 0, OPT_FLAG, NULL, "many workers, asked for over the socket that is stdin"},
    {"near", 0, OPT_INT, "PID",
     "carry a worker to another node by the command behind --, for the engine PID"},
    {"far", 0, OPT_FLAG, NULL, "be the other end of that"},
    {"patience", 0, OPT_INT, "N", "seconds of silence after which an end gives the other one up"},
    {"hold", 0, OPT_STRING, "FILE",
     "hold the jobs of Slurm in FILE for the engine, whose number is the argument"},
    {"probe", 0, OPT_FLAG, NULL, "print what this node has"},
    {0}};

static int run(const struct cmd_args *a)
{
    const struct opt_value *near = cmd_opt(a, "near");
    const struct opt_value *patience = cmd_opt(a, "patience");
    double wait = patience->number > 0 ? (double)patience->number : CARRIER_PATIENCE;
    struct error err = {0};
    if (cmd_opt(a, "probe")->set)
        return carrier_probe();
    if (cmd_opt(a, "far")->set)
        return carrier_far(wait);
    if (cmd_opt(a, "hold")->set && a->n == 1)
        return slurm_hold_main(cmd_opt(a, "hold")->string, (pid_t)strtol(a->arg[0], NULL, 10));
    if (!near->set)
        return cmd_opt(a, "serve")->set ? keeper_serve() : keeper_once();
    if (a->n == 0) {
        error_set(&err, NULL, ERROR_INPUT, "--near takes a command behind --");
        return cmd_fail(&err);
    }
    AUTO(mem) const char **argv = xcalloc((size_t)a->n + 1, sizeof *argv);
    memcpy(argv, a->arg, (size_t)a->n * sizeof *argv);
    return carrier_near(argv, (pid_t)near->number, wait);
}

const struct cmd cmd_worker = {
    .name = "worker",
    .doc = "Run one task: a job as JSON on stdin, events on stdout (used by 'weft run').",
    .args =
        (const struct arg[]){{.name = "COMMAND", .doc = "what carries it", .optional = true, .many = true},
                             {0}},
    .opts = opts,
    .run = run,
    .hidden = true};
