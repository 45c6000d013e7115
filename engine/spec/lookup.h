/* Names to numbers: a hash table, so that a graph of many tasks is read in linear time. */
#ifndef ENGINE_SPEC_LOOKUP_H
#define ENGINE_SPEC_LOOKUP_H
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct lookup {
    struct lookup_slot {
        const char *name; /* NULL: free; lives as long as the table */
        uint32_t hash;
        int value;
    } * slot;
    size_t mask; /* slots - 1, a power of two at least twice the names; 0: no table */
};
void lookup_init(struct lookup *l, size_t names); /* room for so many */
/* The value of an equal name that is there already; -1 when there was none and this one is now. */
int lookup_add(struct lookup *l, const char *name, int value);
int lookup_get(const struct lookup *l, const char *name); /* -1: not there */
static inline void lookup_auto(struct lookup *l)
{
    free(l->slot);
    *l = (struct lookup){0};
}
#endif
