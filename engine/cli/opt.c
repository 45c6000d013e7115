/* Options of the command line, driven by a command's rows. */
#include "base/buf.h"
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

/* Row i of the command's own options and then of everybody's; NULL behind the last. A command's own option
 * hides one of everybody's of the same name. */
static const struct opt *row(const struct cmd *c, int i)
{
    for (const struct opt *o = c->opts; o && o->name; o++)
        if (i-- == 0)
            return o;
    for (const struct opt *o = cmd_global; o->name; o++)
        if (i-- == 0)
            return o;
    return NULL;
}

static int count(const struct cmd *c)
{
    int n = 0;
    while (row(c, n))
        n++;
    return n;
}

static bool unknown(const struct parser *p, const char *written, const char *name)
{
    int n = count(p->cmd);
    AUTO(mem) const char **names = xcalloc((size_t)n + 1, sizeof *names);
    for (int i = 0; i < n; i++)
        names[i] = row(p->cmd, i)->name;
    const char *near = nearest_name(names, (size_t)n, name);
    return error_set(p->err, NULL, ERROR_INPUT, "weft%s%s has no option '%s'%s%s%s", *p->cmd->name ? " " : "",
                     p->cmd->name, written, near ? "; did you mean '--" : "", near ? near : "",
                     near ? "'?" : "");
}

static bool is_choice(const char *choices, const char *text)
{
    size_t n = strlen(text);
    for (const char *c = choices; c; c = strchr(c, '|'), c = c ? c + 1 : NULL)
        if (strcspn(c, "|") == n && strncmp(c, text, n) == 0)
            return true;
    return false;
}

static bool set_value(const struct parser *p, int i, const char *text)
{
    const struct opt *o = row(p->cmd, i);
    struct opt_value *v = &p->args->value[i];
    if (arg_kind_of(o->arg) == ARG_CHOICE && !is_choice(o->arg, text))
        return error_set(p->err, NULL, ERROR_INPUT, "option '--%s' is one of %s, not '%s'", o->name, o->arg,
                         text);
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

/* The value of option i: what stands behind it in the same word, else the next word. */
static bool take(struct parser *p, int i, const char *attached)
{
    const struct opt *o = row(p->cmd, i);
    if (o->type == OPT_FLAG) {
        if (attached)
            return error_set(p->err, NULL, ERROR_INPUT, "option '--%s' takes no value", o->name);
        p->args->value[i].set = true;
        return true;
    }
    if (!attached && p->at == p->argc)
        return error_set(p->err, NULL, ERROR_INPUT, "option '--%s' needs a value: --%s %s", o->name, o->name,
                         o->arg ? o->arg : "VALUE");
    return set_value(p, i, attached ? attached : p->argv[p->at++]);
}

/* A whole name, or the beginning of one alone. */
static bool long_option(struct parser *p, const char *word)
{
    const char *name = word + 2, *eq = strchr(name, '=');
    size_t n = eq ? (size_t)(eq - name) : strlen(name);
    int found = -1, all = 0;
    AUTO(buf) struct buf meant = {0};
    for (int i = 0; row(p->cmd, i); i++) {
        const char *whole = row(p->cmd, i)->name;
        if (strncmp(whole, name, n) != 0)
            continue;
        if (strlen(whole) == n)
            return take(p, i, eq ? eq + 1 : NULL);
        buf_printf(&meant, "%s--%s", all++ ? ", " : "", whole);
        found = i;
    }
    AUTO(mem) char *alone = xstrndup(name, n);
    if (all > 1)
        return error_set(p->err, NULL, ERROR_INPUT, "option '--%s' may mean any of %s", alone,
                         buf_str(&meant));
    return all ? take(p, found, eq ? eq + 1 : NULL) : unknown(p, word, alone);
}

/* "-k", "-kv" (two flags), "-j4" or "-j 4". */
static bool letters(struct parser *p, const char *word)
{
    for (const char *c = word + 1; *c; c++) {
        int i = 0;
        while (row(p->cmd, i) && row(p->cmd, i)->letter != *c)
            i++;
        if (!row(p->cmd, i))
            return unknown(p, word, word + 1);
        bool flag = row(p->cmd, i)->type == OPT_FLAG;
        if (!take(p, i, flag || !c[1] ? NULL : c + 1))
            return false;
        if (!flag)
            break;
    }
    return true;
}

/* How many positional arguments: *max -1: any number. */
static void range(const struct cmd *c, int *min, int *max)
{
    *min = *max = 0;
    for (const struct arg *a = c->args; a && a->name; a++) {
        *min += !a->optional;
        *max = a->many ? -1 : *max + 1;
    }
}

static bool check_count(const struct parser *p)
{
    int n = p->args->n, min, max;
    AUTO(buf) struct buf usage = {0};
    cmd_usage(p->cmd, &usage);
    range(p->cmd, &min, &max);
    if (n < min)
        return error_set(p->err, NULL, ERROR_INPUT, "something is missing: %s", buf_str(&usage));
    if (max >= 0 && n > max)
        return error_set(p->err, NULL, ERROR_INPUT, "'%s' is too much: %s", p->args->arg[max],
                         buf_str(&usage));
    return true;
}

/* False on an error; stops before the first positional argument with `leading`. */
static bool parse(struct parser *p, bool leading)
{
    struct cmd_args *ret = p->args;
    *ret = (struct cmd_args){.cmd = p->cmd};
    ret->arg = xcalloc((size_t)p->argc + 1, sizeof *ret->arg);
    ret->value = xcalloc((size_t)count(p->cmd) + 1, sizeof *ret->value);
    bool only_args = false, ok = true;
    while (ok && p->at < p->argc) {
        const char *word = p->argv[p->at++];
        if (only_args || word[0] != '-' || !word[1]) {
            if (leading) {
                p->at--;
                break;
            }
            ret->arg[ret->n++] = word;
        } else if (strcmp(word, "--") == 0) {
            only_args = true;
        } else {
            ok = word[1] == '-' ? long_option(p, word) : letters(p, word);
        }
    }
    return ok;
}

bool opt_parse(const struct cmd *cmd, int argc, char **argv, struct cmd_args *ret, struct error *err)
{
    struct parser p = {.cmd = cmd, .argc = argc, .argv = argv, .args = ret, .err = err};
    return parse(&p, false) && check_count(&p);
}

bool opt_parse_global(int argc, char **argv, struct cmd_args *ret, int *ret_n, struct error *err)
{
    static const struct cmd weft = {.name = ""};
    struct parser p = {.cmd = &weft, .argc = argc, .argv = argv, .args = ret, .err = err};
    bool ok = parse(&p, true);
    *ret_n = p.at;
    return ok;
}

void opt_done(struct cmd_args *a)
{
    for (int i = 0; a->value && i < count(a->cmd); i++)
        free(a->value[i].list);
    free(a->value);
    free(a->arg);
    *a = (struct cmd_args){0};
}

const struct opt_value *cmd_opt(const struct cmd_args *a, const char *name)
{
    static const struct opt_value none = {0};
    for (int i = 0; row(a->cmd, i); i++)
        if (strcmp(row(a->cmd, i)->name, name) == 0)
            return &a->value[i];
    return &none;
}
