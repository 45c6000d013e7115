/* search.where: conditions on the variables of a point.
 *   or: and {"or" and}   and: not {"and" not}   not: "not" not | compare
 *   compare: sum [("==" | "!=" | "<" | "<=" | ">" | ">=") sum]
 *   sum: product {("+" | "-") product}   product: sign {("*" | "/") sign}   sign: ["-"] atom
 *   atom: number | 'text' | variable | "(" or ")"
 * Truth is a number, 0 or 1. */
#include "engine/spec/sweep_impl.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 50

struct value { /* a number, or a text */
    bool is_text;
    double number;
    const char *text;
};
struct eval {
    struct experiment *e;
    const struct yaml_node *node, *vars;
    const char *at;
    int depth;
    bool bad;
};

static struct value number(double x)
{
    return (struct value){.number = x};
}

static struct value fail(struct eval *v, const char *what, const char *name)
{
    if (!v->bad)
        diag_add(v->e->diag, &v->node->pos, "condition \"%.200s\": %s%s%s%s", v->node->text, what,
                 name ? " '" : "", name ? name : "", name ? "'" : "");
    v->bad = true;
    v->at = "";
    return number(0);
}

/* Take a sign or a word that stands here. */
static bool take(struct eval *v, const char *token)
{
    size_t n = strlen(token);
    v->at += strspn(v->at, " \t\n");
    if (strncmp(v->at, token, n) != 0 ||
        (isalpha((unsigned char)*token) && (isalnum((unsigned char)v->at[n]) || v->at[n] == '_')))
        return false;
    v->at += n;
    return true;
}

static struct value any(struct eval *v);

static struct value variable(struct eval *v)
{
    size_t n = 0;
    while (isalnum((unsigned char)v->at[n]) || (n && strchr("_-.", v->at[n]) && v->at[n]))
        n++;
    char *name = arena_alloc(v->e->arena, n + 1), *rest = arena_alloc(v->e->arena, n + 1), *part;
    memcpy(name, v->at, n);
    memcpy(rest, v->at, n);
    v->at += n;
    const struct yaml_node *node = v->vars;
    while (node && (part = strsep(&rest, ".")))
        node = yaml_get(node, part);
    if (!node)
        return fail(v, "unknown variable", name);
    if (node->kind != YAML_SCALAR || !node->text)
        return fail(v, "this variable is no number and no text:", name);
    char *end;
    double x = strtod(node->text, &end);
    if (!node->quoted && *node->text && !*end)
        return number(x);
    return (struct value){.is_text = true, .text = node->text};
}

static struct value atom(struct eval *v)
{
    v->at += strspn(v->at, " \t\n");
    if (++v->depth > DEPTH_MAX)
        return fail(v, "too deep", NULL);
    struct value ret;
    char *end;
    if (take(v, "(")) {
        ret = any(v);
        if (!v->bad && !take(v, ")"))
            ret = fail(v, "')' is missing", NULL);
    } else if (*v->at == '\'' || *v->at == '"') {
        const char *close = strchr(v->at + 1, *v->at);
        if (!close)
            return fail(v, "a quote is not closed", NULL);
        char *text = arena_alloc(v->e->arena, (size_t)(close - v->at));
        memcpy(text, v->at + 1, (size_t)(close - v->at) - 1);
        v->at = close + 1;
        ret = (struct value){.is_text = true, .text = text};
    } else if (isdigit((unsigned char)*v->at) || *v->at == '.') {
        ret = number(strtod(v->at, &end));
        v->at = end;
    } else if (isalpha((unsigned char)*v->at)) {
        ret = variable(v);
    } else {
        ret = fail(v, *v->at ? "this cannot stand here:" : "something is missing at its end",
                   *v->at ? v->at : NULL);
    }
    v->depth--;
    return ret;
}

static double as_number(struct eval *v, struct value x)
{
    return x.is_text ? fail(v, "a text is no number:", x.text).number : x.number;
}

static struct value sign(struct eval *v)
{
    bool minus = false;
    while (take(v, "-"))
        minus = !minus;
    struct value x = atom(v);
    return minus ? number(-as_number(v, x)) : x;
}

static struct value product(struct eval *v)
{
    struct value x = sign(v);
    for (;;) {
        bool times = take(v, "*");
        if (!times && !take(v, "/"))
            return x;
        double a = as_number(v, x), b = as_number(v, sign(v));
        if (!times && b == 0)
            return fail(v, "it divides by 0", NULL);
        x = number(times ? a * b : a / b);
    }
}

static struct value sum(struct eval *v)
{
    struct value x = product(v);
    for (;;) {
        bool plus = take(v, "+");
        if (!plus && !take(v, "-"))
            return x;
        double a = as_number(v, x), b = as_number(v, product(v));
        x = number(plus ? a + b : a - b);
    }
}

static struct value compare(struct eval *v)
{
    static const char *const sign_of[] = {"==", "!=", "<=", ">=", "<", ">"};
    struct value x = sum(v);
    for (size_t i = 0; i < sizeof sign_of / sizeof *sign_of; i++) {
        if (!take(v, sign_of[i]))
            continue;
        struct value y = sum(v);
        if (x.is_text != y.is_text)
            return i > 1 ? fail(v, "a text and a number have no order", NULL) : number(i == 1);
        int c = x.is_text ? strcmp(x.text, y.text) : (x.number > y.number) - (x.number < y.number);
        const bool holds[] = {c == 0, c != 0, c <= 0, c >= 0, c<0, c> 0};
        return number(holds[i]);
    }
    return x;
}

static struct value not_(struct eval *v)
{
    if (++v->depth > DEPTH_MAX)
        return fail(v, "too deep", NULL);
    struct value x = take(v, "not") ? number(as_number(v, not_(v)) == 0) : compare(v);
    v->depth--;
    return x;
}

static struct value all(struct eval *v)
{
    struct value x = not_(v);
    while (take(v, "and")) {
        double a = as_number(v, x), b = as_number(v, not_(v));
        x = number(a != 0 && b != 0);
    }
    return x;
}

static struct value any(struct eval *v)
{
    struct value x = all(v);
    while (take(v, "or")) {
        double a = as_number(v, x), b = as_number(v, all(v));
        x = number(a != 0 || b != 0);
    }
    return x;
}

bool where_holds(struct experiment *e, const struct yaml_node *condition, const struct yaml_node *vars,
                 bool *bad)
{
    struct eval v = {.e = e, .node = condition, .vars = vars, .at = condition->text};
    struct value x = any(&v);
    double truth = v.bad ? 0 : as_number(&v, x);
    v.at += strspn(v.at, " \t\n");
    if (!v.bad && *v.at)
        fail(&v, "this cannot stand here:", v.at);
    *bad = *bad || v.bad;
    return truth != 0;
}
