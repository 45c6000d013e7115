/* Which results go: the least valuable first, and none whose going is of no use. */
#include "cache/gc_impl.h"

/* What the store shrinks by when e lets its objects go. */
static int64_t take(struct gc *g, struct gc_entry *e)
{
    int64_t bytes = -GC_MARK;
    e->chosen = true;
    for (size_t i = 0; i < e->n; i++) {
        struct gc_object *o = &g->object[g->name[e->first + i]];
        o->taken++;
        bytes += gc_goes(o) ? o->size : 0;
    }
    return bytes;
}

/* Who stays needs all of what it has: its going would make no room. */
static bool is_useless(const struct gc *g, const struct gc_entry *e)
{
    for (size_t i = 0; i < e->n; i++)
        if (gc_goes(&g->object[g->name[e->first + i]]))
            return false;
    return true;
}

static void give_back(struct gc *g, struct gc_entry *e)
{
    e->chosen = false;
    for (size_t i = 0; i < e->n; i++) {
        struct gc_object *o = &g->object[g->name[e->first + i]];
        o->taken--;
        e->stayed |= o->in_use;
    }
}

static void begin(struct gc *g)
{
    for (size_t i = 0; i < g->objects; i++)
        g->object[i].taken = 0;
    for (size_t i = 0; i < g->entries; i++)
        g->entry[i].chosen = false;
}

static bool stays(struct gc_entry *e)
{
    bool must = e->pinned || e->in_use;
    e->stayed |= must;
    return must;
}

bool gc_choose(struct gc *g)
{
    int64_t size = g->size;
    bool some = false;
    begin(g);
    for (size_t i = 0; i < g->entries && size > g->goal; i++) {
        struct gc_entry *e = &g->entry[i];
        if (!e->freed && e->n && !stays(e))
            size -= take(g, e);
    }
    for (size_t i = 0; i < g->entries; i++) {
        struct gc_entry *e = &g->entry[i];
        if (e->chosen && is_useless(g, e))
            give_back(g, e);
        some |= e->chosen;
    }
    return some;
}

bool gc_choose_records(struct gc *g)
{
    int64_t size = g->size;
    bool some = false;
    begin(g);
    for (size_t i = 0; i < g->entries && size > g->goal; i++) {
        struct gc_entry *e = &g->entry[i];
        if (e->removed || stays(e))
            continue;
        e->chosen = some = true;
        size -= e->size;
    }
    return some;
}
