/* Commands are rows: one file each, cmd_NAME.c, named once in cmd.c. Options are rows too; parsing, help and
 * errors derive. Data goes to stdout, text for people to stderr. A name may be of two words, "cache verify";
 * the first is then a command as well, its family, which lists them. */
#ifndef ENGINE_CLI_CMD_H
#define ENGINE_CLI_CMD_H
#include "base/buf.h"
#include "base/error.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum opt_type { OPT_FLAG = 1, OPT_STRING, OPT_INT, OPT_LIST /* repeatable string */ };
struct opt {
    const char *name; /* long name without dashes */
    char letter;      /* 0: none */
    enum opt_type type;
    const char *arg; /* what stands for its value in help, and what kind of value it is: see arg_kind_of */
    const char *doc;
};
struct arg {          /* a positional argument */
    const char *name; /* likewise */
    const char *doc;
    bool optional, many; /* many: as many as there are, only of the last */
};
/* What a value names follows from the word that stands for it: "DIR" is a folder, "RUN" or "RUN1" a run,
 * "a|b|c" one of these. Checks and completion go by it; a word that is not in the table is any text. */
enum arg_kind {
    ARG_TEXT,
    ARG_EXPERIMENT, /* a YAML file */
    ARG_FILE,
    ARG_DIR,
    ARG_TASK,   /* of the experiment, else of the newest runs */
    ARG_OUTPUT, /* TASK[.OUTPUT] */
    ARG_RUN,
    ARG_RESULT, /* a run or a task */
    ARG_STAGE,
    ARG_COMMAND,
    ARG_SUBCOMMAND, /* the second word of a command that begins with the word before */
    ARG_TOPIC,      /* a command or a stage */
    ARG_NUMBER,
    ARG_CHOICE
};
enum arg_kind arg_kind_of(const char *word);
struct example {
    const char *line, *doc;
};
/* Rows that several commands share; those of cmd_global every command has. */
extern const struct opt cmd_global[];
/* clang-format off */
#define OPT_ROW_STORE {"store", 0, OPT_STRING, "DIR", "the store; default $WEFT_STORE, $XDG_CACHE_HOME/weft, ~/.cache/weft"}
#define OPT_ROW_SET   {"set", 0, OPT_LIST, "NAME=VALUE", "replace a variable of the experiment; VALUE is YAML; repeatable"}
#define OPT_ROW_VARS  {"vars", 0, OPT_LIST, "FILE", "lay a YAML map over the experiment's variables, below --set; repeatable"}
#define OPT_ROW_SWEEP {"sweep", 0, OPT_FLAG, NULL, "the graph of all points of the experiment's sweep"}
#define OPT_ROW_THREADS {"threads", 0, OPT_FLAG, NULL, "count each hardware thread as a core"}
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
    const char *group;                    /* its heading in the help */
    const char *doc;                      /* one sentence */
    const char *details;                  /* paragraphs, an empty line between two; may be NULL */
    const struct arg *args;               /* {0}-ended; NULL: none */
    const struct example *examples;       /* {0}-ended, may be NULL */
    const struct opt *opts;               /* {0}-ended, may be NULL */
    int (*run)(const struct cmd_args *a); /* exit status: 0 done, 1 a task failed, 2 wrong command or file,
                                             130 interrupted */
    bool hidden;
};
extern const struct cmd *const cmd_table[]; /* NULL-ended */
/* The command that n words begin with, and how many words its name has; NULL when there is none. */
const struct cmd *cmd_find(const char *const *word, int n, int *ret_words);
/* The rest of c's name behind the family's, "verify"; NULL: it is not of this family. */
const char *cmd_in_family(const struct cmd *c, const struct cmd *family);
bool cmd_is_family(const struct cmd *c);
bool cmd_is_top(const struct cmd *c);                 /* its name is one word */
void cmd_help_of(const struct cmd *c);                /* all about it on stdout */
void cmd_usage(const struct cmd *c, struct buf *out); /* "weft check EXPERIMENT [options]" */
int cmd_main(int argc, char **argv);

/* Parse what follows the command's name. "--x=y", "--x y", "-x y", "-xy", "--"; a long name may be cut short
 * while it means one option only. The strings are argv's. */
bool opt_parse(const struct cmd *cmd, int argc, char **argv, struct cmd_args *ret,
               struct error *err) MUST_CHECK;
/* The options of everybody in front of the command's name: *ret_n words. */
bool opt_parse_global(int argc, char **argv, struct cmd_args *ret, int *ret_n, struct error *err) MUST_CHECK;
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
/* Read the experiment that is the first argument, print its warnings, and hand it to work(); its exit status.
 */
int cmd_with_spec(const struct cmd_args *a,
                  int (*work)(const struct cmd_args *a, const struct spec *s)) MUST_CHECK;
int cmd_read_spec_with(const char *path, const struct spec_options *opt, struct spec **ret) MUST_CHECK;
/* The name meant by one that names no task: the nearest, or the first task of the stage so called; or NULL.
 */
const char *cmd_near_task(const char *const *names, size_t n, const char *name);
/* Print j indented on stdout and drop the reference; 0, or the exit status of a failed write. */
int cmd_print_json(json_t *j);
#endif
