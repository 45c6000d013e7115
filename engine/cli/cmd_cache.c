/* weft cache: the commands that look after the store. */
#include "engine/cli/cmd.h"

/* Without a second word nothing is done, as without a command. */
static int run(const struct cmd_args *a)
{
    cmd_help_of(a->cmd);
    return 2;
}

const struct cmd cmd_cache = {
    .name = "cache",
    .group = "The store",
    .doc = "Look after the store: what it holds, whether it is whole, how much it may take.",
    .details = "The store keeps every result under a key of all that it depends on. It may be deleted at any "
               "time; what is lost is made again when it is wanted.",
    .args = (const struct arg[]){{0}},
    .opts = (const struct opt[]){{0}},
    .examples = (const struct example[]){{"weft cache stats", "what it holds, and what it saved"},
                                         {"weft help cache verify", "one of them with its options"},
                                         {0}},
    .run = run};
