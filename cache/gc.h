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
    /* An entry's objects go, or would; or after them its record (m->freed). May be NULL. Uses nothing of the
     * store: it may be locked just now. */
    void (*see)(void *arg, const struct record_summary *m, int64_t bytes);
    void *arg;
    int64_t now; /* seconds since 1970, to which ages count; 0: what the clock says */
};
struct gc_report {
    int64_t before, after;  /* bytes of objects and records */
    int64_t limit;          /* 0: none */
    size_t freed, removed;  /* records whose objects went; records that went */
    size_t orphans, strays; /* objects that no record needs; checkpoints, memos, hot and temporary files, what
                               lay in quarantine */
    int64_t orphan_bytes, stray_bytes;
    size_t pinned, used; /* entries that stayed because of that, though others went */
    bool busy;           /* another one is at work: nothing was done */
};
/* Any number may run at once, beside any number of runs: one works, the others do nothing. A damaged pin:
 * ERROR_DAMAGE, and nothing goes. */
bool store_gc(struct store *s, const struct gc_options *o, struct gc_report *ret,
              struct error *err) MUST_CHECK;
/* Room for `bytes` more below the limit, before they are written: counts them as used. May collect. False
 * (ERROR_SYSTEM): there is no room and what is left may not go. No limit: nothing happens. */
bool store_reserve(struct store *s, int64_t bytes, struct error *err) MUST_CHECK;
/* `bytes` of what was reserved are not needed after all. */
void store_unreserve(struct store *s, int64_t bytes);
#endif
