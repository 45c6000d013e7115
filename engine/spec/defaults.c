/* defaults: {STAGE: {with: ..., resources: ...}}: what every declaration that uses the stage starts from. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/spec/spec_impl.h"
#include <string.h>

static const char *const sections[] = {"with", "resources", NULL};

static struct yaml_node *word(struct arena *a, const char *text, struct pos pos)
{
    struct yaml_node *n = arena_alloc(a, sizeof *n);
    *n = (struct yaml_node){.kind = YAML_SCALAR, .pos = pos, .text = text};
    return n;
}

/* The members of `with` or `resources` of one stage. */
static void flatten(struct experiment *e, struct yaml_node *flat, const char *stage, const char *section,
                    const struct yaml_node *map)
{
    if (map->kind != YAML_MAP) {
        diag_add(e->diag, &map->pos, "%s: takes a map", section);
        return;
    }
    for (int i = 0; i < map->n; i++) {
        const char *name = arena_printf(e->arena, "%s.%s.%s", stage, section, map->key[i]->text);
        map_append(e->arena, flat, word(e->arena, name, map->key[i]->pos), map->item[i]);
    }
}

struct yaml_node *defaults_flat(struct experiment *e, const struct yaml_node *root)
{
    const struct yaml_node *all = yaml_get(root, "defaults");
    struct yaml_node *flat = map_new(e->arena, root->pos);
    if (all && all->kind != YAML_MAP)
        diag_add(e->diag, &all->pos, "defaults: takes a map from stages to {with: {...}, resources: {...}}");
    for (int i = 0; all && all->kind == YAML_MAP && i < all->n; i++) {
        const struct yaml_node *stage = all->key[i], *of = all->item[i];
        if (!e->find(stage->text))
            spec_unknown_stage(e, &stage->pos, stage->text);
        else if (spec_check_map(e, of, sections, "a stage's default"))
            for (int k = 0; sections[k]; k++)
                if (yaml_get(of, sections[k]))
                    flatten(e, flat, stage->text, sections[k], yaml_get(of, sections[k]));
    }
    return flat;
}

/* The map `name` in `map`, made where it is missing. */
static struct yaml_node *submap(struct arena *a, struct yaml_node *map, const char *name, struct pos pos)
{
    struct yaml_node *found = yaml_get(map, name);
    if (found)
        return found;
    found = map_new(a, pos);
    map_append(a, map, word(a, name, pos), found);
    return found;
}

/* "STAGE.SECTION.NAME" of all files together -> {STAGE: {SECTION: {NAME: ...}}}. */
static struct yaml_node *unflatten(struct arena *a, const struct yaml_node *flat)
{
    struct yaml_node *ret = map_new(a, flat->pos);
    for (int i = 0; i < flat->n; i++) {
        char *rest = arena_strdup(a, flat->key[i]->text);
        const char *stage = strsep(&rest, "."), *section = strsep(&rest, ".");
        struct pos pos = flat->key[i]->pos;
        map_append(a, submap(a, submap(a, ret, stage, pos), section, pos), word(a, rest, pos), flat->item[i]);
    }
    return ret;
}

/* `own`, and below it what it does not say itself. */
static const struct yaml_node *laid_below(struct arena *a, const struct yaml_node *own,
                                          const struct yaml_node *defaults)
{
    if (!own || !defaults)
        return own ? own : defaults;
    if (own->kind != YAML_MAP) /* which is an error, soon to be said */
        return own;
    struct yaml_node *ret = map_new(a, own->pos);
    for (int i = 0; i < own->n; i++)
        map_append(a, ret, own->key[i], own->item[i]);
    for (int i = 0; i < defaults->n; i++)
        if (yaml_find(own, defaults->key[i]->text) < 0)
            map_append(a, ret, defaults->key[i], defaults->item[i]);
    return ret;
}

void defaults_apply(struct experiment *e)
{
    const struct yaml_node *all = unflatten(e->arena, e->all_defaults);
    for (int i = 0; i < e->n; i++) {
        struct decl *d = &e->decl[i];
        const struct yaml_node *of = d->stage ? yaml_get(all, d->stage->name) : NULL;
        d->with = laid_below(e->arena, yaml_get(d->node, "with"), yaml_get(of, "with"));
        d->defaults = of;
    }
}
