/* One graph for all cells: a declaration is there once for each combination of values that it depends on.
 * What it depends on follows from the text: the variables in its entry, those that these use, and the
 * declarations that it refers to. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/spec/sweep_impl.h"
#include <ctype.h>
#include <string.h>

#define TEXT_LONGEST 40
#define ALL_AXES     (~(uint64_t)0)

typedef uint64_t axis_set; /* bit i: column i; the fidelity of halving is the last column */

struct scan {
    struct experiment *e;
    const struct sweep_plan *p;
    axis_set *var, *decl;                  /* by index in the raw variables, in e->decl */
    unsigned char *var_state, *decl_state; /* 0 not looked at, 1 being looked at, 2 done */
    bool grew;                             /* a declaration depends on more than was known */
};

static axis_set axes_of_node(struct scan *s, const struct yaml_node *n);

/* Columns whose variable is `name` or lies in it. */
static axis_set own_axes(const struct scan *s, const char *name)
{
    axis_set set = 0;
    size_t len = strlen(name);
    int columns = s->p->n_names + (s->p->sweep.over != NULL);
    for (int i = 0; i < columns; i++) {
        const char *axis = i < s->p->n_names ? s->p->name[i] : s->p->sweep.over;
        if (strncmp(axis, name, len) == 0 && (!axis[len] || axis[len] == '.'))
            set |= (axis_set)1 << i;
    }
    return set;
}

static axis_set axes_of_var(struct scan *s, const char *name)
{
    int i = yaml_find(s->e->raw_vars, name);
    if (i < 0)
        return 0; /* item, key, or unknown: reported when it is used */
    if (s->var_state[i] == 0) {
        s->var_state[i] = 1;
        s->var[i] = own_axes(s, name) | axes_of_node(s, s->e->raw_vars->item[i]);
        s->var_state[i] = 2;
    }
    return s->var[i];
}

static axis_set axes_of_text(struct scan *s, const char *text)
{
    axis_set set = 0;
    for (const char *c = text; (c = strstr(c, "${")); c += 2) {
        size_t n = strcspn(c + 2, ".}");
        AUTO(mem) char *name = xstrndup(c + 2, n);
        set |= axes_of_var(s, name);
    }
    return set;
}

static axis_set axes_of_node(struct scan *s, const struct yaml_node *n)
{
    axis_set set = n->kind == YAML_SCALAR ? axes_of_text(s, n->text) : 0;
    for (int i = 0; i < n->n; i++)
        set |= axes_of_node(s, n->item[i]);
    return set;
}

static axis_set axes_of_decl(struct scan *s, int decl);

/* What stands in in: refers to; a name that is a variable may be any. */
static axis_set axes_of_references(struct scan *s, const struct yaml_node *n)
{
    axis_set set = 0;
    for (int i = 0; i < n->n; i++)
        set |= axes_of_references(s, n->item[i]);
    if (n->kind != YAML_SCALAR)
        return set;
    size_t len = strcspn(n->text, "[.");
    AUTO(mem) char *name = xstrndup(n->text, len);
    if (strstr(name, "${"))
        return ALL_AXES;
    for (int i = 0; i < s->e->n; i++)
        if (strcmp(s->e->decl[i].name, name) == 0)
            return axes_of_decl(s, i);
    return 0;
}

static axis_set axes_of_decl(struct scan *s, int i)
{
    const struct decl *d = &s->e->decl[i];
    if (s->decl_state[i] == 0) {
        const struct yaml_node *in = yaml_get(d->node, "in"), *first = yaml_get(d->node, "first");
        axis_set before = s->decl[i];
        s->decl_state[i] = 1; /* its own will do for now: see axes_of_decls */
        s->decl[i] |= axes_of_node(s, d->node) | (d->with ? axes_of_node(s, d->with) : 0) |
                      (d->defaults ? axes_of_node(s, d->defaults) : 0) |
                      (in ? axes_of_references(s, in) : 0) | (first ? axes_of_references(s, first) : 0);
        s->decl_state[i] = 2;
        s->grew = s->grew || s->decl[i] != before;
    }
    return s->decl[i];
}

/* Of all declarations. Stages with rounds refer to each other in circles, so that what one of them depends on
 * may become known after it was looked at: again until nothing is new. */
static void axes_of_decls(struct scan *s)
{
    do {
        s->grew = false;
        memset(s->decl_state, 0, (size_t)s->e->n);
        for (int i = 0; i < s->e->n; i++)
            axes_of_decl(s, i);
    } while (s->grew);
}

const char *sweep_value_text(struct arena *a, const struct yaml_node *value, int index)
{
    const char *c = value->kind == YAML_SCALAR ? value->text : "";
    while (isalnum((unsigned char)*c) || (*c && strchr("._+-", *c)))
        c++;
    if (value->kind == YAML_SCALAR && *value->text && !*c && c - value->text <= TEXT_LONGEST)
        return value->text;
    return arena_printf(a, "#%d", index);
}

/* ---- cells ---- */

struct cell {
    const struct yaml_node *const *point;
    const struct yaml_node *rung; /* NULL without halving */
    const char *const *text;      /* by column */
    const struct yaml_node *vars; /* made at the first need */
};

/* "@lambda=0.3,seed=1": the values of the axes in the set. */
static void suffix(const struct sweep_plan *p, const struct cell *c, const char *rung_text, axis_set set,
                   struct buf *out)
{
    char separator = '@';
    buf_clear(out);
    for (int i = 0; i < p->n_names + (c->rung != NULL); i++) {
        if (!(set >> i & 1))
            continue;
        buf_printf(out, "%c%s=%s", separator, i < p->n_names ? p->name[i] : p->sweep.over,
                   i < p->n_names ? c->text[i] : rung_text);
        separator = ',';
    }
}

