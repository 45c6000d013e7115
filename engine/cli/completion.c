#include "engine/cli/completion.h"
#include "base/cleanup.h"
#include "stages/stage.h"

/* ---- what a value names ---- */

static const char *kind_of(const char *arg)
{
    static const char *const names[] = {[ARG_TEXT] = "text",      [ARG_EXPERIMENT] = "experiment",
                                        [ARG_FILE] = "file",      [ARG_DIR] = "dir",
                                        [ARG_TASK] = "task",      [ARG_OUTPUT] = "output",
                                        [ARG_RUN] = "run",        [ARG_STAGE] = "stage",
                                        [ARG_TOPIC] = "topic",    [ARG_COMMAND] = "command",
                                        [ARG_NUMBER] = "number",  [ARG_SUBCOMMAND] = "subcommand",
                                        [ARG_RESULT] = "run task"};
    enum arg_kind kind = arg_kind_of(arg);
    return kind == ARG_CHOICE ? arg : names[kind];
}

/* What may stand as positional argument i, separated by blanks; false when there is none. An optional
 * argument may be left out, so that those behind it come earlier. */
static bool kinds_at(const struct cmd *c, int i, struct buf *out)
{
    int needed = 0, at = 0;
    for (const struct arg *a = c->args; a && a->name; a++, at++) {
        if (needed <= i && (i <= at || a->many))
            buf_printf(out, "%s%s", out->len ? " " : "", kind_of(a->name));
        needed += !a->optional;
    }
    return out->len > 0;
}

/* The positions that differ: of 0 to n-1, or with *many also of all behind. */
static int positions(const struct cmd *c, bool *many)
{
    int n = 0;
    *many = false;
    for (const struct arg *a = c->args; a && a->name; a++, n++)
        *many |= a->many;
    return n;
}

/* ---- lists ---- */

static void put_quoted(const struct completion_syntax *s, struct buf *out, const char *text)
{
    buf_putc(out, '\'');
    for (; *text; text++)
        if (*text == '\'')
            buf_puts(out, s->quote);
        else
            buf_putc(out, *text);
    buf_putc(out, '\'');
}

static void put_pair(const struct completion_syntax *s, struct buf *out, const char *dashes, const char *name,
                     const char *doc)
{
    AUTO(buf) struct buf pair = {0};
    buf_printf(&pair, "%s%s\t%s", dashes, name, doc);
    buf_puts(out, s->item);
    put_quoted(s, out, buf_str(&pair));
}

static void put_names(const struct completion_syntax *s, struct buf *out)
{
    buf_puts(out, s->commands);
    for (const struct cmd *const *c = cmd_table; *c; c++)
        if (!(*c)->hidden && cmd_is_top(*c))
            put_pair(s, out, "", (*c)->name, (*c)->doc);
    buf_puts(out, s->end);
    buf_puts(out, s->stages);
    for (const struct stage *const *stage = stage_registry; *stage; stage++)
        put_pair(s, out, "", (*stage)->name, (*stage)->doc);
    buf_puts(out, s->end);
}

static void put_family(const struct completion_syntax *s, struct buf *out, const struct cmd *family)
{
    const char *rest;
    buf_printf(out, "%s%s%s", s->pattern, family->name, s->family.then);
    for (const struct cmd *const *c = cmd_table; *c; c++)
        if (!(*c)->hidden && (rest = cmd_in_family(*c, family)))
            put_pair(s, out, "", rest, (*c)->doc);
    buf_puts(out, s->answer);
}

static void put_families(const struct completion_syntax *s, struct buf *out)
{
    buf_puts(out, s->family.head);
    for (const struct cmd *const *c = cmd_table; *c; c++)
        if (!(*c)->hidden && cmd_is_family(*c))
            put_family(s, out, *c);
    buf_puts(out, s->family.tail);
}

/* A command's name in a pattern. */
static void put_command(const struct completion_syntax *s, struct buf *out, const char *name)
{
    for (; *name; name++)
        if (*name == ' ')
            buf_puts(out, s->blank);
        else
            buf_putc(out, *name);
}

static void put_options(const struct completion_syntax *s, struct buf *out)
{
    buf_puts(out, s->options.head);
    for (const struct cmd *const *c = cmd_table; *c; c++) {
        if ((*c)->hidden || !(*c)->opts || !(*c)->opts->name)
            continue;
        buf_puts(out, s->pattern);
        put_command(s, out, (*c)->name);
        buf_puts(out, s->options.then);
        for (const struct opt *o = (*c)->opts; o->name; o++)
            put_pair(s, out, "--", o->name, o->doc);
        buf_puts(out, s->answer);
    }
    buf_puts(out, s->options.tail);
    for (const struct opt *o = cmd_global; o->name; o++)
        put_pair(s, out, "--", o->name, o->doc);
    buf_puts(out, s->end);
}

/* ---- kinds ---- */

static void put_kinds_of(const struct completion_syntax *s, struct buf *out, const char *command,
                         const struct opt *o)
{
    for (; o && o->name; o++) {
        if (o->type == OPT_FLAG)
            continue;
        buf_puts(out, s->pattern);
        put_command(s, out, command);
        buf_printf(out, ":--%s", o->name);
        if (o->letter) {
            buf_puts(out, s->between);
            put_command(s, out, command);
            buf_printf(out, ":-%c", o->letter);
        }
        buf_printf(out, "%s'%s'%s", s->option_kind.then, kind_of(o->arg), s->answer);
    }
}

static void put_option_kinds(const struct completion_syntax *s, struct buf *out)
{
    buf_puts(out, s->option_kind.head);
    for (const struct cmd *const *c = cmd_table; *c; c++)
        if (!(*c)->hidden)
            put_kinds_of(s, out, (*c)->name, (*c)->opts);
    put_kinds_of(s, out, "*", cmd_global);
    buf_puts(out, s->option_kind.tail);
}

static void put_arg_kinds(const struct completion_syntax *s, struct buf *out)
{
    buf_puts(out, s->arg_kinds.head);
    for (const struct cmd *const *c = cmd_table; *c; c++) {
        bool many;
        int n = positions(*c, &many);
        for (int i = 0; i < n + many && !(*c)->hidden; i++) {
            AUTO(buf) struct buf kinds = {0};
            if (!kinds_at(*c, i, &kinds))
                continue;
            buf_puts(out, s->pattern);
            put_command(s, out, (*c)->name);
            buf_putc(out, ':');
            if (i < n)
                buf_printf(out, "%d", i);
            else
                buf_putc(out, '*');
            buf_printf(out, "%s'%s'%s", s->arg_kinds.then, buf_str(&kinds), s->answer);
        }
    }
    buf_puts(out, s->arg_kinds.tail);
}

void completion_tables(const struct completion_syntax *s, struct buf *out)
{
    put_names(s, out);
    put_families(s, out);
    put_options(s, out);
    put_option_kinds(s, out);
    put_arg_kinds(s, out);
}
