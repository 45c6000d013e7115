/* Private to cache/: what goes from a store, and how. Two locks order it: STORE/locks/gc, of whoever removes
 * objects or records or sums up the store's size, and STORE/locks/usage, of whoever changes the count of it.
 */
#ifndef CACHE_GC_IMPL_H
#define CACHE_GC_IMPL_H
#include "cache/gc.h"
#include "cache/store_impl.h"

/* -- cache/removal.c: results let their objects go, so that no other loses what it needs -- */
struct removal_object {
    struct digest digest;
    bool stays; /* somebody needs it */
};
struct removal {
    struct store *store;
    struct locks *locks; /* under which everything here is done */
    struct digest *key;  /* results that need them no more; sorted */
    size_t keys;
    struct removal_object *object; /* that are to go; sorted, each once */
    size_t n;
    struct digest *freed; /* freed results that nobody uses, which had some of the objects still; locked */
    size_t n_freed, cap_freed;
    const struct digest *keep; /* keys whose records, freed or not, keep what there is of theirs; sorted */
    size_t n_keep;
};
int digest_order(const void *a, const void *b); /* of digests, and of what begins with one */
/* Find which of the objects other records need: the live ones, and those of freed ones that a process uses.
 * Their LOCK_USE, alone, is had before: who comes to need one later waits, and sees that it is gone. */
bool removal_check(struct removal *r, struct error *err) MUST_CHECK;
/* The records of the keys say that their objects are gone, durably. */
bool removal_mark(struct removal *r, struct error *err) MUST_CHECK;
void removal_done(struct removal *r); /* leaves the locks */
/* Is it gone? */
bool removal_unlink(struct removal *r, const struct digest *object);

/* -- cache/gc*.c: a model of the store, from which results are taken until it is small enough; with dry_run
 * it alone changes -- */
struct gc_object {
    struct digest digest;
    int64_t size;
    double age;     /* seconds since it was written */
    unsigned live;  /* results not freed that have it */
    unsigned taken; /* of these, those that are about to let it go */
    bool stays;     /* somebody needs it, as was found out */
    bool in_use;    /* by a process: therefore */
    bool gone;
};
struct gc_entry {
    struct record_summary m;
    int64_t size;        /* of the record's file */
    double used;         /* when, in seconds since 1970 */
    double value;        /* seconds to make a byte, discounted by age */
    size_t first, n;     /* its objects: gc.name[first ..], each once */
    bool pinned, in_use; /* it stays */
    bool freed, removed;
    bool chosen;
    bool stayed; /* pinned or in use, and its turn came */
};
struct gc {
    struct store *store;
    const struct gc_options *o;
    struct gc_report *report;
    double now;
    int64_t size, goal;
    struct gc_object *object; /* sorted */
    size_t objects, cap_objects;
    struct gc_entry *entry; /* the least valuable first */
    size_t entries, cap_entries;
    size_t *name; /* indices of objects */
    size_t names, cap_names;
    struct digest *keep; /* keys of pins and of the caller; sorted */
    size_t n_keep;
};
bool gc_scan(struct gc *g, struct error *err) MUST_CHECK;
/* Bring the entries into their order. */
void gc_weigh(struct gc *g);
void gc_done(struct gc *g);
/* The keys that stay, as the pins are now; entries say so. */
bool gc_pins(struct gc *g, struct error *err) MUST_CHECK;
/* Mark as `chosen` the entries whose objects, or whose records, have to go until the goal is reached; true:
 * there are some. */
bool gc_choose(struct gc *g);
bool gc_choose_records(struct gc *g);
#define GC_MARK ((int64_t)sizeof "  \"freed\": true,\n" - 1) /* what a record grows by when it is freed */
/* Would it go with what was chosen? */
static inline bool gc_goes(const struct gc_object *o)
{
    return o->taken == o->live && !o->stays && !o->gone;
}

/* -- cache/gc_stray.c: what no result needs -- */
bool gc_strays(struct gc *g, struct error *err) MUST_CHECK;

/* -- cache/gc.c -- */
/* store_gc down to `goal` bytes (0: orphans and strays alone), by who holds the lock `gc`. */
bool gc_collect(struct store *s, const struct gc_options *o, int64_t goal, struct gc_report *ret,
                struct error *err) MUST_CHECK;

/* -- cache/reserve.c -- */
/* Can so much be reserved without making room? */
bool usage_has_room(const struct store *s, int64_t bytes);
/* Sum the size of the store up again, by who holds the lock `gc`. No limit: nothing happens. */
bool usage_recount(struct store *s, struct error *err) MUST_CHECK;
#endif
