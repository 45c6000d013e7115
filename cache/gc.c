#include "cache/gc.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/gc_impl.h"
#include <errno.h>
#include <string.h>
#include <sys/file.h>

/* Results that are locked at once: who needs one of them waits that long, and all records are looked at each
 * time. */
#define AT_ONCE(entries) (256 + (entries) / 64)
#define GRACE            600.0   /* seconds that an object without a record stays when there is room */
#define DAY              86400.0 /* the same where locks mean nothing */

struct round { /* of results, or of objects that have none */
    struct removal r;
    struct gc_entry **entry; /* of r.key; in the order of their value */
    size_t most;
    bool again; /* something was in the way: another choice has to be made */
};

static void round_begin(struct round *d, struct gc *g)
{
    AUTO(mem) char *dir = xprintf("%s/locks", g->store->path);
    *d = (struct round){.r = {.store = g->store, .locks = locks_open(dir, g->store->config.locks)}};
    d->most = AT_ONCE(g->entries);
    d->r.key = xcalloc(d->most, sizeof *d->r.key);
    d->entry = xcalloc(d->most, sizeof *d->entry);
}

static void round_end(struct round *d)
{
    locks_close(d->r.locks);
    removal_done(&d->r);
    free(d->entry);
}

static bool lock_alone(struct round *d, const struct digest *key)
{
    return lock_take(d->r.locks, LOCK_USE, key, true, NULL) == LOCK_MINE;
}

/* ---- results ---- */

/* The first of those chosen. */
static void take_entries(struct round *d, struct gc *g)
{
    for (size_t i = 0; i < g->entries && d->r.keys < d->most; i++) {
        struct gc_entry *e = &g->entry[i];
        if (!e->chosen)
            continue;
        d->entry[d->r.keys] = e;
        d->r.key[d->r.keys++] = *e->m.key;
        if (!lock_alone(d, e->m.key))
            e->in_use = d->again = true;
    }
    qsort(d->r.key, d->r.keys, sizeof *d->r.key, digest_order);
}

static void add_object(struct round *d, size_t *cap, const struct digest *o)
{
    d->r.object = xgrow(d->r.object, cap, d->r.n + 1, sizeof *d->r.object);
    d->r.object[d->r.n++] = (struct removal_object){*o, false};
}

/* Objects that only those have. */
static void take_objects(struct round *d, struct gc *g)
{
    size_t cap = 0;
    for (size_t i = 0; i < g->objects; i++)
        g->object[i].taken = 0;
    for (size_t k = 0; k < d->r.keys; k++)
        for (size_t i = 0; i < d->entry[k]->n; i++)
            g->object[g->name[d->entry[k]->first + i]].taken++;
    for (size_t i = 0; i < g->objects; i++) {
        struct gc_object *o = &g->object[i];
        if (!o->taken || !gc_goes(o))
            continue;
        if (lock_alone(d, &o->digest))
            add_object(d, &cap, &o->digest);
        else
            o->stays = o->in_use = d->again = true;
    }
}

/* With everything locked: what has been pinned, or published by others, since the store was looked at? */
static bool look_again(struct round *d, struct gc *g, struct error *err)
{
    if (!gc_pins(g, err))
        return false;
    for (size_t k = 0; k < d->r.keys; k++)
        d->again |= d->entry[k]->pinned;
    d->r.keep = g->keep;
    d->r.n_keep = g->n_keep;
    if (d->again || !removal_check(&d->r, err))
        return d->again;
    for (size_t i = 0; i < d->r.n; i++)
        if (d->r.object[i].stays) {
            struct gc_object *o =
                bsearch(&d->r.object[i].digest, g->object, g->objects, sizeof *o, digest_order);
            o->stays = d->again = true;
        }
    return true;
}

static bool unlink_object(struct round *d, struct gc *g, struct gc_object *o)
{
    o->gone = g->o->dry_run || removal_unlink(&d->r, &o->digest);
    o->stays = !o->gone;
    g->size -= o->gone ? o->size : 0;
    return o->gone;
}

static void tell(const struct gc *g, const struct gc_entry *e, int64_t bytes)
{
    struct record_summary m = e->m;
    m.freed = e->freed;
    if (g->o->see)
        g->o->see(g->o->arg, &m, bytes);
}

/* What several of them had is counted with the last. */
static void free_entry(struct round *d, struct gc *g, struct gc_entry *e)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < e->n; i++) {
        struct gc_object *o = &g->object[g->name[e->first + i]];
        o->live--;
        if (--o->taken == 0 && o->live == 0 && !o->stays && unlink_object(d, g, o))
            bytes += o->size;
    }
    tell(g, e, bytes);
    e->freed = true;
    e->size += GC_MARK;
    g->size += GC_MARK;
    g->report->freed++;
}

