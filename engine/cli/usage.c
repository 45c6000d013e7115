/* A command's usage line and help, from its rows. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "engine/cli/cmd.h"
#include <stdio.h>
#include <string.h>

#define WIDTH 100 /* columns of the help */

void cmd_usage(const struct cmd *c, struct buf *out)
{
    buf_printf(out, "weft %s%s", c->name, cmd_is_family(c) ? " SUBCOMMAND ..." : "");
    for (const struct arg *a = c->args; a && a->name; a++)
        buf_printf(out, " %s%s%s%s", a->optional ? "[" : "", a->name, a->optional ? "]" : "",
                   a->many ? "..." : "");
    if (c->opts && c->opts->name)
        buf_puts(out, " [options]");
}

/* text in lines of at most WIDTH columns behind `indent` spaces; the first line is indented already. */
static void wrap(const char *text, int indent)
{
    int column = indent;
    for (const char *c = text; *c;) {
        int n = (int)strcspn(c, " \n");
        if (column > indent && column + 1 + n > WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            putchar(' ');
            column++;
        }
        printf("%.*s", n, c);
        column += n;
        c += n;
        if (c[0] == '\n' && c[1] == '\n') {
            printf("\n\n%*s", indent, "");
            column = indent;
        }
        c += strspn(c, " \n");
    }
    printf("\n");
}

static void print_row(const char *left, const char *doc)
{
    if (strlen(left) > 24)
        printf("  %s\n%27s", left, "");
    else
        printf("  %-24s ", left);
    wrap(doc, 27);
}

static void print_options(const char *title, const struct opt *o)
{
    printf("\n%s:\n", title);
    for (; o->name; o++) {
        AUTO(buf) struct buf left = {0};
        if (o->letter)
            buf_printf(&left, "-%c, ", o->letter);
        buf_printf(&left, "--%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        print_row(buf_str(&left), o->doc);
    }
}

void cmd_help_of(const struct cmd *c)
{
    AUTO(buf) struct buf usage = {0};
    cmd_usage(c, &usage);
    printf("%s\n\n%s\n", buf_str(&usage), c->doc);
    if (c->details) {
        printf("\n");
        wrap(c->details, 0);
    }
    const char *rest;
    if (cmd_is_family(c))
        printf("\ncommands:\n");
    for (const struct cmd *const *other = cmd_table; *other; other++)
        if ((rest = cmd_in_family(*other, c)))
            print_row(rest, (*other)->doc);
    if (c->args && c->args->name)
        printf("\narguments:\n");
    for (const struct arg *a = c->args; a && a->name; a++)
        print_row(a->name, a->doc);
    if (c->opts && c->opts->name)
        print_options("options", c->opts);
    print_options("options of every command", cmd_global);
    if (c->examples)
        printf("\nexamples:\n");
    for (const struct example *e = c->examples; e && e->line; e++)
        printf("  %s\n      %s\n", e->line, e->doc);
}
