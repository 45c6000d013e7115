/* Making room. An entry is a record with what only it needs; the least valuable goes first: seconds that it
 * took to make, per byte, discounted by the days since it was last used (docs/store-format.md). Its objects
 * go, its record stays as freed (so that what needs only its digests still hits), until room is short again.
 * What is pinned or in use by any process stays. */
#ifndef CACHE_GC_H
#define CACHE_GC_H
#include "cache/store.h"

struct gc_options {
    int64_t max_size;          /* bytes of objects and records to come down to; -1: the store's setting */
    bool dry_run;              /* say what would go */
    const struct digest *keep; /* keys that stay besides those of the pins */
    size_t n_keep;
    /* An entry goes, or would. May be NULL. */
    void (*see)(void *arg, const struct record_summary *m, int64_t bytes);
    void *arg;
};
struct gc_report {
    int64_t before, after;  /* bytes of objects and records */
    int64_t limit;          /* 0: none */
    size_t freed, removed;  /* records whose objects went; records that went */
    size_t orphans, strays; /* objects that no record names; temporary files, memos, hot files */
    int64_t orphan_bytes, stray_bytes;
    size_t pinned, used; /* entries that stayed because of that, though others went */
};
/* Any number may run at once, beside any number of runs: one works, the others do nothing. */
bool store_gc(struct store *s, const struct gc_options *o, struct gc_report *ret,
              struct error *err) MUST_CHECK;
/* Room for `bytes` more below the limit, before they are written: counts them as used. May collect. False
 * (ERROR_SYSTEM): there is no room and what is left may not go. No limit: nothing happens. */
bool store_reserve(struct store *s, int64_t bytes, struct error *err) MUST_CHECK;
/* `bytes` of what was reserved are not needed after all. */
void store_unreserve(struct store *s, int64_t bytes);
#endif
