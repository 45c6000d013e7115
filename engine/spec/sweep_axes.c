/* sweep: what each variable takes. A list; {range: [from, to, step]}; {logrange: [from, to, count]}; for
 * random and lhs also {uniform: [a, b]}, {loguniform: [a, b]}, {integer: [a, b]}; "a, b": [[1, 2], [3, 4]]
 * sets several variables together. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/spec/sweep_impl.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct yaml_node *number_node(struct arena *a, const char *text, struct pos pos)
{
    struct yaml_node *n = arena_alloc(a, sizeof *n);
    *n = (struct yaml_node){.kind = YAML_SCALAR, .pos = pos, .text = text};
    return n;
}

/* The number of a plain scalar. */
static bool number_of(const struct yaml_node *n, double *ret)
{
    char *end;
    if (n->kind != YAML_SCALAR || n->quoted || !*n->text)
        return false;
    *ret = strtod(n->text, &end);
    return !*end && isfinite(*ret);
}

static bool numbers(struct experiment *e, const struct yaml_node *n, const char *what, const char *form,
                    int count, double *ret)
{
    bool ok = n->kind == YAML_LIST && n->n == count;
    for (int i = 0; ok && i < count; i++)
        ok = number_of(n->item[i], &ret[i]);
    return ok || diag_add(e->diag, &n->pos, "%s takes %s", what, form);
}

/* Digits behind the decimal point; -1 with an exponent. */
static int decimals(const char *text)
{
    const char *dot = strchr(text, '.');
    if (strpbrk(text, "eE"))
        return -1;
    return dot ? (int)strlen(dot + 1) : 0;
}

/* Without zeros that say nothing: "0.30" is "0.3", "1.0" is "1". */
static const char *short_text(struct arena *a, const char *text)
{
    char *copy = arena_strdup(a, text);
    if (strchr(copy, '.') && !strpbrk(copy, "eE")) {
        size_t n = strlen(copy);
        while (copy[n - 1] == '0')
            copy[--n] = '\0';
        if (copy[n - 1] == '.')
            copy[n - 1] = '\0';
    }
    return strcmp(copy, "-0") == 0 ? "0" : copy;
}

static bool too_many(struct experiment *e, const struct yaml_node *n, double count)
{
    return count > SWEEP_POINTS_MAX &&
           !diag_add(e->diag, &n->pos, "%.0f values are too many: at most %d", count, SWEEP_POINTS_MAX);
}

/* from, to (inclusive), step. Counted in units of the last decimal, so that 0.1 steps stay what they are. */
static bool range(struct experiment *e, struct axis *x, const struct yaml_node *n)
{
    double v[3];
    if (!numbers(e, n, "range", "[from, to, step]", 3, v))
        return false;
    double steps = (v[1] - v[0]) / v[2];
    if (v[2] == 0 || steps < 0 || !isfinite(steps))
        return diag_add(e->diag, &n->pos, "this range never gets from %s to %s in steps of %s",
                        n->item[0]->text, n->item[1]->text, n->item[2]->text);
    double count = floor(steps + 1e-9) + 1;
    if (too_many(e, n, count))
        return false;
    int from = decimals(n->item[0]->text), by = decimals(n->item[2]->text), d = from > by ? from : by;
    x->n = (int)count;
    x->item = arena_alloc(e->arena, (size_t)x->n * sizeof *x->item);
    for (int i = 0; i < x->n; i++) {
        char text[400];
        if (from < 0 || by < 0 || d > 15)
            snprintf(text, sizeof text, "%.12g", v[0] + i * v[2]);
        else
            snprintf(text, sizeof text, "%.*f", d, v[0] + i * v[2]);
        x->item[i] = number_node(e->arena, short_text(e->arena, text), n->pos);
    }
    return true;
}

