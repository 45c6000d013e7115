/* Is all that the store holds what it should be? Reads everything. */
#ifndef CACHE_VERIFY_H
#define CACHE_VERIFY_H
#include "cache/store.h"

enum verify_kind {
    VERIFY_OBJECT,     /* damaged: content, checksum, header, seek table, length */
    VERIFY_RECORD,     /* damaged: seal, key, text */
    VERIFY_MISSING,    /* a record names an object that is not there, and was not freed */
    VERIFY_CHECKPOINT, /* damaged */
    VERIFY_PIN,        /* damaged */
    VERIFY_FOREIGN     /* a file that the store did not make */
};
struct verify_finding {
    enum verify_kind kind;
    const char *path; /* below the store */
    const char *why;
};
struct verify_options {
    bool repair; /* move to quarantine what is damaged or foreign, and records that miss objects: the next run
                    makes them anew */
    void (*see)(void *arg, const struct verify_finding *f); /* called from one thread at a time */
    void (*progress)(void *arg, int64_t bytes, int64_t of); /* likewise; may be NULL */
    void *arg;
};
struct verify_report {
    size_t objects, records, checkpoints, pins; /* that were looked at */
    int64_t bytes;                              /* of objects, as stored */
    size_t findings[VERIFY_FOREIGN + 1];
    size_t repaired;
};
bool store_verify(struct store *s, const struct verify_options *o, struct verify_report *ret,
                  struct error *err) MUST_CHECK;
const char *verify_kind_name(enum verify_kind k);
#endif
