/* Which rows and columns a table has, by what names, and which of a column is the best. */
#include "stages/job/table.h"
#include <math.h>
#include <string.h>

/* The next item of a comma list, blanks around it taken off; NULL at the end. Cuts *rest. */
static char *next_item(char **rest)
{
    char *s = strsep(rest, ",");
    if (!s)
        return NULL;
    s += strspn(s, " \n\t");
    for (size_t n = strlen(s); n > 0 && strchr(" \n\t", s[n - 1]); n--)
        s[n - 1] = '\0';
    return s;
}
/* "name=label": cuts it; a label of its own, else the name. */
static const char *label_of(char *item)
{
    char *label = strchr(item, '=');
    if (!label)
        return item;
    *label = '\0';
    return label + 1;
}
static bool unknown(const struct names *there, const char *param, const char *name, struct error *err)
{
    const char *near = nearest_name(there->item, (size_t)there->n, name);
    return error_set(err, NULL, ERROR_INPUT, "'%s' in '%s' is in no score%s%s%s", name, param,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}
static int index_of(const struct names *s, const char *name)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->item[i], name))
            return i;
    return -1;
}

/* "FlexOlmo|yes" -> one label a head; what is not given is empty. */
static const char **split_label(struct table *t, const char *text)
{
    const char **label = arena_alloc(t->arena, (size_t)t->heads * sizeof *label);
    char *rest = arena_strdup(t->arena, text);
    for (int i = 0; i < t->heads; i++) {
        char *one = i + 1 < t->heads ? strsep(&rest, "|") : rest;
        label[i] = one ? one : "";
        rest = one && i + 1 < t->heads ? rest : NULL;
    }
    return label;
}
static bool is_apart(const struct table *t, const char *system)
{
    char *rest = arena_strdup(t->arena, t->p->apart), *one;
    while ((one = next_item(&rest)))
        if (!strcmp(one, system))
            return true;
    return false;
}
static bool add_row(struct table *t, const char *name, const char *label, struct error *err)
{
    int system = index_of(&t->system, name);
    if (system < 0)
        return unknown(&t->system, "rows", name, err);
    t->row[t->rows++] = (struct row){system, split_label(t, label), is_apart(t, name)};
    return true;
}
static bool choose_rows(struct table *t, struct error *err)
{
    char *rest = arena_strdup(t->arena, t->p->rows), *one;
    size_t room = (size_t)t->system.n + strlen(t->p->rows) + 1;
    t->row = arena_alloc(t->arena, room * sizeof *t->row);
    if (!*t->p->rows)
        for (int s = 0; s < t->system.n; s++)
            if (!add_row(t, t->system.item[s], t->system.item[s], err))
                return false;
    while (*t->p->rows && (one = next_item(&rest))) {
        const char *label = label_of(one);
        if (*one && !add_row(t, one, label, err))
            return false;
    }
    return true;
}

static bool add_column(struct table *t, const char *name, const char *label, struct error *err)
{
    int domain = index_of(&t->domain, name);
    if (domain < 0)
        return unknown(&t->domain, "columns", name, err);
    t->used[t->n_used++] = domain;
    if (!t->p->only_average)
        t->column[t->columns++] = (struct column){domain, label};
    return true;
}
static bool choose_columns(struct table *t, struct error *err)
{
    char *rest = arena_strdup(t->arena, t->p->columns), *one;
    size_t room = (size_t)t->domain.n + strlen(t->p->columns) + 2;
    t->column = arena_alloc(t->arena, room * sizeof *t->column);
    t->used = arena_alloc(t->arena, room * sizeof *t->used);
    if (!*t->p->columns)
        for (int d = 0; d < t->domain.n; d++)
            if (!add_column(t, t->domain.item[d], t->domain.item[d], err))
                return false;
    while (*t->p->columns && (one = next_item(&rest))) {
        const char *label = label_of(one);
        if (*one && !add_column(t, one, label, err))
            return false;
    }
    if (*t->p->average)
        t->column[t->columns++] = (struct column){t->domain.n, t->p->average};
    return t->columns > 0 || error_set(err, NULL, ERROR_INPUT, "the table has no columns");
}

bool table_layout(struct table *t, struct error *err)
{
    t->heads = 1;
    for (const char *c = t->p->head; *c; c++)
        t->heads += *c == '|';
    t->head = split_label(t, t->p->head);
    t->against = -1;
    if (*t->p->against && (t->against = index_of(&t->system, t->p->against)) < 0)
        return unknown(&t->system, "against", t->p->against, err);
    return choose_rows(t, err) && choose_columns(t, err);
}

/* ---- what the cells say ---- */

bool table_is_tie(const struct cell *c)
{
    return c->compared && c->diff.low <= 0 && c->diff.high >= 0;
}

static double printed(const struct table *t, int row, int column)
{
    const struct row *r = &t->row[row];
    const struct cell *c = table_cell(t, r->system, t->column[column].domain);
    double tens = pow(10, (double)t->p->decimals);
    return c->runs == 0 || r->apart ? -INFINITY : round(100 * c->mean * tens);
}
int table_rank(const struct table *t, int row, int column)
{
    double own = printed(t, row, column), best = -INFINITY, second = -INFINITY;
    for (int r = 0; r < t->rows; r++) {
        double v = printed(t, r, column);
        if (v > best) {
            second = best;
            best = v;
        } else if (v < best && v > second) {
            second = v;
        }
    }
    return t->rows < 2 || own == -INFINITY ? 0 : own == best ? 1 : own == second ? 2 : 0;
}

struct table_has table_has(const struct table *t)
{
    struct table_has has = {0};
    for (int r = 0; r < t->rows; r++)
        for (int k = 0; k < t->columns; k++) {
            const struct cell *c = table_cell(t, t->row[r].system, t->column[k].domain);
            has.runs |= c->runs > 1;
            has.intervals |= c->sure;
            has.differences |= c->compared;
        }
    return has;
}
