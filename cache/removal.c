/* Objects go. The order of it makes that no result is there without its content, whoever is at work beside:
 *   the keys and the objects are locked alone: nobody uses them now, and who wants to, waits;
 *   all records are looked at: who published one that needs an object did so before, or has the object in
 * use; the records say that their objects are gone, durably; the objects are removed, and the locks end.
 * Whoever stores a result has each object in use from before looking whether it is there already. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/gc_impl.h"
#include <errno.h>
#include <string.h>

int digest_order(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

static bool is_among(const struct digest *d, const struct digest *list, size_t n)
{
    return n && bsearch(d, list, n, sizeof *list, digest_order);
}

/* A freed result is a hit as long as its objects are there, to a process that uses it. */
static bool needs(struct removal *r, const struct record_summary *m)
{
    if (!m->freed || is_among(m->key, r->keep, r->n_keep) ||
        lock_take(r->locks, LOCK_USE, m->key, true, NULL) != LOCK_MINE)
        return true;
    r->freed = xgrow(r->freed, &r->cap_freed, r->n_freed + 1, sizeof *r->freed);
    r->freed[r->n_freed++] = *m->key;
    return false;
}

static bool see_other(void *arg, const struct record_summary *m)
{
    struct removal *r = arg;
    bool asked = false, needed = false;
    if (is_among(m->key, r->key, r->keys))
        return true;
    for (size_t i = 0; i < m->objects; i++) {
        struct removal_object *o = bsearch(&m->object[i], r->object, r->n, sizeof *o, digest_order);
        if (!o)
            continue;
        needed = asked ? needed : needs(r, m);
        asked = true;
        o->stays = o->stays || needed;
    }
    return true;
}

bool removal_check(struct removal *r, struct error *err)
{
    return !r->n || store_each_entry(r->store, see_other, r, err);
}

struct mark {
    struct digest key;
    struct timespec used;
};

static bool mark_one(struct removal *r, const struct digest *key, struct mark *ret, bool *ret_done,
                     struct error *err)
{
    struct record *rec;
    struct stat st;
    *ret_done = false;
    if (!store_stat(r->store->records, key, &st))
        return errno == ENOENT || error_errno(err, "cannot look at a record of '%s'", r->store->path);
    if (!store_get_record(r->store, key, &rec, err))
        return false;
    bool ok = true;
    if (rec && !rec->freed) {
        *ret = (struct mark){*key, st.st_atim};
        ok = store_mark_freed(r->store, rec, err);
        *ret_done = ok;
    }
    record_free(rec);
    return ok;
}

/* It is a new file, but no new use of the result. */
static void keep_age(struct removal *r, const struct mark *m)
{
    AUTO(mem) char *file = store_file(r->store, "records", &m->key);
    const struct timespec t[2] = {m->used, {.tv_nsec = UTIME_OMIT}};
    fs->utimens(file, t); /* not possible: it was used now, then */
}

bool removal_mark(struct removal *r, struct error *err)
{
    AUTO(mem) struct mark *mark = xcalloc(r->keys + 1, sizeof *mark);
    size_t n = 0;
    for (size_t i = 0; i < r->keys; i++) {
        bool done;
        if (!mark_one(r, &r->key[i], &mark[n], &done, err))
            return false;
        n += done;
    }
    if (!store_flush(r->store, err))
        return false;
    for (size_t i = 0; i < n; i++)
        keep_age(r, &mark[i]);
    return true;
}

bool removal_unlink(struct removal *r, const struct digest *object)
{
    AUTO(mem) char *file = store_file(r->store, "objects", object);
    return fs->unlink(file) == 0 || errno == ENOENT; /* what stays is found by the next gc */
}

void removal_done(struct removal *r)
{
    free(r->key);
    free(r->object);
    free(r->freed);
}
