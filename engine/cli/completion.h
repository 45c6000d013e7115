/* Completion scripts of shells, from the rows: what commands there are, their options, what each value names.
 * Names of tasks and runs are asked of `weft tasks` and `weft runs` when they are wanted. */
#ifndef ENGINE_CLI_COMPLETION_H
#define ENGINE_CLI_COMPLETION_H
#include "base/buf.h"
#include "engine/cli/cmd.h"

void completion_bash(struct buf *out);
void completion_zsh(struct buf *out);
void completion_fish(struct buf *out);

/* ---- shared by the shells ---- */
/* A function whose answer depends on its arguments: its head, what stands between the pattern and the answer
 * of a case, and what follows the last case. */
struct completion_cases {
    const char *head, *then, *tail;
};
/* How a shell writes the tables. */
struct completion_syntax {
    const char *quote; /* a quote inside quotes */
    const char *item;  /* before each item of a list */
    /* Heads of the functions that print "NAME<tab>TEXT" lines, and how those end. */
    const char *commands, *stages, *end;
    const char *blank; /* in a pattern */
    /* Of a case: before its patterns, between them, behind its answer. */
    const char *pattern, *between, *answer;
    struct completion_cases family;      /* WORD: the second words of commands that begin with it */
    struct completion_cases options;     /* COMMAND: its list; that of all commands comes behind */
    struct completion_cases option_kind; /* COMMAND OPTION: what its value names */
    struct completion_cases arg_kinds;   /* COMMAND POSITION: what the argument may name */
};
/* The functions that tell the script of commands, stages, options and arguments. What a value names is a word
 * such as "experiment" or "task", or the choices themselves. */
void completion_tables(const struct completion_syntax *s, struct buf *out);
#endif
