/* The store: objects by content digest, records by task key. Any number of processes may share one store.
 *   objects/ab/cdef...   zstd frames in a file (cache/pack.h), named by SHA-256 of its content
 *   records/ab/cdef...   JSON: what a key produced (docs/store-format.md)
 *   index                what planning needs of the records (cache/index.h)
 *   imports/             memo of digests of outside files by (path, size, mtime, inode)
 *   tmp/                 attempts in progress; swept when their process is gone
 *   runs/                one folder a run: events, logs
 * Writes: temporary name, fsync, rename; a record only after its objects. Reads verify; what does not match
 * its digest is moved to quarantine/ and counts as absent. */
#ifndef CACHE_STORE_H
#define CACHE_STORE_H
#include "base/error.h"
#include "base/hash.h"
#include "cache/index.h"
#include <jansson.h>

struct store;
/* Create or open. Sweeps temporary folders whose owners are gone. */
bool store_open(const char *path, struct store **ret, struct error *err) MUST_CHECK;
void store_close(struct store *s); /* NULL is fine */
static inline void store_auto(struct store **s)
{
    store_close(*s);
}
const char *store_path(const struct store *s);
struct store_config;
const struct store_config *store_config(const struct store *s); /* cache/config.h */
/* A fresh private folder below tmp/, locked by this process until store_close; malloc'd path. */
bool store_temp_dir(struct store *s, char **ret, struct error *err) MUST_CHECK;

/* -- objects -- */
/* Compress a file into the store; its digest and size come back. Cheap when the object is already there. */
bool store_put_file(struct store *s, const char *path, struct digest *ret, int64_t *ret_size,
                    struct error *err) MUST_CHECK;
bool store_has(struct store *s, const struct digest *d);
/* Decompress object d to the new file `to` (read-only mode), verifying size and digest; ERROR_DAMAGE
 * quarantines it. */
bool store_get_file(struct store *s, const struct digest *d, int64_t size, const char *to,
                    struct error *err) MUST_CHECK;

/* n bytes of object d from offset `at` on, without unpacking the rest; d has `size` bytes. */
bool store_read_at(struct store *s, const struct digest *d, int64_t size, int64_t at, void *p, size_t n,
                   struct error *err) MUST_CHECK;

/* -- in use -- */
/* Compute the result of a key alone: false without err: another process does; with: no lock could be had.
 * Once it is yours, look it up again: it may have come in between. Ends with store_unclaim, or with the
 * process. */
bool store_claim(struct store *s, const struct digest *key, struct error *err) MUST_CHECK;
void store_unclaim(struct store *s, const struct digest *key);
/* This process needs a record with its objects, or an object, until it closes the store: nobody removes it.
 * Who is removing it just now is waited for. Whoever names an object in a record uses it before looking
 * whether it is there (store_put_file does), and whoever reads what a record names uses its key before
 * looking it up. */
void store_use(struct store *s, const struct digest *d);

/* -- records -- */
struct record_file {
    char *name; /* path inside the artifact */
    struct digest digest;
    int64_t size;
    char *source; /* imported by reference: absolute path of the outside file or folder; else NULL */
};
struct record_output {
    char *port;
    struct digest digest; /* of the tree: record_tree_digest */
    struct record_file *file;
    size_t n;
    int64_t samples; /* of a data set; 0: it has none, or they are not known */
};
struct record {
    struct digest key;
    char *text; /* the canonical key text: SHA-256(text) == key */
    char *stage, *task;
    double seconds;  /* of all runs together, when one went on where another had stopped */
    int64_t resumed; /* the pass after which the last of them went on; 0: it was the only one */
    int threads;
    int64_t peak_rss;
    int64_t read;    /* bytes of its inputs and of outside data; what it wrote, its outputs tell */
    int64_t samples; /* of the largest data set among its inputs */
    struct record_cost cost;
    char *when;          /* ISO time */
    char *host;          /* where its run was directed from */
    char *node, *cpuset; /* where it ran: host name, and cores in list format; NULL or "": not known */
    bool freed;          /* its objects were let go on purpose: what it says of them still holds */
    struct record_output *output;
    size_t n;
};
/* Digest of an artifact: SHA-256 over "NAME\0DIGESTHEX SIZE\n" of its files sorted by name. */
void record_tree_digest(struct record_output *o);
bool store_put_record(struct store *s, const struct record *r, struct error *err) MUST_CHECK;
/* The same, published within the time of a sync or two, and durable after store_flush. The claim on its key
 * ends then. What failed meanwhile, of this or of an earlier one, is told here and by store_flush. */
bool store_put_record_soon(struct store *s, const struct record *r, struct error *err) MUST_CHECK;
bool store_flush(struct store *s, struct error *err) MUST_CHECK;
enum store_state {
    STORE_MISS,
    STORE_LOST,  /* there is a record, but not all that it names */
    STORE_FREED, /* its objects were let go on purpose; what it says of them holds */
    STORE_HIT
};
/* True and *ret == NULL: a miss (absent or
 * damaged, the latter quarantined). Does not look at the objects. */
bool store_get_record(struct store *s, const struct digest *key, struct record **ret,
                      struct error *err) MUST_CHECK;
/* The record of this key cannot be what such a task makes: out of the way, to quarantine. */
void store_reject(struct store *s, const struct digest *key);
/* All objects that r needs are there and its imports unchanged by stat. */
bool store_record_complete(struct store *s, const struct record *r);
void record_free(struct record *r);
/* Call see() for every record; stop when it returns false. Damaged ones are skipped. For `weft why`. */
bool store_each_record(struct store *s, bool (*see)(void *arg, const struct record *r), void *arg,
                       struct error *err);

/* Is there a result of this key? *ret: what the index says of its record, as long as the store lives; NULL
 * unless HIT or FREED. A damaged record is quarantined and a miss. */
bool store_look_up(struct store *s, const struct digest *key, const struct index_entry **ret,
                   enum store_state *state, struct error *err) MUST_CHECK;
/* The record of what was found, as store_get_record. */
bool store_get_found(struct store *s, const struct index_entry *e, struct record **ret,
                     struct error *err) MUST_CHECK;
/* A result was of use now: what is not goes first when room is needed. */
void store_touch(struct store *s, const struct digest *key);
/* Let the objects of these results go, but those that others need; their records stay. */
bool store_free(struct store *s, const struct digest *key, size_t n, struct error *err) MUST_CHECK;
/* What the index alone knows of a key, for many keys in a row: NULL: not surely a hit, ask store_look_up. Any
 * number of threads may call it at once between begin and end, while nobody calls anything else. Between
 * these an object that goes may be taken for one that is there, as it may be after any look. */
void store_recall_begin(struct store *s, size_t keys); /* about how many */
const struct index_entry *store_recall(const struct store *s, const struct digest *key);
void store_recall_end(struct store *s);
/* Call see() for every record as store_each_record does, with no more of it than the index has: much faster.
 */
bool store_each_summary(struct store *s, bool (*see)(void *arg, const struct record_summary *m), void *arg,
                        struct error *err) MUST_CHECK;

/* -- imports: outside data by reference -- */
/* Digest of a file, or of a folder as SHA-256 over its sorted "RELPATH\0DIGESTHEX SIZE\n" lines. Files whose
 * (path, size, mtime, inode) are known are not read again. */
bool store_import(struct store *s, const char *path, struct digest *ret, int64_t *ret_size,
                  struct error *err) MUST_CHECK;
/* Where content d of an import can be found now: a path whose stat is unchanged; NULL when none. malloc'd. */
char *store_import_find(struct store *s, const struct digest *d);
#endif
