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
/* The word by which a script knows what a value names: "experiment", "task", or the choices themselves. */
const char *completion_kind(const char *arg);
/* What may stand as positional argument i, separated by blanks; false when there is none. */
bool completion_kinds_at(const struct cmd *c, int i, struct buf *out);
/* The positions that differ: of 0 to n-1, or with *many also of all behind. */
int completion_positions(const struct cmd *c, bool *many);
/* 'text' in single quotes; `escape` stands for one inside them. */
void completion_quote(struct buf *out, const char *text, const char *escape);
#endif
