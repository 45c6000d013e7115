/* rounds: a stage that is there once a round, each of which may take what the one before it made. The round
 * is the last coordinate of a task's name; inputs that name ${previous} are not there in the first round,
 * where first: says what to take instead. */
#include "base/json.h"
#include "engine/spec/spec_impl.h"
#include <string.h>

#define ROUNDS_MAX 10000

bool rounds_read(struct experiment *e, struct decl *d)
{
    const struct yaml_node *node = yaml_get(d->node, "rounds");
    int first = yaml_find(d->node, "first");
    if (!node && first >= 0)
        return diag_add(e->diag, &d->node->key[first]->pos,
                        "first: is for stages with rounds: the inputs of the first round");
    if (!node)
        return true;
    const struct scope s = {.vars = d->vars ? d->vars : e->vars};
    struct yaml_node *n = vars_resolve(e->arena, e->diag, &s, node);
    if (!n)
        return false;
    AUTO_JSON j = yaml_json(n);
    if (!json_is_integer(j) || json_integer_value(j) < 1 || json_integer_value(j) > ROUNDS_MAX)
        return diag_add(e->diag, &node->pos, "rounds: takes a whole number from 1 to %d", ROUNDS_MAX);
    d->rounds = (int)json_integer_value(j);
    return true;
}

static struct yaml_node *scalar(struct arena *a, const char *text, struct pos pos)
{
    struct yaml_node *n = arena_alloc(a, sizeof *n);
    *n = (struct yaml_node){.kind = YAML_SCALAR, .pos = pos, .text = text};
    return n;
}

static void add_axis(struct experiment *e, struct yaml_node *axes, const char *name,
                     const struct yaml_node *items)
{
    map_append(e->arena, axes, scalar(e->arena, name, items->pos), (struct yaml_node *)(uintptr_t)items);
}

/* The numbers of the rounds as an axis goes over them. */
static struct yaml_node *numbers(struct experiment *e, const struct decl *d)
{
    struct yaml_node *list = arena_alloc(e->arena, sizeof *list);
    *list = (struct yaml_node){.kind = YAML_LIST, .pos = d->pos, .n = d->rounds};
    list->item = arena_alloc(e->arena, (size_t)d->rounds * sizeof *list->item);
    for (int i = 0; i < d->rounds; i++)
        list->item[i] = scalar(e->arena, d->instance[i].scope.round, d->pos);
    return list;
}

void rounds_axis(struct experiment *e, struct decl *d, const struct yaml_node *items)
{
    struct yaml_node *axes = map_new(e->arena, d->pos);
    if (items)
        add_axis(e, axes, "item", items);
    for (int i = 0; d->axes && i < d->axes->n; i++)
        add_axis(e, axes, d->axes->key[i]->text, d->axes->item[i]);
    add_axis(e, axes, "round", numbers(e, d));
    const char ***name = arena_alloc(e->arena, (size_t)axes->n * sizeof *name);
    for (int i = 0; i < axes->n; i++)
        name[i] = d->axes && i < d->axes->n ? d->axis[i] : NULL;
    for (int i = 0; i < axes->n; i++) {
        if (name[i])
            continue;
        /* foreach and rounds: instances in rows of one item each */
        int step = i == axes->n - 1 ? 1 : d->rounds;
        name[i] = arena_alloc(e->arena, (size_t)axes->item[i]->n * sizeof **name);
        for (int k = 0; k < axes->item[i]->n; k++)
            name[i][k] = d->instance[k * step].coord[i];
    }
    d->axes = axes;
    d->axis = name;
}

/* ---- the first round ---- */

static bool names_previous(const struct yaml_node *n)
{
    return n->kind == YAML_SCALAR && strstr(n->text, "${previous}");
}

/* An input without its references to the round before; NULL: nothing is left. */
static struct yaml_node *without(struct arena *a, struct yaml_node *input)
{
    if (input->kind != YAML_LIST)
        return names_previous(input) ? NULL : input;
    struct yaml_node *list = arena_alloc(a, sizeof *list);
    *list = *input;
    list->n = 0;
    list->item = arena_alloc(a, (size_t)(input->n + 1) * sizeof *list->item);
    for (int i = 0; i < input->n; i++)
        if (!names_previous(input->item[i]))
            list->item[list->n++] = input->item[i];
    return list->n || !input->n ? list : NULL;
}

const struct yaml_node *rounds_inputs(struct experiment *e, const struct decl *d, const struct instance *in)
{
    struct yaml_node *node = yaml_get(d->node, "in"), *first = yaml_get(d->node, "first");
    if (!d->rounds || *in->scope.previous || (node && node->kind != YAML_MAP))
        return node;
    if (first && first->kind != YAML_MAP) {
        diag_add(e->diag, &first->pos, "first: takes a map from inputs to references");
        first = NULL;
    }
    struct yaml_node *map = map_new(e->scratch, d->pos);
    for (int i = 0; first && i < first->n; i++)
        map_append(e->scratch, map, first->key[i], first->item[i]);
    for (int i = 0; node && i < node->n; i++) {
        struct yaml_node *kept = without(e->scratch, node->item[i]);
        if (kept && !(first && yaml_get(first, node->key[i]->text)))
            map_append(e->scratch, map, node->key[i], kept);
    }
    return map;
}
