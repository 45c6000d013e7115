/* All that a store holds, for people: its records as entries, each with the objects it names, and the sizes
 * of everything. A look at the folders and at the objects' headers; no content is read. Others may work on
 * the store meanwhile. */
#ifndef CACHE_ENTRIES_H
#define CACHE_ENTRIES_H
#include "cache/store.h"
#include <time.h>

struct entry {
    struct record_summary m; /* lives as long as the store */
    enum store_state state;  /* HIT, FREED or LOST */
    int64_t stored;          /* bytes of its record and of its objects that are there, shared ones too */
    int64_t content;         /* bytes of these objects' content */
    time_t used;             /* when it was last of use */
    double value; /* as gc has it: seconds a byte of its share, discounted by the days since its last use */
};
struct entries {
    struct entry *item;
    size_t n, cap;
    size_t objects, orphans;       /* objects; of these, those that no record names */
    int64_t stored, content;       /* bytes of all objects, packed and as they were */
    int64_t records, orphan_bytes; /* bytes of the records' files; of the orphans */
};
bool entries_read(struct store *s, struct entries *ret, struct error *err) MUST_CHECK;
void entries_free(struct entries *e);
/* Seconds of cores that it took: what a hit saves. */
double entry_core_seconds(const struct record_summary *m);
/* The keys of all records, those too that cannot be read: malloc'd. */
bool store_keys(const struct store *s, struct digest **ret, size_t *ret_n, struct error *err) MUST_CHECK;

struct amount {
    size_t n; /* files */
    int64_t bytes;
};
struct amount amount_below(const char *folder); /* none where it is not there */
#endif