struct variants {
    struct decl *item;
    size_t n, cap;
    struct lookup by_name; /* "NAME@SUFFIX" */
};

/* The variant of declaration i for the cell; made when it is not there. */
static int variant(struct experiment *e, const struct sweep_plan *p, struct variants *v, int i,
                   struct cell *c, const char *suffix_text, int *row)
{
    char *name = arena_printf(e->arena, "%s%s", e->decl[i].name, suffix_text);
    int known = lookup_add(&v->by_name, name, (int)v->n);
    if (known >= 0)
        return known;
    if (!c->vars)
        c->vars = sweep_vars(e, p, c->point, c->rung);
    v->item = xgrow(v->item, &v->cap, v->n + 1, sizeof *v->item);
    struct decl *d = &v->item[v->n];
    *d = e->decl[i];
    d->suffix = name + strlen(e->decl[i].name);
    d->vars = c->vars;
    d->row = row;
    d->sweep_pos = p->path_of[0]->pos;
    return (int)v->n++;
}

bool sweep_variants(struct experiment *e, struct sweep_plan *p, int ***cell_row)
{
    int rungs = p->sweep.n_rungs, cells = p->n * rungs;
    if ((int64_t)cells * e->n > SWEEP_CELLS_MAX)
        return diag_add(e->diag, &p->axis[0].pos, "the sweep is too large: %d points, %d rungs and %d stages",
                        p->n, rungs, e->n);
    AUTO(mem) axis_set *var = xcalloc((size_t)e->raw_vars->n + 1, sizeof *var);
    AUTO(mem) axis_set *decl = xcalloc((size_t)e->n + 1, sizeof *decl);
    AUTO(mem) unsigned char *var_state = xcalloc((size_t)e->raw_vars->n + 1, 1);
    AUTO(mem) unsigned char *decl_state = xcalloc((size_t)e->n + 1, 1);
    struct scan scan = {
        .e = e, .p = p, .var = var, .decl = decl, .var_state = var_state, .decl_state = decl_state};
    axes_of_decls(&scan);
    struct variants v = {0};
    lookup_init(&v.by_name, (size_t)cells * (size_t)e->n);
    int **rows = arena_alloc(e->arena, ((size_t)cells + 1) * sizeof *rows);
    AUTO(buf) struct buf text = {0};
    for (int k = 0; k < cells; k++) {
        struct cell c = {.point = p->point[k / rungs], .text = p->sweep.point[k / rungs].value};
        const char *rung_text = "";
        if (p->rung) {
            c.rung = p->rung[k % rungs];
            rung_text = c.rung->text;
        }
        rows[k] = arena_alloc(e->arena, ((size_t)e->n + 1) * sizeof **rows);
        for (int i = 0; i < e->n; i++) {
            suffix(p, &c, rung_text, decl[i], &text);
            rows[k][i] = variant(e, p, &v, i, &c, buf_str(&text), rows[k]);
        }
    }
    lookup_auto(&v.by_name);
    e->decl = arena_alloc(e->arena, (v.n + 1) * sizeof *e->decl);
    if (v.n)
        memcpy(e->decl, v.item, v.n * sizeof *v.item);
    e->bases = e->n;
    e->n = (int)v.n;
    free(v.item);
    *cell_row = rows;
    return true;
}

/* ---- after the graph ---- */

static void take_objective(struct experiment *e, const struct sweep_plan *p, const int *row,
                           struct sweep_cell *c)
{
    const struct decl *d = p->objective_decl >= 0 ? &e->decl[row[p->objective_decl]] : NULL;
    if (!d)
        return;
    struct selector chosen;
    bool select = p->objective_coord != NULL;
    if (select && !select_parse(e, d, p->objective_coord, &p->objective_pos, &chosen))
        return;
    c->objective = arena_alloc(e->arena, ((size_t)d->n + 1) * sizeof(struct task *));
    for (int i = 0; i < d->n; i++)
        if (!select || select_has(&chosen, &d->instance[i]))
            c->objective[c->n_objective++] = d->instance[i].task;
    if (c->n_objective == 0)
        diag_add(e->diag, &p->objective_pos, "objective: '%s[%s]' matches no task", d->name,
                 select ? p->objective_coord : "*");
}

void sweep_cells(struct experiment *e, struct sweep_plan *p, int **cell_row)
{
    int cells = p->n * p->sweep.n_rungs;
    for (int k = 0; k < cells; k++)
        for (int i = 0; i < e->bases; i++)
            p->sweep.tasks += e->decl[cell_row[k][i]].n;
    if (p->sweep.tasks > SWEEP_TASKS_MAX) {
        diag_add(e->diag, &p->axis[0].pos, "the points of the sweep have %lld tasks in all: at most %d",
                 (long long)p->sweep.tasks, SWEEP_TASKS_MAX);
        return;
    }
    p->sweep.cell = arena_alloc(e->arena, ((size_t)cells + 1) * sizeof *p->sweep.cell);
    for (int k = 0; k < cells; k++) {
        struct sweep_cell *c = &p->sweep.cell[k];
        for (int i = 0; i < e->bases; i++)
            c->n += e->decl[cell_row[k][i]].n;
        c->task = arena_alloc(e->arena, ((size_t)c->n + 1) * sizeof(struct task *));
        int at = 0;
        for (int i = 0; i < e->bases; i++) {
            const struct decl *d = &e->decl[cell_row[k][i]];
            for (int t = 0; t < d->n; t++)
                c->task[at++] = d->instance[t].task;
        }
        take_objective(e, p, cell_row[k], c);
    }
}
