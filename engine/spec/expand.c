/* foreach, matrix and rounds: one declaration -> its instances. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "engine/spec/spec_impl.h"
#include <string.h>

#define AXIS_MAX      10000
#define INSTANCES_MAX 100000

/* What names item i of a list or map: its key, its text, its member `name`, or its position. */
static const char *coordinate(struct experiment *e, const struct yaml_node *of, int i)
{
    if (of->kind == YAML_MAP)
        return of->key[i]->text;
    const struct yaml_node *item = of->item[i], *name = yaml_get(item, "name");
    if (item->kind == YAML_SCALAR)
        return item->text;
    return name && name->kind == YAML_SCALAR ? name->text : arena_printf(e->arena, "%d", i);
}

/* The coordinates of a list or map, each usable in a task's name and all different; NULL after a diagnostic.
 */
static const char **coordinates(struct experiment *e, const struct yaml_node *of, const char *what)
{
    if (of->kind == YAML_SCALAR || of->n == 0 || of->n > AXIS_MAX) {
        diag_add(e->diag, &of->pos,
                 of->kind == YAML_SCALAR ? "%s takes a list or a map"
                 : of->n == 0            ? "%s is empty: there would be no task"
                                         : "%s is too long: at most 10000",
                 what);
        return NULL;
    }
    const char **c = arena_alloc(e->arena, (size_t)of->n * sizeof *c);
    AUTO(lookup) struct lookup seen;
    lookup_init(&seen, (size_t)of->n);
    bool ok = true;
    for (int i = 0; i < of->n; i++) {
        const struct pos *pos = of->kind == YAML_MAP ? &of->key[i]->pos : &of->item[i]->pos;
        c[i] = coordinate(e, of, i);
        if (!*c[i] || strpbrk(c[i], "[],*\n") || strlen(c[i]) > 100)
            ok = diag_add(e->diag, pos, "'%.40s' cannot name a task: empty, too long or with one of [ ] , *",
                          c[i]);
        int first = ok ? lookup_add(&seen, c[i], i) : -1;
        if (first >= 0)
            ok = diag_again(e->diag, pos, of->kind == YAML_MAP ? &of->key[first]->pos : &of->item[first]->pos,
                            "'%s' is there twice", c[i]);
    }
    return ok ? c : NULL;
}

static const struct yaml_node *vars_of(const struct experiment *e, const struct decl *d)
{
    return d->vars ? d->vars : e->vars;
}

/* Room for so many tasks a round. */
static bool reserve(struct experiment *e, struct decl *d, int64_t count)
{
    count *= d->rounds ? d->rounds : 1;
    if (count > INSTANCES_MAX)
        return diag_add(e->diag, &d->pos, "stage '%s' is more than %d tasks", d->name, INSTANCES_MAX);
    d->instance = arena_alloc(e->arena, (size_t)count * sizeof *d->instance);
    return true;
}

static void add_one(struct experiment *e, struct decl *d, const char **coord, int n, struct scope scope)
{
    struct instance *in = &d->instance[d->n++];
    struct task *t = arena_alloc(e->arena, sizeof *t);
    AUTO(buf) struct buf name = {0};
    buf_puts(&name, d->name);
    for (int i = 0; i < n; i++) {
        buf_putc(&name, i ? ',' : '[');
        buf_puts(&name, coord[i]);
    }
    if (n)
        buf_putc(&name, ']');
    if (d->suffix)
        buf_puts(&name, d->suffix);
    *t = (struct task){.name = arena_strdup(e->arena, buf_str(&name)), .stage = d->stage, .pos = d->pos};
    scope.vars = vars_of(e, d);
    *in = (struct instance){.task = t, .coord = coord, .n_coord = n, .scope = scope};
}

/* The task with these coordinates, or one in each round. */
static void add(struct experiment *e, struct decl *d, const char **coord, int n, struct scope scope)
{
    if (!d->rounds)
        add_one(e, d, coord, n, scope);
    scope.round = "";
    for (int i = 1; i <= d->rounds; i++) {
        const char **more = arena_alloc(e->arena, (size_t)(n + 1) * sizeof *more);
        if (n)
            memcpy(more, coord, (size_t)n * sizeof *more);
        scope.previous = scope.round;
        scope.round = more[n] = arena_printf(e->arena, "%d", i);
        add_one(e, d, more, n + 1, scope);
    }
}

static void expand_foreach(struct experiment *e, struct decl *d, const struct yaml_node *over)
{
    const struct scope s = {.vars = vars_of(e, d)};
    struct yaml_node *items = vars_resolve(e->arena, e->diag, &s, over);
    const char **coord = items ? coordinates(e, items, "foreach") : NULL;
    if (!coord || !reserve(e, d, items->n))
        return;
    for (int i = 0; i < items->n; i++)
        add(e, d, &coord[i], 1, (struct scope){.item = items->item[i], .key = coord[i]});
    if (d->rounds)
        rounds_axis(e, d, items);
}