/* from, to, count: equal factors, six digits. */
static bool logrange(struct experiment *e, struct axis *x, const struct yaml_node *n)
{
    double v[3];
    if (!numbers(e, n, "logrange", "[from, to, count]", 3, v))
        return false;
    if (v[0] <= 0 || v[1] <= 0 || v[2] < 2 || v[2] != floor(v[2]))
        return diag_add(e->diag, &n->pos, "logrange takes two numbers above 0 and a count of at least 2");
    if (too_many(e, n, v[2]))
        return false;
    x->n = (int)v[2];
    x->item = arena_alloc(e->arena, (size_t)x->n * sizeof *x->item);
    for (int i = 0; i < x->n; i++) {
        char text[64];
        snprintf(text, sizeof text, "%.6g", v[0] * pow(v[1] / v[0], (double)i / (x->n - 1)));
        x->item[i] = number_node(e->arena, arena_strdup(e->arena, text), n->pos);
    }
    return true;
}

static bool interval(struct experiment *e, struct axis *x, const struct yaml_node *n)
{
    double v[2];
    if (!numbers(e, n, "this", "[from, to]", 2, v))
        return false;
    if (v[0] >= v[1])
        return diag_add(e->diag, &n->pos, "the interval from %s to %s is empty", n->item[0]->text,
                        n->item[1]->text);
    if (x->kind == AXIS_LOGUNIFORM && v[0] <= 0)
        return diag_add(e->diag, &n->pos, "loguniform takes numbers above 0");
    if (x->kind == AXIS_INTEGER &&
        (v[0] != floor(v[0]) || v[1] != floor(v[1]) || fabs(v[0]) > 1e15 || fabs(v[1]) > 1e15))
        return diag_add(e->diag, &n->pos, "integer takes two whole numbers");
    x->lo = v[0];
    x->hi = v[1];
    return true;
}

static bool list(struct experiment *e, struct axis *x, const struct yaml_node *n)
{
    if (n->kind != YAML_LIST || n->n == 0)
        return diag_add(e->diag, &n->pos, "a list of values is missing here");
    if (too_many(e, n, n->n))
        return false;
    x->n = n->n;
    x->item = arena_alloc(e->arena, (size_t)n->n * (size_t)x->n_names * sizeof *x->item);
    bool ok = true;
    for (int i = 0; i < n->n; i++) {
        const struct yaml_node *v = n->item[i];
        if (x->n_names > 1 && (v->kind != YAML_LIST || v->n != x->n_names))
            ok =
                diag_add(e->diag, &v->pos, "a list of %d values is missing here, one a variable", x->n_names);
        for (int k = 0; k < i && v->kind == YAML_SCALAR; k++)
            if (n->item[k]->kind == YAML_SCALAR && strcmp(n->item[k]->text, v->text) == 0) {
                ok = diag_again(e->diag, &v->pos, &n->item[k]->pos, "this value is there twice");
                break;
            }
        for (int k = 0; ok && k < x->n_names; k++)
            x->item[i * x->n_names + k] = x->n_names > 1 ? v->item[k] : v;
    }
    return ok;
}

static const struct form {
    const char *name;
    enum axis_kind kind;
    bool (*read)(struct experiment *e, struct axis *x, const struct yaml_node *n);
} forms[] = {{"range", AXIS_LIST, range},
             {"logrange", AXIS_LIST, logrange},
             {"choice", AXIS_LIST, list},
             {"uniform", AXIS_UNIFORM, interval},
             {"loguniform", AXIS_LOGUNIFORM, interval},
             {"integer", AXIS_INTEGER, interval}};
#define FORMS (sizeof forms / sizeof *forms)

static bool read_values(struct experiment *e, struct axis *x, const struct yaml_node *n)
{
    if (n->kind == YAML_LIST)
        return list(e, x, n);
    if (n->kind != YAML_MAP || n->n != 1)
        return diag_add(
            e->diag, &n->pos,
            "a variable of a sweep takes a list, or one of range, logrange, choice, uniform, loguniform, "
            "integer: {range: [1, 9, 2]}");
    const char *names[FORMS];
    for (size_t i = 0; i < FORMS; i++) {
        names[i] = forms[i].name;
        if (strcmp(names[i], n->key[0]->text) != 0)
            continue;
        if (x->n_names > 1 && forms[i].read != list)
            return diag_add(e->diag, &n->pos, "several variables together take a list of lists");
        x->kind = forms[i].kind;
        return forms[i].read(e, x, n->item[0]);
    }
    return diag_unknown(e->diag, &n->key[0]->pos, nearest_name(names, FORMS, n->key[0]->text),
                        "a sweep has no '%s'", n->key[0]->text);
}

