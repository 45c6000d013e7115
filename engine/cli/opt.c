/* Options of the command line, driven by a command's rows. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/param.h"
#include "engine/cli/cmd.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    const struct cmd *cmd;
    int argc, at;
    char **argv;
    struct cmd_args *args;
    struct error *err;
};

static int count(const struct opt *opts)
{
    int n = 0;
    while (opts && opts[n].name)
        n++;
    return n;
}

static bool unknown(const struct parser *p, const char *written, const char *name)
{
    int n = count(p->cmd->opts);
    AUTO(mem) const char **names = xcalloc((size_t)n + 1, sizeof *names);
    for (int i = 0; i < n; i++)
        names[i] = p->cmd->opts[i].name;
    const char *near = nearest_name(names, (size_t)n, name);
    return error_set(p->err, NULL, ERROR_INPUT, "weft %s has no option '%s'%s%s%s", p->cmd->name, written,
                     near ? "; did you mean '--" : "", near ? near : "", near ? "'?" : "");
}

static bool set_value(const struct parser *p, const struct opt *o, const char *text)
{
    struct opt_value *v = &p->args->value[o - p->cmd->opts];
    if (o->type == OPT_LIST) {
        v->list = xrealloc(v->list, (size_t)(v->n + 1) * sizeof *v->list);
        v->list[v->n++] = text;
    } else if (o->type == OPT_INT) {
        char *end;
        errno = 0;
        v->number = strtol(text, &end, 10);
        if (errno || end == text || *end)
            return error_set(p->err, NULL, ERROR_INPUT, "option '--%s' takes an integer, not '%s'", o->name,
                             text);
    }
    v->string = text;
    v->set = true;
    return true;
}

/* The value of o: what stands behind it in the same word, else the next word. */
static bool take(struct parser *p, const struct opt *o, const char *attached)
{
    if (o->type == OPT_FLAG) {
        if (attached)
            return error_set(p->err, NULL, ERROR_INPUT, "option '--%s' takes no value", o->name);
        p->args->value[o - p->cmd->opts].set = true;
        return true;
    }
    if (!attached && p->at == p->argc)
        return error_set(p->err, NULL, ERROR_INPUT, "option '--%s' needs a value: --%s %s", o->name, o->name,
                         o->arg ? o->arg : "VALUE");
    return set_value(p, o, attached ? attached : p->argv[p->at++]);
}

static bool long_option(struct parser *p, const char *word)
{
    const char *name = word + 2, *eq = strchr(name, '=');
    size_t n = eq ? (size_t)(eq - name) : strlen(name);
    for (const struct opt *o = p->cmd->opts; o && o->name; o++)
        if (strlen(o->name) == n && strncmp(o->name, name, n) == 0)
            return take(p, o, eq ? eq + 1 : NULL);
    AUTO(mem) char *alone = xstrndup(name, n);
    return unknown(p, word, alone);
}

/* "-k", "-kv" (two flags), "-j4" or "-j 4". */
static bool letters(struct parser *p, const char *word)
{
    for (const char *c = word + 1; *c; c++) {
        const struct opt *o = p->cmd->opts;
        while (o && o->name && o->letter != *c)
            o++;
        if (!o || !o->name)
            return unknown(p, word, word + 1);
        bool flag = o->type == OPT_FLAG;
        if (!take(p, o, flag || !c[1] ? NULL : c + 1))
            return false;
        if (!flag)
            break;
    }
    return true;
}

static bool check_count(const struct parser *p)
{
    const struct cmd *c = p->cmd;
    int n = p->args->n;
    if (n < c->args_min)
        return error_set(p->err, NULL, ERROR_INPUT, "something is missing: weft %s %s", c->name, c->usage);
    if (c->args_max >= 0 && n > c->args_max)
        return error_set(p->err, NULL, ERROR_INPUT, "'%s' is too much: weft %s %s", p->args->arg[c->args_max],
                         c->name, c->usage);
    return true;
}

bool opt_parse(const struct cmd *cmd, int argc, char **argv, struct cmd_args *ret, struct error *err)
{
    *ret = (struct cmd_args){.cmd = cmd};
    ret->arg = xcalloc((size_t)argc + 1, sizeof *ret->arg);
    ret->value = xcalloc((size_t)count(cmd->opts) + 1, sizeof *ret->value);
    struct parser p = {.cmd = cmd, .argc = argc, .argv = argv, .args = ret, .err = err};
    bool only_args = false, ok = true;
    while (ok && p.at < argc) {
        const char *word = argv[p.at++];
        if (only_args || word[0] != '-' || !word[1])
            ret->arg[ret->n++] = word;
        else if (strcmp(word, "--") == 0)
            only_args = true;
        else
            ok = word[1] == '-' ? long_option(&p, word) : letters(&p, word);
    }
    return ok && check_count(&p);
}

void opt_done(struct cmd_args *a)
{
    for (int i = 0; a->value && i < count(a->cmd->opts); i++)
        free(a->value[i].list);
    free(a->value);
    free(a->arg);
    *a = (struct cmd_args){0};
}

const struct opt_value *cmd_opt(const struct cmd_args *a, const char *name)
{
    static const struct opt_value none = {0};
    for (int i = 0; i < count(a->cmd->opts); i++)
        if (strcmp(a->cmd->opts[i].name, name) == 0)
            return &a->value[i];
    return &none;
}
