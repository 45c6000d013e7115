/* Letting results go: their objects are removed, their records stay and say so. This process may use them: it
 * knows what it does. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "cache/gc_impl.h"
#include <string.h>
#include <sys/file.h>

/* The objects of a record. */
static void add_objects(struct removal *r, const struct record *rec, size_t *cap)
{
    for (size_t i = 0; i < rec->n; i++)
        for (size_t k = 0; k < rec->output[i].n; k++)
            if (!rec->output[i].file[k].source) {
                r->object = xgrow(r->object, cap, r->n + 1, sizeof *r->object);
                r->object[r->n++] = (struct removal_object){rec->output[i].file[k].digest, false};
            }
}

/* A result that another process uses stays. */
static bool collect(struct removal *r, const struct digest *key, size_t *cap, struct error *err)
{
    struct record *rec;
    if (lock_take(r->locks, LOCK_USE, key, true, NULL) != LOCK_MINE)
        return true;
    r->key[r->keys++] = *key;
    if (!store_get_record(r->store, key, &rec, err))
        return false;
    if (rec && !rec->freed)
        add_objects(r, rec, cap);
    record_free(rec);
    return true;
}

/* Each once; those that another process uses stay. */
static void lock_objects(struct removal *r)
{
    size_t n = 0;
    if (r->n)
        qsort(r->object, r->n, sizeof *r->object, digest_order);
    for (size_t i = 0; i < r->n; i++)
        if (!(n && digest_equal(&r->object[i].digest, &r->object[n - 1].digest)) &&
            lock_take(r->locks, LOCK_USE, &r->object[i].digest, true, NULL) == LOCK_MINE)
            r->object[n++] = r->object[i];
    r->n = n;
}

/* This process may need again what it had in use; what is gone it has not. */
static void unlock(struct removal *r, bool ok)
{
    for (size_t i = 0; i < r->n; i++)
        if (!ok || r->object[i].stays)
            lock_use(r->locks, LOCK_USE, &r->object[i].digest);
        else
            lock_drop(r->locks, LOCK_USE, &r->object[i].digest);
    for (size_t i = 0; i < r->keys; i++)
        lock_use(r->locks, LOCK_USE, &r->key[i]);
    for (size_t i = 0; i < r->n_freed; i++)
        lock_use(r->locks, LOCK_USE, &r->freed[i]);
}

static bool let_go(struct removal *r, const struct digest *key, size_t n, struct error *err)
{
    size_t cap = 0;
    for (size_t i = 0; i < n; i++)
        if (!collect(r, &key[i], &cap, err))
            return false;
    if (r->keys)
        qsort(r->key, r->keys, sizeof *r->key, digest_order);
    lock_objects(r);
    if (!removal_check(r, err) || !removal_mark(r, err))
        return false;
    for (size_t i = 0; i < r->n; i++)
        if (!r->object[i].stays)
            r->object[i].stays = !removal_unlink(r, &r->object[i].digest);
    return true;
}

bool store_free(struct store *s, const struct digest *key, size_t n, struct error *err)
{
    AUTO(fd) int lock = store_lock(s, "gc", LOCK_EX, err);
    if (lock < 0 || !store_flush(s, err))
        return false;
    struct removal r = {.store = s, .locks = s->locks, .key = xcalloc(n + 1, sizeof *r.key)};
    bool ok = let_go(&r, key, n, err);
    unlock(&r, ok);
    removal_done(&r);
    return ok && usage_recount(s, err);
}
