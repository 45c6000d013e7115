#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/param.h"
#include "engine/cli/cmd.h"
#include "engine/cli/manual.h"
#include "stages/command.h"
#include <stdio.h>
#include <string.h>

#define LAST_GROUP "More"

static const struct opt opts[] = {
    {"all", 'a', OPT_FLAG, NULL, "list the commands that only programs use, too"}, {0}};

static const char *group_of(const struct cmd *c)
{
    return c->hidden ? "For programs" : c->group ? c->group : LAST_GROUP;
}

/* The commands of a group, unless an earlier command opened it. */
static void print_group(const struct cmd *const *first)
{
    const char *group = group_of(*first);
    for (const struct cmd *const *c = cmd_table; c < first; c++)
        if (strcmp(group_of(*c), group) == 0)
            return;
    printf("\n%s\n", group);
    for (const struct cmd *const *c = first; *c; c++)
        if (cmd_is_top(*c) && strcmp(group_of(*c), group) == 0)
            printf("  %-10s %s\n", (*c)->name, (*c)->doc);
}

static int overview(bool all)
{
    printf("weft COMMAND ...: experiments as graphs of cached stages\n");
    for (const struct cmd *const *c = cmd_table; *c; c++)
        if (all || !(*c)->hidden)
            print_group(c);
    printf("\n'weft help COMMAND' and 'weft help STAGE' say more. Exit status: 0 done, 1 a task failed,\n"
           "2 the command or file is wrong, 130 interrupted.\n");
    return 0;
}

static void print_ports(const char *title, const struct port *p)
{
    if (p && p->name)
        printf("\n%s\n", title);
    for (; p && p->name; p++) {
        AUTO(buf) struct buf type = {0};
        port_text(p, &type);
        printf("  %-16s %s\n                   %s\n", p->name, p->doc ? p->doc : "", buf_str(&type));
    }
}

static void print_words(const char *title, const struct command_word *w)
{
    printf("\n%s\n", title);
    for (; w->name; w++)
        printf("  %-16s %s\n", w->name, w->doc);
}

/* What a declaration may say, which no row of the stage's can. */
static void help_command(void)
{
    printf("\ninputs (in:)\n  %-16s any name; one or more artifacts of any type; may be private\n", "NAME");
    printf("\noutputs (outputs:)\n  %-16s any name and its type (", "NAME: TYPE");
    for (int a = ARTIFACT_NONE + 1; a < ARTIFACT_ANY; a++)
        printf("%s%s", a > ARTIFACT_NONE + 1 ? ", " : "", artifact_name((enum artifact)a));
    printf(");\n%19sor { type: TYPE, releases: WORDS } where privacy: allows the stage\n", "");
    printf("\nparameters (with:)\n");
    for (const struct command_key *k = command_keys; k->name; k++)
        printf("  %-16s %s%s\n", k->name, k->doc, k->required ? "; required" : "");
    print_words("placeholders in argv and set", command_placeholders);
    print_words("environment of the program", command_variables);
}

static int help_stage(const struct stage *s)
{
    AUTO(buf) struct buf params = {0};
    param_help(s->params, &params);
    printf("stage %s, version %d\n\n%s\n", s->name, s->version, s->doc);
    if (s->command)
        help_command();
    print_ports("inputs (in:)", s->inputs);
    print_ports("outputs", s->outputs);
    if (params.len)
        printf("\nparameters (with:)\n%s", buf_str(&params));
    return 0;
}

static int unknown(const char *name)
{
    size_t n = 0, cap = 0;
    AUTO(mem) const char **names = NULL;
    for (const struct stage *const *s = stage_registry; *s; s++) {
        names = xgrow(names, &cap, n + 1, sizeof *names);
        names[n++] = (*s)->name;
    }
    for (const struct cmd *const *c = cmd_table; *c; c++) {
        names = xgrow(names, &cap, n + 1, sizeof *names);
        names[n++] = (*c)->name;
    }
    const char *near = nearest_name(names, n, name);
    struct error err = {0};
    error_set(&err, NULL, ERROR_INPUT, "there is no stage and no command '%s'%s%s%s", name,
              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return cmd_fail(&err);
}

static int run(const struct cmd_args *a)
{
    if (a->n == 0)
        return overview(cmd_opt(a, "all")->set);
    int words = 1;
    const struct cmd *c = cmd_find(a->arg, a->n, &words);
    const struct stage *s = a->n == 1 ? stage_find(a->arg[0]) : NULL;
    if (a->n > words) {
        AUTO(mem) char *name = xprintf("%s %s", a->arg[0], a->arg[1]);
        return unknown(name);
    }
    if (c)
        cmd_help_of(c);
    if (s && c)
        printf("\n");
    if (s)
        help_stage(s);
    return c || s ? 0 : unknown(a->arg[0]);
}

const struct cmd cmd_help = {
    .name = "help",
    .group = "About weft",
    .doc = "Explain a command or a stage.",
    .details = "Without a name: the commands. The manual page weft(1) has the same in one piece, "
               "weft-experiment(5) describes the experiment file.",
    .args = (const struct arg[]){{.name = "TOPIC", .doc = "a command or a stage", .optional = true},
                                 {.name = "SUBCOMMAND", .doc = "the command's second word", .optional = true},
                                 {0}},
    .examples = (const struct example[]){{"weft help run", "a command with its options"},
                                         {"weft help cache verify", "one of two words"},
                                         {"weft help expert", "a stage with its ports and parameters"},
                                         {"weft help --all", "the commands that programs use, too"},
                                         {0}},
    .opts = opts,
    .run = run};
