/* The named resources of a run (resources.units): what --unit says, and the GPUs of this node. */
#ifndef ENGINE_CLI_UNITLIST_H
#define ENGINE_CLI_UNITLIST_H
#include "base/arena.h"
#include "engine/sched/machine.h"

/* clang-format off */
#define OPT_ROW_UNIT {"unit", 0, OPT_LIST, "NAME=COUNT", "a named resource that tasks may ask for; devices by number: gpu=[0,2]; repeatable"}
/* clang-format on */
struct unitlist {
    struct machine_unit *unit; /* names are unlike as variables, too; a count may be 0 */
    int n;
    struct arena arena; /* owns all */
};
/* The texts of --unit: NAME=COUNT, of all nodes together, or NAME=[0,2], devices of a node. gpu=COUNT are
 * devices as well, the first ones. On an error nothing is to be freed. */
bool unitlist_read(const char *const *text, int n, struct unitlist *ret, struct error *err) MUST_CHECK;
/* Adds `gpu`, one for each NVIDIA device in the folder dev ("/dev"), unless it is there already; where its
 * number only is given, says which devices these are. visible: CUDA_VISIBLE_DEVICES of the caller, who has no
 * others; NULL: all. Numbers in it count, the names that it may also have are of no use here: it ends there.
 * False: there are fewer than were given. */
bool unitlist_find_gpus(struct unitlist *u, const char *dev, const char *visible,
                        struct error *err) MUST_CHECK;
void unitlist_done(struct unitlist *u); /* a zeroed one is allowed */
#endif
