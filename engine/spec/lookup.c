#include "engine/spec/lookup.h"
#include "base/mem.h"
#include <string.h>

void lookup_init(struct lookup *l, size_t names)
{
    size_t slots = 8;
    while (slots < 2 * names)
        slots *= 2;
    *l = (struct lookup){.slot = xcalloc(slots, sizeof *l->slot), .mask = slots - 1};
}

/* FNV-1a, its bits mixed once more because only the low ones are used. */
static uint32_t hash_of(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return (uint32_t)(h ^ h >> 32);
}

/* The slot that holds the name, or the free one where it belongs. */
static struct lookup_slot *find(const struct lookup *l, const char *name, uint32_t hash)
{
    size_t i = hash & l->mask;
    while (l->slot[i].name && (l->slot[i].hash != hash || strcmp(l->slot[i].name, name) != 0))
        i = (i + 1) & l->mask;
    return &l->slot[i];
}

int lookup_add(struct lookup *l, const char *name, int value)
{
    uint32_t hash = hash_of(name);
    struct lookup_slot *s = find(l, name, hash);
    if (s->name)
        return s->value;
    *s = (struct lookup_slot){name, hash, value};
    return -1;
}

int lookup_get(const struct lookup *l, const char *name)
{
    if (!l->slot)
        return -1;
    const struct lookup_slot *s = find(l, name, hash_of(name));
    return s->name ? s->value : -1;
}