static bool free_some(struct gc *g, struct error *err)
{
    struct round d;
    round_begin(&d, g);
    take_entries(&d, g);
    take_objects(&d, g);
    bool ok = d.again || look_again(&d, g, err);
    if (ok && !d.again && (ok = g->o->dry_run || removal_mark(&d.r, err)))
        for (size_t k = 0; k < d.r.keys; k++)
            free_entry(&d, g, d.entry[k]);
    round_end(&d);
    return ok;
}

/* ---- records ---- */

static bool remove_record(struct gc *g, struct gc_entry *e, struct error *err)
{
    AUTO(mem) char *file = store_file(g->store, "records", e->m.key);
    if (!g->o->dry_run && fs->unlink(file) != 0 && errno != ENOENT)
        return error_errno(err, "cannot remove '%s'", file);
    for (size_t i = 0; !e->freed && i < e->n; i++)
        g->object[g->name[e->first + i]].live--;
    if (!g->o->dry_run)
        index_gone(store_index(g->store));
    tell(g, e, e->size);
    e->removed = true;
    g->size -= e->size;
    g->report->removed++;
    return true;
}

static bool remove_some(struct gc *g, struct error *err)
{
    struct round d;
    round_begin(&d, g);
    take_entries(&d, g);
    bool ok = d.again || look_again(&d, g, err);
    for (size_t k = 0; ok && !d.again && k < d.r.keys; k++)
        ok = remove_record(g, d.entry[k], err);
    round_end(&d);
    return ok;
}

/* ---- objects without records ---- */

static bool may_go(const struct gc *g, const struct gc_object *o)
{
    double grace = !g->store->config.locks ? DAY : g->size > g->goal ? -1e18 : GRACE;
    return !o->live && !o->gone && o->age > grace;
}

static bool remove_orphans(struct gc *g, struct error *err)
{
    struct round d;
    size_t cap = 0;
    round_begin(&d, g);
    for (size_t i = 0; i < g->objects; i++)
        if (may_go(g, &g->object[i]) && lock_alone(&d, &g->object[i].digest))
            add_object(&d, &cap, &g->object[i].digest);
    bool ok = look_again(&d, g, err);
    for (size_t i = 0; ok && i < d.r.n; i++) {
        struct gc_object *o = bsearch(&d.r.object[i].digest, g->object, g->objects, sizeof *o, digest_order);
        if (!o->stays && unlink_object(&d, g, o)) {
            g->report->orphans++;
            g->report->orphan_bytes += o->size;
        }
    }
    round_end(&d);
    return ok;
}

/* ---- all ---- */

static bool collect(struct gc *g, struct error *err)
{
    if (!remove_orphans(g, err) || !gc_strays(g, err))
        return false;
    while (g->size > g->goal && gc_choose(g))
        if (!free_some(g, err))
            return false;
    if (g->size > g->goal)
        gc_weigh(g); /* what is left of them */
    while (g->size > g->goal && gc_choose_records(g))
        if (!remove_some(g, err))
            return false;
    return true;
}

bool gc_collect(struct store *s, const struct gc_options *o, int64_t goal, struct gc_report *ret,
                struct error *err)
{
    struct gc g = {.store = s, .o = o, .report = ret, .goal = goal > 0 ? goal : INT64_MAX};
    *ret = (struct gc_report){.limit = goal};
    bool ok = gc_scan(&g, err);
    ret->before = g.size;
    ok = ok && collect(&g, err);
    ret->after = g.size;
    for (size_t i = 0; i < g.entries; i++) {
        ret->pinned += g.entry[i].stayed && g.entry[i].pinned;
        ret->used += g.entry[i].stayed && !g.entry[i].pinned;
    }
    gc_done(&g);
    return ok;
}

bool store_gc(struct store *s, const struct gc_options *o, struct gc_report *ret, struct error *err)
{
    struct error why = {0};
    int64_t limit = o->max_size >= 0 ? o->max_size : s->config.max_size;
    *ret = (struct gc_report){.limit = limit};
    AUTO(fd) int lock = store_lock(s, "gc", LOCK_EX | LOCK_NB, &why);
    if (lock < 0) {
        ret->busy = why.code == ERROR_NONE;
        if (!ret->busy && err)
            *err = why;
        return ret->busy;
    }
    return (store_flush(s, err) && gc_collect(s, o, limit, ret, err) &&
            (o->dry_run || usage_recount(s, err))) ||
           error_context(err, "gc");
}
