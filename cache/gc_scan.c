/* What lies in the store, who has what, and what it is worth. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "cache/gc_impl.h"
#include "cache/pin.h"
#include <errno.h>
#include <string.h>
#include <time.h>

#define DAY 86400.0

/* ---- keys that stay ---- */

static void add_keys(struct gc *g, size_t *cap, const struct digest *key, size_t n)
{
    if (!n)
        return;
    g->keep = xgrow(g->keep, cap, g->n_keep + n, sizeof *g->keep);
    memcpy(g->keep + g->n_keep, key, n * sizeof *key);
    g->n_keep += n;
}

bool gc_pins(struct gc *g, struct error *err)
{
    struct pin *pin;
    size_t n, cap = 0;
    if (!pins_read(g->store, &pin, &n, err))
        return false;
    free(g->keep);
    g->keep = NULL;
    g->n_keep = 0;
    for (size_t i = 0; i < n; i++)
        add_keys(g, &cap, pin[i].key, pin[i].n);
    add_keys(g, &cap, g->o->keep, g->o->n_keep);
    pins_free(pin, n);
    if (g->n_keep)
        qsort(g->keep, g->n_keep, sizeof *g->keep, digest_order);
    for (size_t i = 0; g->n_keep && i < g->entries; i++)
        if (bsearch(g->entry[i].m.key, g->keep, g->n_keep, sizeof *g->keep, digest_order))
            g->entry[i].pinned = true;
    return true;
}

/* ---- objects and records ---- */

static bool add_object(void *arg, const struct digest *d, const struct stat *st)
{
    struct gc *g = arg;
    g->object = xgrow(g->object, &g->cap_objects, g->objects + 1, sizeof *g->object);
    g->object[g->objects++] =
        (struct gc_object){.digest = *d, .size = st->st_size, .age = g->now - (double)st->st_mtim.tv_sec};
    g->size += st->st_size;
    return true;
}

static int by_index(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* Those of its objects that are there, each once. */
static void add_names(struct gc *g, struct gc_entry *e)
{
    e->first = g->names;
    for (size_t i = 0; g->objects && i < e->m.objects; i++) {
        const struct gc_object *o = bsearch(&e->m.object[i], g->object, g->objects, sizeof *o, digest_order);
        if (!o)
            continue;
        g->name = xgrow(g->name, &g->cap_names, g->names + 1, sizeof *g->name);
        g->name[g->names++] = (size_t)(o - g->object);
    }
    size_t *name = g->name + e->first, n = 0;
    if (g->names > e->first)
        qsort(name, g->names - e->first, sizeof *name, by_index);
    for (size_t i = 0; i < g->names - e->first; i++)
        if (!n || name[i] != name[n - 1])
            name[n++] = name[i];
    e->n = n;
    g->names = e->first + n;
}

static bool add_entry(void *arg, const struct record_summary *m)
{
    struct gc *g = arg;
    struct stat st;
    if (!store_stat(g->store->records, m->key, &st))
        return true; /* gone */
    g->entry = xgrow(g->entry, &g->cap_entries, g->entries + 1, sizeof *g->entry);
    struct gc_entry *e = &g->entry[g->entries++];
    *e = (struct gc_entry){.m = *m,
                           .size = st.st_size,
                           .used = (double)st.st_atim.tv_sec + 1e-9 * (double)st.st_atim.tv_nsec,
                           .freed = m->freed};
    add_names(g, e);
    for (size_t i = 0; !e->freed && i < e->n; i++)
        g->object[g->name[e->first + i]].live++;
    g->size += e->size;
    return true;
}

/* ---- their value ---- */

/* A shared object is a part of each that has it. What has none is worth its record. */
static double bytes_of(const struct gc *g, const struct gc_entry *e)
{
    double bytes = 0;
    for (size_t i = 0; !e->freed && i < e->n; i++) {
        const struct gc_object *o = &g->object[g->name[e->first + i]];
        bytes += (double)o->size / o->live;
    }
    return bytes > 0 ? bytes : (double)e->size;
}

static int by_value(const void *a, const void *b)
{
    const struct gc_entry *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    if (x->used != y->used)
        return x->used < y->used ? -1 : 1;
    return digest_order(x->m.key, y->m.key);
}

void gc_weigh(struct gc *g)
{
    for (size_t i = 0; i < g->entries; i++) {
        struct gc_entry *e = &g->entry[i];
        double days = g->now > e->used ? (g->now - e->used) / DAY : 0;
        e->value = e->m.seconds / bytes_of(g, e) / (1 + days);
        /* Without locks, what was used within a day may be in use. */
        e->in_use |= !g->store->config.locks && days < 1;
    }
    if (g->entries)
        qsort(g->entry, g->entries, sizeof *g->entry, by_value);
}

bool gc_scan(struct gc *g, struct error *err)
{
    g->now = g->o->now ? (double)g->o->now : (double)time(NULL);
    if (!listing_each(g->store->objects, add_object, g, err))
        return error_context(err, "cannot list the objects of '%s'", g->store->path);
    if (g->objects)
        qsort(g->object, g->objects, sizeof *g->object, digest_order);
    if (!store_each_entry(g->store, add_entry, g, err))
        return false;
    gc_weigh(g);
    return gc_pins(g, err);
}

void gc_done(struct gc *g)
{
    free(g->object);
    free(g->entry);
    free(g->name);
    free(g->keep);
}
