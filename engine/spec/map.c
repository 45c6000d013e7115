/* Maps that the passes make themselves. */
#include "engine/spec/spec_impl.h"
#include <string.h>

struct yaml_node *map_new(struct arena *a, struct pos pos)
{
    struct yaml_node *n = arena_alloc(a, sizeof *n);
    *n = (struct yaml_node){.kind = YAML_MAP, .pos = pos};
    return n;
}

void map_append(struct arena *a, struct yaml_node *map, struct yaml_node *key, struct yaml_node *item)
{
    if ((map->n & (map->n - 1)) == 0) { /* full: the room is a power of two */
        size_t room = map->n ? 2 * (size_t)map->n : 1;
        struct yaml_node **keys = arena_alloc(a, room * sizeof *keys);
        struct yaml_node **items = arena_alloc(a, room * sizeof *items);
        if (map->n) {
            memcpy(keys, map->key, (size_t)map->n * sizeof *keys);
            memcpy(items, map->item, (size_t)map->n * sizeof *items);
        }
        map->key = keys;
        map->item = items;
    }
    map->key[map->n] = key;
    map->item[map->n++] = item;
}
