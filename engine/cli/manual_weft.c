/* weft(1): every command with its arguments, options and examples. */
#include "base/cleanup.h"
#include "engine/cli/cmd.h"
#include "engine/cli/manual.h"
#include <string.h>

struct row {
    const char *name, *doc;
};

static const struct row environment[] = {
    {"WEFT_STORE", "The store, where no --store says it."},
    {"XDG_CACHE_HOME", "Without either the store is its folder weft."},
    {"HOME", "Without any of these the store is ~/.cache/weft."},
    {"NO_COLOR", "When set and not empty: no colours, unless --color asks for them."},
    {"TERM", "With dumb, or none: no colours, and no lines that are drawn anew."},
    {0}};

static const struct row files[] = {
    {"~/.cache/weft",
     "The store: results by content, records by key, runs. It may be deleted at any time; what is "
     "lost is made again when it is wanted."},
    {"STORE/runs/RUN/events.jsonl", "What happened in a run, one JSON object a line."},
    {"STORE/runs/RUN/log/TASK.log", "What a task's worker wrote."},
    {0}};

static const struct row statuses[] = {
    {"0", "Done."},
    {"1", "A task failed, or the machine did: a full disk; cache verify found something."},
    {"2", "The command, the file or the data it names is wrong."},
    {"130", "Interrupted."},
    {0}};

static void put_rows(struct buf *out, const char *macro, const struct row *r)
{
    buf_puts(out, ".Bl -tag -width indent\n");
    for (; r->name; r++) {
        mdoc_line(out, macro, r->name, NULL);
        mdoc_text(out, r->doc);
    }
    buf_puts(out, ".El\n");
}

static void put_options(struct buf *out, const struct opt *o)
{
    buf_puts(out, ".Bl -tag -width indent\n");
    for (; o->name; o++) {
        AUTO(buf) struct buf flag = {0};
        buf_puts(out, ".It ");
        if (o->letter)
            buf_printf(out, "Fl %c , ", o->letter);
        buf_puts(out, "Fl \\-");
        buf_puts(out, o->name);
        if (o->arg)
            buf_printf(out, " Ar %s", o->arg);
        buf_putc(out, '\n');
        mdoc_text(out, o->doc);
    }
    buf_puts(out, ".El\n");
}

static void put_args(struct buf *out, const struct arg *a)
{
    buf_puts(out, ".Bl -tag -width indent\n");
    for (; a->name; a++) {
        mdoc_line(out, "It Ar", a->name, NULL);
        mdoc_text(out, a->doc);
    }
    buf_puts(out, ".El\n");
}

/* ".Nm weft run Ar EXPERIMENT Op options". */
static void put_usage(struct buf *out, const struct cmd *c)
{
    AUTO(buf) struct buf usage = {0};
    cmd_usage(c, &usage);
    mdoc_line(out, "Ss", buf_str(&usage), NULL);
}

static void put_command(struct buf *out, const struct cmd *c)
{
    put_usage(out, c);
    mdoc_text(out, c->doc);
    if (c->details) {
        buf_puts(out, ".Pp\n");
        mdoc_text(out, c->details);
    }
    if (c->args && c->args->name)
        put_args(out, c->args);
    if (c->opts && c->opts->name)
        put_options(out, c->opts);
    for (const struct example *e = c->examples; e && e->line; e++) {
        buf_puts(out, e == c->examples ? ".Pp\nExamples:\n.Bl -tag -width indent\n" : "");
        mdoc_line(out, "It Li", e->line, NULL);
        mdoc_text(out, e->doc);
        buf_puts(out, e[1].line ? "" : ".El\n");
    }
}

static void put_examples(struct buf *out)
{
    buf_puts(out, ".Sh EXAMPLES\nA first experiment, its table, and what a change of it would cost:\n");
    mdoc_literal(out, "weft run examples/quickstart.yaml\n"
                      "weft show table\n"
                      "weft plan examples/quickstart.yaml --set lambda=0.5");
}

void manual_weft(struct buf *out)
{
    mdoc_head(out, "weft", 1, "experiments as graphs of cached stages");
    buf_puts(out, ".Sh SYNOPSIS\n.Nm\n.Op Fl \\-color Ar when\n.Ar command\n.Op Ar argument ...\n");
    buf_puts(out, ".Nm\n.Cm help\n.Op Ar command | stage\n.Sh DESCRIPTION\n");
    mdoc_text(
        out,
        "weft runs machine-learning experiments: a YAML file names stages, what each takes from others, and "
        "its parameters. Each result is kept under a key of all that it depends on, so that nothing is "
        "computed twice, and tasks run beside each other on the machine's cores.");
    buf_puts(out, ".Pp\n");
    mdoc_text(out,
              "A long option may be cut short while it means one option only, and is written --name value or "
              "--name=value; short flags may stand together. Behind -- all words are arguments. Data goes to "
              "standard output, text for people to standard error.");
    buf_puts(out, ".Pp\nOptions of every command:\n");
    put_options(out, cmd_global);
    buf_puts(out, ".Sh COMMANDS\n");
    for (const struct cmd *const *c = cmd_table; *c; c++)
        if (!(*c)->hidden)
            put_command(out, *c);
    buf_puts(out, ".Sh ENVIRONMENT\n");
    put_rows(out, "It Ev", environment);
    buf_puts(out, ".Sh FILES\n");
    put_rows(out, "It Pa", files);
    buf_puts(out, ".Sh EXIT STATUS\n");
    put_rows(out, "It Li", statuses);
    put_examples(out);
    buf_puts(out, ".Sh SEE ALSO\n.Xr weft\\-experiment 5\n");
}