/* "a.b" must be a variable of the experiment; a sweep replaces, it does not add. */
static bool check_variable(struct experiment *e, const char *name, const struct pos *pos)
{
    AUTO(mem) char *copy = xstrdup(name);
    char *rest = copy, *part;
    const struct yaml_node *in = e->raw_vars;
    while ((part = strsep(&rest, "."))) {
        const struct yaml_node *at = yaml_get(in, part);
        if (!at)
            return diag_unknown(e->diag, pos, overlay_near(in, part),
                                "the experiment has no variable '%s' to sweep", name);
        in = at;
    }
    return true;
}

/* Is one the other, or in it? */
static bool overlap(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), least = n < m ? n : m;
    return strncmp(a, b, least) == 0 && (n == m || (n < m ? b : a)[least] == '.');
}

/* "a, b": the variables of one entry. */
static bool read_names(struct experiment *e, struct sweep_plan *p, struct axis *x,
                       const struct yaml_node *key)
{
    char *rest = arena_strdup(e->arena, key->text), *part;
    bool ok = true;
    while ((part = strsep(&rest, ","))) {
        part += strspn(part, " ");
        for (char *end = part + strlen(part); end > part && end[-1] == ' ';)
            *--end = '\0';
        if (p->n_names == SWEEP_AXES_MAX - 1)
            return diag_add(e->diag, &key->pos, "a sweep of more than %d variables", SWEEP_AXES_MAX - 1);
        for (int i = 0; i < p->n_names; i++)
            if (overlap(p->name[i], part))
                ok = diag_again(e->diag, &key->pos, &p->path_of[i]->pos,
                                "'%s' and '%s' set the same variable", p->name[i], part);
        ok = check_variable(e, part, &key->pos) && ok;
        p->path_of[p->n_names] = key;
        p->name[p->n_names++] = part;
        x->n_names++;
    }
    return ok;
}

bool sweep_is_fixed(const struct experiment *e, const char *axis)
{
    for (int i = 0; e->opt && e->opt->sweep && i < e->opt->n_set; i++) {
        size_t n = strcspn(e->opt->set[i], "=");
        if (strncmp(e->opt->set[i], axis, n) == 0 && (!axis[n] || axis[n] == '.'))
            return true;
    }
    return false;
}

static bool any_fixed(const struct experiment *e, const struct sweep_plan *p, const struct axis *x)
{
    for (int i = 0; i < x->n_names; i++)
        if (sweep_is_fixed(e, p->name[x->first + i]))
            return true;
    return false;
}

bool sweep_axes(struct experiment *e, const struct yaml_node *written, struct sweep_plan *p)
{
    const struct scope scope = {.vars = e->vars};
    const struct yaml_node *node = vars_resolve(e->arena, e->diag, &scope, written);
    if (!node)
        return false;
    if (node->kind != YAML_MAP || node->n == 0)
        return diag_add(e->diag, &node->pos, "sweep: takes a map from variables to their values");
    p->axis = arena_alloc(e->arena, (size_t)node->n * sizeof *p->axis);
    p->name = arena_alloc(e->arena, SWEEP_AXES_MAX * sizeof *p->name);
    bool ok = true;
    for (int i = 0; i < node->n; i++) {
        struct axis *x = &p->axis[p->n_axes++];
        *x = (struct axis){.pos = node->key[i]->pos, .first = p->n_names};
        ok = read_names(e, p, x, node->key[i]) && ok;
        ok = read_values(e, x, node->item[i]) && ok;
        if (any_fixed(e, p, x)) {
            p->n_names = x->first;
            p->n_axes--;
        }
    }
    return ok && (p->n_axes || diag_add(e->diag, &node->pos, "--set fixes every variable of the sweep"));
}
