/* Private to cache/verify*.c: one verification at work. */
#ifndef CACHE_VERIFY_IMPL_H
#define CACHE_VERIFY_IMPL_H
#include "cache/store_impl.h"
#include "cache/verify.h"
#include <pthread.h>

struct verify_item { /* something below the store, by the place where it lies */
    char *path;      /* below the store */
    struct digest digest;
    int64_t step, size; /* of a checkpoint; of the file */
};
struct verify_list {
    struct verify_item *item;
    size_t n, cap;
};
enum { PLACE_OBJECT, PLACE_RECORD, PLACE_CHECKPOINT, PLACE_PIN, PLACE_FOREIGN, PLACES };
struct verify {
    struct store *s;
    const struct verify_options *o;
    struct verify_report *report;
    pthread_mutex_t mutex; /* of the report, and while the caller is told */
    int64_t bytes, of;     /* of objects: read, to read */
    struct verify_list list[PLACES];
};
char *verify_path(const struct verify *v, const struct verify_item *it); /* malloc'd */
/* All files below the store, by their places. What comes or goes meanwhile may be in the lists or not. */
bool verify_walk(struct verify *v, struct error *err) MUST_CHECK;

/* Something is wrong with the file that had this stat when it was looked at. It counts, is told, and with
 * repair moved, if it is that file still; else *ret_again: another is there, or none. */
bool verify_found(struct verify *v, enum verify_kind kind, const struct verify_item *it, const char *why,
                  const struct stat *st, bool *ret_again, struct error *err) MUST_CHECK;

bool verify_objects(struct verify *v, struct error *err) MUST_CHECK;
bool verify_records(struct verify *v, struct error *err) MUST_CHECK;
bool verify_checkpoints(struct verify *v, struct error *err) MUST_CHECK;
bool verify_pins(struct verify *v, struct error *err) MUST_CHECK;
#endif
