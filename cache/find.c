/* Results by key, from the index where it knows them and from the records where it does not. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "cache/store_impl.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#define YOUNG 2 /* seconds: a file that was written so short a time ago may be written again unseen */

#define MANY                                                                                                 \
    5000 /* keys, from which on it pays to read the 256 folders of the objects and of the records            \
          */

static bool is_young(const struct stat *st)
{
    return time(NULL) - st->st_mtim.tv_sec < YOUNG;
}

/* The entry of a key whose record's file has this stat. *ret NULL: there is no intact record. */
static bool read_entry(struct store *s, const struct digest *key, const struct stat *st,
                       const struct index_entry **ret, struct error *err)
{
    struct record *r;
    uint64_t sum;
    if (!record_read(s, key, NULL, &r, &sum, err))
        return false;
    *ret = r ? index_add(store_index(s), r, st, sum, !is_young(st)) : NULL;
    record_free(r);
    return true;
}

/* Is all that the entry names there, and its outside data as it was? */
static bool is_complete(struct store *s, const struct index_entry *e)
{
    struct record_summary m;
    record_summary_of(e, &m);
    for (size_t i = 0; i < m.objects; i++)
        if (!store_has(s, &m.object[i]))
            return false;
    for (size_t i = 0; i < m.imports; i++) {
        AUTO(mem) char *found = store_import_find(s, &m.import[i]);
        if (!found)
            return false;
    }
    return true;
}

bool store_look_up(struct store *s, const struct digest *key, const struct index_entry **ret,
                   enum store_state *state, struct error *err)
{
    struct stat st;
    *ret = NULL;
    *state = STORE_MISS;
    if (commit_waits(s->commit, COMMIT_RECORD, key) && !store_flush(s, err))
        return false;
    if (!store_stat(s->records, key, &st))
        return true;
    const struct index_entry *e = index_get(store_index(s), key);
    if ((!e || !index_same(e, &st)) && !read_entry(s, key, &st, &e, err))
        return false;
    if (!e)
        return true;
    *state = is_complete(s, e) ? STORE_HIT : e->flags & INDEX_FREED ? STORE_FREED : STORE_LOST;
    *ret = *state == STORE_LOST ? NULL : e;
    return true;
}

void store_recall_begin(struct store *s, size_t keys)
{
    store_index(s);
    if (keys < MANY)
        return;
    s->listing = xcalloc(2, sizeof *s->listing);
    listing_read(&s->listing[LIST_OBJECTS], s->objects, false);
    listing_read(&s->listing[LIST_RECORDS], s->records, true);
}

void store_recall_end(struct store *s)
{
    for (int i = 0; s->listing && i < 2; i++)
        listing_done(&s->listing[i]);
    free(s->listing);
    s->listing = NULL;
}

static bool is_there(const struct store *s, const struct digest *object)
{
    struct stat st;
    return s->listing ? listing_has(&s->listing[LIST_OBJECTS], object, 0)
                      : store_stat(s->objects, object, &st);
}

/* Is the record's file the one that the entry tells of? A listing knows its inode alone: records are
 * replaced, never written to, and whoever needs more of one than the index has reads and checks it. */
static bool is_same(const struct store *s, const struct index_entry *e)
{
    struct stat st;
    return s->listing ? listing_has(&s->listing[LIST_RECORDS], &e->key, (uint64_t)e->inode)
                      : store_stat(s->records, &e->key, &st) && index_same(e, &st);
}

const struct index_entry *store_recall(const struct store *s, const struct digest *key)
{
    const struct index_entry *e = s->index ? index_get(s->index, key) : NULL;
    if (!e || e->imports || !is_same(s, e))
        return NULL;
    struct record_summary m;
    record_summary_of(e, &m);
    for (size_t i = 0; i < m.objects; i++)
        if (!is_there(s, &m.object[i]))
            return NULL;
    return e;
}

struct walk {
    struct store *store;
    bool (*see)(void *arg, const struct record_summary *m);
    void *arg;
    bool strict;      /* a record that cannot be read is an error, not left out */
    struct error why; /* it was one */
};

/* Call see() with the entry of a record, when there is an intact one. */
static bool visit(void *arg, const struct digest *key, const struct stat *st)
{
    struct walk *w = arg;
    const struct index_entry *e = index_get(store_index(w->store), key);
    struct record_summary m;
    struct error why = {0};
    if ((!e || !index_same(e, st)) && !read_entry(w->store, key, st, &e, &why)) {
        struct stat now;
        bool gone = !store_stat(w->store->records, key, &now) && errno == ENOENT;
        if (w->strict && !gone)
            w->why = why;
        return w->why.code == ERROR_NONE;
    }
    if (!e)
        return true;
    record_summary_of(e, &m);
    return w->see(w->arg, &m);
}

static bool walk(struct walk *w, struct error *err)
{
    if (!listing_each(w->store->records, visit, w, err))
        return error_context(err, "cannot list the records of '%s'", w->store->path);
    if (w->why.code != ERROR_NONE && err)
        *err = w->why;
    return w->why.code == ERROR_NONE;
}

bool store_each_summary(struct store *s, bool (*see)(void *arg, const struct record_summary *m), void *arg,
                        struct error *err)
{
    return walk(&(struct walk){.store = s, .see = see, .arg = arg}, err);
}

bool store_each_entry(struct store *s, bool (*see)(void *arg, const struct record_summary *m), void *arg,
                      struct error *err)
{
    return walk(&(struct walk){.store = s, .see = see, .arg = arg, .strict = true}, err);
}
