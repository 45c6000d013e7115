/* Records and the objects they need as one tar, to carry results from store to store (docs/store-format.md).
 *   weft-bundle        what should be in it: sealed JSON
 *   objects/ab/cdef... an object's file as it lies in a store
 *   records/ab/cdef... a record's file, behind the objects it needs
 * Outside data that a record takes by reference is not in it. */
#ifndef CACHE_BUNDLE_H
#define CACHE_BUNDLE_H
#include "cache/frame.h"
#include "cache/store.h"

struct bundle_watch {                                       /* may be NULL */
    void (*progress)(void *arg, int64_t bytes, int64_t of); /* of objects' files */
    void *arg;
};
struct bundle_report {
    size_t records, objects; /* that went out, or came in */
    int64_t bytes;           /* of these objects, as stored */
    size_t left_out;         /* out: records of which something is missing or damaged */
    size_t known;            /* in: records that were here already */
    size_t references;       /* records among the first that take outside data by reference */
};
/* The records of these keys to the open file `fd` (`to` is its name). Objects are compared with their digests
 * before, unless that was done in this boot of the machine; records that are not whole are left out. */
bool bundle_write(struct store *s, const struct digest *key, size_t n, const struct frame_file *to,
                  const struct bundle_watch *w, struct bundle_report *ret, struct error *err) MUST_CHECK;
/* All that is whole in the file or pipe `from` comes in, each object compared with its digest and each record
 * behind its objects. False: not all that should be in it did, and err names what (ERROR_INPUT), or the store
 * cannot take more; *ret tells what came in. */
bool bundle_read(struct store *s, const struct frame_file *from, const struct bundle_watch *w,
                 struct bundle_report *ret, struct error *err) MUST_CHECK;

/* -- shared by both -- */
#define BUNDLE_LIST    "weft-bundle"
#define BUNDLE_VERSION 1
#endif
