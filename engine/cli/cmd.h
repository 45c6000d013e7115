/* Commands are rows: one file each, cmd_NAME.c, listed in cmd.c. Options are rows too; parsing, help and errors derive. */
#ifndef ENGINE_CLI_CMD_H
#define ENGINE_CLI_CMD_H
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

enum opt_type { OPT_FLAG = 1, OPT_STRING, OPT_INT, OPT_LIST /* repeatable string */ };
struct opt {
    const char *name; /* long name without dashes */
    char letter;      /* 0: none */
    enum opt_type type;
    const char *arg; /* "DIR" in help */
    const char *doc;
};
struct opt_value {
    bool set;
    const char *string;
    long number;
    const char **list;
    int n;
};
struct cmd_args {
    const char **arg; /* positional */
    int n;
    struct opt_value *value; /* by index in cmd->opts */
    const struct cmd *cmd;
};
struct cmd {
    const char *name;
    const char *usage; /* "EXPERIMENT [options]" */
    const char *doc;
    int args_min, args_max; /* positional; max -1: any */
    const struct opt *opts; /* {0}-ended */
    int (*run)(const struct cmd_args *a); /* exit status: 0 done, 1 a task failed, 2 wrong command or file, 130 interrupted */
    bool hidden;
};
extern const struct cmd *const cmd_table[]; /* NULL-ended */
const struct opt_value *cmd_opt(const struct cmd_args *a, const char *name); /* never NULL for a declared option */
/* Print "weft: file:line:col: error: ..." (with the source line and a caret where there is one) on stderr; the exit
 * status that belongs to it. */
int cmd_fail(const struct error *err);
/* Path of the store from --store, $WEFT_STORE, $XDG_CACHE_HOME/weft or ~/.cache/weft; malloc'd. */
char *cmd_store_path(const struct cmd_args *a);
int cmd_main(int argc, char **argv);
#endif
