/* matrix: {exclude: [{x: a, y: b}, {x: c}]}: the combinations that are left out. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/spec/spec_impl.h"
#include <string.h>

#define ROWS_MAX 1000 /* each is compared with each combination */

/* The index of `value` on an axis, -1 after a diagnostic. */
static int find_value(struct experiment *e, const struct yaml_node *axes, int axis, const char **coord,
                      const struct yaml_node *value)
{
    const char *name = axes->key[axis]->text;
    if (value->kind != YAML_SCALAR) {
        diag_add(e->diag, &value->pos, "exclude: takes one value of axis '%s', not a %s", name,
                 value->kind == YAML_LIST ? "list" : "map");
        return -1;
    }
    int n = axes->item[axis]->n;
    for (int i = 0; i < n; i++)
        if (strcmp(coord[i], value->text) == 0)
            return i;
    diag_unknown(e->diag, &value->pos, nearest_name(coord, (size_t)n, value->text),
                 "exclude matches nothing: axis '%s' has no '%s'", name, value->text);
    return -1;
}

static bool read_row(struct experiment *e, const struct yaml_node *axes, const char ***coord,
                     const struct yaml_node *node, int *row)
{
    if (node->kind != YAML_MAP || node->n == 0)
        return diag_add(e->diag, &node->pos, "exclude: takes a list of maps from axes to values");
    for (int i = 0; i < axes->n; i++)
        row[i] = -1;
    bool ok = true;
    for (int i = 0; i < node->n; i++) {
        const struct yaml_node *key = node->key[i];
        int axis = yaml_find(axes, key->text);
        if (axis >= 0)
            ok = (row[axis] = find_value(e, axes, axis, coord[axis], node->item[i])) >= 0 && ok;
        else
            ok = diag_unknown(e->diag, &key->pos, overlay_near(axes, key->text),
                              "exclude names no axis of the matrix: '%s'", key->text);
    }
    return ok;
}

bool exclude_read(struct experiment *e, const struct yaml_node *axes, const char ***coord,
                  const struct yaml_node *exclude, struct exclude *ret)
{
    *ret = (struct exclude){0};
    if (exclude && exclude->kind != YAML_LIST)
        return diag_add(e->diag, &exclude->pos, "exclude: takes a list of maps from axes to values");
    if (exclude && exclude->n > ROWS_MAX)
        return diag_add(e->diag, &exclude->pos, "exclude is too long: at most %d", ROWS_MAX);
    if (!exclude)
        return true;
    bool ok = true;
    ret->row = arena_alloc(e->arena, (size_t)(exclude->n + 1) * sizeof *ret->row);
    for (int i = 0; i < exclude->n; i++) {
        ret->row[i] = arena_alloc(e->arena, (size_t)axes->n * sizeof **ret->row);
        ok = read_row(e, axes, coord, exclude->item[i], ret->row[i]) && ok;
    }
    ret->n = exclude->n;
    return ok;
}

bool exclude_has(const struct exclude *x, const int *at, int axes)
{
    for (int i = 0; i < x->n; i++) {
        int axis = 0;
        while (axis < axes && (x->row[i][axis] < 0 || x->row[i][axis] == at[axis]))
            axis++;
        if (axis == axes)
            return true;
    }
    return false;
}