/* ${item.a} of a matrix: a map of the chosen values. */
static struct yaml_node *chosen(struct experiment *e, const struct yaml_node *axes, const int *at)
{
    struct yaml_node *m = arena_alloc(e->arena, sizeof *m);
    *m = *axes;
    m->item = arena_alloc(e->arena, (size_t)axes->n * sizeof *m->item);
    for (int i = 0; i < axes->n; i++)
        m->item[i] = axes->item[i]->item[at[i]];
    return m;
}

/* A matrix without its key `exclude`: the axes. */
static struct yaml_node *axes_of(struct experiment *e, const struct yaml_node *matrix)
{
    struct yaml_node *axes = arena_alloc(e->arena, sizeof *axes);
    *axes = *matrix;
    int drop = yaml_find(matrix, "exclude");
    if (drop < 0)
        return axes;
    axes->n = 0;
    axes->item = arena_alloc(e->arena, (size_t)matrix->n * sizeof *axes->item);
    axes->key = arena_alloc(e->arena, (size_t)matrix->n * sizeof *axes->key);
    for (int i = 0; i < matrix->n; i++)
        if (i != drop) {
            axes->key[axes->n] = matrix->key[i];
            axes->item[axes->n++] = matrix->item[i];
        }
    return axes;
}

/* The coordinates by axis, and how many combinations there are; NULL after a diagnostic. */
static const char ***axis_names(struct experiment *e, const struct yaml_node *axes, int64_t *count)
{
    const char ***name = arena_alloc(e->arena, (size_t)axes->n * sizeof *name);
    *count = 1;
    for (int i = 0; i < axes->n; i++) {
        if (!(name[i] = coordinates(e, axes->item[i], "a matrix axis")))
            return NULL;
        *count *= axes->item[i]->n;
        if (*count > INSTANCES_MAX) {
            diag_add(e->diag, &axes->pos, "a matrix of more than %d tasks", INSTANCES_MAX);
            return NULL;
        }
    }
    return name;
}

static void expand_matrix(struct experiment *e, struct decl *d, const struct yaml_node *over)
{
    const struct scope s = {.vars = vars_of(e, d)};
    struct yaml_node *matrix = vars_resolve(e->arena, e->diag, &s, over);
    if (!matrix)
        return;
    const struct yaml_node *axes = axes_of(e, matrix), *exclude = yaml_get(matrix, "exclude");
    if (axes->kind != YAML_MAP || axes->n == 0) {
        diag_add(e->diag, &axes->pos, "matrix takes a map of lists");
        return;
    }
    int64_t count;
    const char ***name = axis_names(e, axes, &count);
    d->axes = axes;
    d->axis = name;
    struct exclude left_out;
    if (!name || !exclude_read(e, axes, name, exclude, &left_out))
        return;
    if (d->rounds && yaml_get(axes, "round")) {
        diag_add(e->diag, &axes->pos, "with rounds the matrix cannot have an axis 'round' of its own");
        return;
    }
    if (!reserve(e, d, count))
        return;
    int *at = arena_alloc(e->arena, (size_t)axes->n * sizeof *at);
    for (int64_t k = 0; k < count; k++) {
        const char **coord = arena_alloc(e->arena, (size_t)axes->n * sizeof *coord);
        for (int i = 0; i < axes->n; i++)
            coord[i] = name[i][at[i]];
        if (!exclude_has(&left_out, at, axes->n))
            add(e, d, coord, axes->n, (struct scope){.item = chosen(e, axes, at)});
        for (int i = axes->n - 1; i >= 0 && ++at[i] == axes->item[i]->n; i--)
            at[i] = 0;
    }
    if (d->n == 0)
        diag_add(e->diag, &exclude->pos, "exclude leaves nothing of the matrix: there would be no task");
    else if (d->rounds)
        rounds_axis(e, d, NULL);
}

void expand_decl(struct experiment *e, struct decl *d)
{
    const struct yaml_node *each = yaml_get(d->node, "foreach"), *matrix = yaml_get(d->node, "matrix");
    if (!rounds_read(e, d))
        return;
    if (each && matrix) {
        diag_add(e->diag, &matrix->pos, "stage '%s' has both foreach and matrix: use one", d->name);
    } else if (each) {
        expand_foreach(e, d, each);
    } else if (matrix) {
        expand_matrix(e, d, matrix);
    } else if (reserve(e, d, 1)) {
        add(e, d, NULL, 0, (struct scope){0});
        if (d->rounds)
            rounds_axis(e, d, NULL);
    }
}
