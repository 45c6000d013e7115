/* Commands are rows: one file each, cmd_NAME.c, named once in cmd.c. Options are rows too; parsing, help and
 * errors derive. Data goes to stdout, text for people to stderr. */
#ifndef ENGINE_CLI_CMD_H
#define ENGINE_CLI_CMD_H
#include "base/error.h"
#include <jansson.h>
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
/* Rows that several commands share. */
/* clang-format off */
#define OPT_ROW_STORE {"store", 0, OPT_STRING, "DIR", "the store; default $WEFT_STORE, $XDG_CACHE_HOME/weft, ~/.cache/weft"}
#define OPT_ROW_SET   {"set", 0, OPT_LIST, "NAME=VALUE", "replace a variable of the experiment; VALUE is YAML; repeatable"}
#define OPT_ROW_VARS  {"vars", 0, OPT_LIST, "FILE", "lay a YAML map over the experiment's variables, below --set; repeatable"}
#define OPT_ROW_JSON  {"json", 0, OPT_FLAG, NULL, "print JSON for programs"}
/* clang-format on */
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
    int args_min, args_max;               /* positional; max -1: any */
    const struct opt *opts;               /* {0}-ended, may be NULL */
    int (*run)(const struct cmd_args *a); /* exit status: 0 done, 1 a task failed, 2 wrong command or file,
                                             130 interrupted */
    bool hidden;
};
extern const struct cmd *const cmd_table[];   /* NULL-ended */
const struct cmd *cmd_find(const char *name); /* NULL when there is none */
void cmd_help_of(const struct cmd *c);        /* usage and options on stdout */
int cmd_main(int argc, char **argv);

/* Parse what follows the command's name. "--x=y", "--x y", "-x y", "-xy", "--"; the strings are argv's. */
bool opt_parse(const struct cmd *cmd, int argc, char **argv, struct cmd_args *ret,
               struct error *err) MUST_CHECK;
void opt_done(struct cmd_args *a);
const struct opt_value *cmd_opt(const struct cmd_args *a,
                                const char *name); /* never NULL for a declared option */

/* Print "file:line:col: error: ..." (with the source line and a caret where there is one), and its note
 * likewise, on stderr; the exit status that belongs to it. */
int cmd_fail(const struct error *err);
/* Path of the store from --store, $WEFT_STORE, $XDG_CACHE_HOME/weft or ~/.cache/weft; malloc'd. */
char *cmd_store_path(const struct cmd_args *a);
/* Open the store of cmd_store_path. */
struct store;
bool cmd_open_store(const struct cmd_args *a, struct store **ret, struct error *err) MUST_CHECK;
/* Read an experiment with --vars and --set; prints all its errors. 0, or the exit status. */
struct spec;
struct spec_options;
int cmd_read_spec(const struct cmd_args *a, const char *path, struct spec **ret) MUST_CHECK;
struct spec_options cmd_spec_options(const struct cmd_args *a); /* of --vars and --set */
/* Print errors and warnings as cmd_fail does; the exit status of the errors. */
int cmd_print_all(const struct error *list, int n);
int cmd_read_spec_with(const char *path, const struct spec_options *opt, struct spec **ret) MUST_CHECK;
/* The name meant by one that names no task: the nearest, or the first task of the stage so called; or NULL.
 */
const char *cmd_near_task(const char *const *names, size_t n, const char *name);
/* Print j indented on stdout and drop the reference; 0, or the exit status of a failed write. */
int cmd_print_json(json_t *j);
#endif
