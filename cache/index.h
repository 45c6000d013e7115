/* The index of a store: what planning needs of each record, in one file, so that a plan reads no record.
 *   STORE/index   entries, appended; each with its length and a checksum (docs/store-format.md)
 * It only remembers: an entry counts while the record's file is the one it was made from, by size, time and
 * inode. What is not in the index, or damaged there, is read from the record and added again; the file may be
 * deleted at any time. Nothing here can fail a caller: without an index everything is slower and the same. */
#ifndef CACHE_INDEX_H
#define CACHE_INDEX_H
#include "base/hash.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* What a stage's cost function said of the work, before it was done. Records say it so that what the work
 * took can be scaled to other work. All 0: it said nothing, or the record is of a time before that. */
struct record_cost {
    double flops;
    int64_t bytes, peak;
    int64_t rule; /* which its cost functions count by; 0: that of a time before there were several */
};
struct index_entry { /* as in the file; after it: digests of outputs, objects, imports; what the outputs hold;
                        then the texts */
    uint32_t magic, length;
    uint64_t check; /* of all that follows */
    struct digest key;
    int64_t mtime, size, inode; /* of the record's file */
    double seconds;
    int64_t peak_rss, read, samples;
    double flops; /* this and the next two are a record_cost */
    int64_t bytes, peak;
    int32_t threads;
    uint32_t outputs, objects, imports, flags;
    uint32_t rule; /* of cost */
    uint64_t sum;  /* of the text of the record's file: index_sum */
};
enum { INDEX_FREED = 1, INDEX_TOLD = 2 };
struct index_content { /* of an output */
    int64_t bytes, samples;
};
struct record_summary { /* an entry spelled out; what it points to lives as long as the store */
    const struct digest *key, *output, *object, *import;
    const struct index_content *content; /* of the outputs */
    size_t outputs, objects, imports;    /* lengths of these; outputs in the order of the record */
    const char *stage, *task, *when;
    const char *node;  /* where it ran, else where its run was directed from */
    const char *ports; /* names of the outputs, one NUL-ended text after the other */
    double seconds;
    int64_t peak_rss, read, samples;
    struct record_cost cost;
    int threads;
    bool freed;
    bool told; /* it is of a version that says what the work was: a cost of 0 is none */
};
void record_summary_of(const struct index_entry *e, struct record_summary *ret);
/* Tree digest of an output by its port's name; NULL when there is none. */
const struct digest *index_output(const struct index_entry *e, const char *port);
/* What that output holds; NULL likewise. */
const struct index_content *index_content(const struct index_entry *e, const char *port);

/* -- private to cache/ -- */
struct record;
struct store;
struct index;
struct index *index_open(const char *path);          /* reads the file; never NULL */
void index_close(struct index *ix, struct store *s); /* appends what is new; NULL is fine */
const struct index_entry *index_get(const struct index *ix, const struct digest *key); /* NULL: not there */
uint64_t index_sum(const char *text, size_t n);
/* A record that was read from, or written to, the file with this stat and text. keep: also for later, and for
 * others. */
const struct index_entry *index_add(struct index *ix, const struct record *r, const struct stat *st,
                                    uint64_t sum, bool keep);
/* The record of a key was removed: its entry is of no use any more. */
void index_gone(struct index *ix);
/* Is this still the file that e was made from? */
bool index_same(const struct index_entry *e, const struct stat *st);
#endif
