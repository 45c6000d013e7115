#include "engine/cli/completion.h"

const char *completion_kind(const char *arg)
{
    static const char *const names[] = {
        [ARG_TEXT] = "text",   [ARG_EXPERIMENT] = "experiment", [ARG_FILE] = "file",    [ARG_DIR] = "dir",
        [ARG_TASK] = "task",   [ARG_OUTPUT] = "output",         [ARG_RUN] = "run",      [ARG_STAGE] = "stage",
        [ARG_TOPIC] = "topic", [ARG_COMMAND] = "command",       [ARG_NUMBER] = "number"};
    enum arg_kind kind = arg_kind_of(arg);
    return kind == ARG_CHOICE ? arg : names[kind];
}

/* An optional argument may be left out, so that those behind it come earlier. */
bool completion_kinds_at(const struct cmd *c, int i, struct buf *out)
{
    int needed = 0, at = 0;
    for (const struct arg *a = c->args; a && a->name; a++, at++) {
        if (needed <= i && (i <= at || a->many))
            buf_printf(out, "%s%s", out->len ? " " : "", completion_kind(a->name));
        needed += !a->optional;
    }
    return out->len > 0;
}

int completion_positions(const struct cmd *c, bool *many)
{
    int n = 0;
    *many = false;
    for (const struct arg *a = c->args; a && a->name; a++, n++)
        *many |= a->many;
    return n;
}

void completion_quote(struct buf *out, const char *text, const char *escape)
{
    buf_putc(out, '\'');
    for (; *text; text++)
        if (*text == '\'')
            buf_puts(out, escape);
        else
            buf_putc(out, *text);
    buf_putc(out, '\'');
}
