/* The machine that a forecast is made for: this one, or what the options say of another. */
#ifndef ENGINE_CLI_MACHINEOPT_H
#define ENGINE_CLI_MACHINEOPT_H
#include "engine/cli/cmd.h"
#include "engine/cli/unitlist.h"

/* clang-format off */
#define OPT_ROWS_MACHINE \
    {"topology", 0, OPT_STRING, "TOPOLOGY", \
     "a machine as 'pack:2 numa:4 l3:2 core:8 pu:2', or a file of `weft topo --xml`; default: this one"}, \
    {"nodes", 0, OPT_INT, "N", "so many of these machines"}, \
    {"cores", 'c', OPT_INT, "N", "N cores of each; without --topology also more than there are"}, \
    OPT_ROW_THREADS, \
    OPT_ROW_UNIT
/* clang-format on */
struct machineopt {
    struct machine_options options;
    struct unitlist units;
    struct machine machine; /* {0} until it is opened */
};
/* Reads these options; of a topology that is described there are the named resources that --unit says. */
bool machineopt_read(const struct cmd_args *a, struct machineopt *ret, struct error *err) MUST_CHECK;
bool machineopt_open(struct machineopt *m, struct error *err) MUST_CHECK;
void machineopt_done(struct machineopt *m); /* also after a failure, and of {0} */
static inline void machineopt_auto(struct machineopt *m)
{
    machineopt_done(m);
}
#endif
