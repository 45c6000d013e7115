/* Private to cache/: the open store and what its files share. */
#ifndef CACHE_STORE_IMPL_H
#define CACHE_STORE_IMPL_H
#include "cache/commit.h"
#include "cache/config.h"
#include "cache/frame.h"
#include "cache/index.h"
#include "cache/listing.h"
#include "cache/lock.h"
#include "cache/store.h"

struct store_temp { /* a folder below tmp/, held by a kernel lock on its descriptor */
    char *path;
    int fd;
    struct store_temp *next;
};
enum { LIST_OBJECTS, LIST_RECORDS };
struct store {
    char *path;
    struct store_temp *temp;
    unsigned long counter;
    int records, objects;    /* the folders; -1 until they are open */
    struct listing *listing; /* two, between store_recall_begin and _end; NULL: ask for each file */
    struct index *index;     /* read at the first need: store_index */
    struct store_config config;
    struct arena arena;  /* of its texts */
    struct locks *locks; /* of this process, for keys and uses */
    struct commit *commit;
    struct usage *usage; /* NULL until something is reserved */
    struct hot *hot;     /* NULL until a plain file is needed */
    char *scratch; /* where files are written before they are renamed into place; made at the first need */
};
struct index *store_index(struct store *s);
/* Look at record or object d below the open folder; false with errno as stat. */
bool store_stat(int folder, const struct digest *d, struct stat *ret);
/* "STORE/KIND/ab/cdef..."; malloc'd. */
char *store_file(const struct store *s, const char *kind, const struct digest *d);
/* The folder of such a file, created when missing. */
bool store_make_parent(const char *file, struct error *err) MUST_CHECK;
/* A new name below tmp/ for a file that will be renamed into place: what a crash leaves there is swept. NULL:
 * failed. */
char *store_scratch(struct store *s, struct error *err);
/* Rename into place, making the folder, durably. */
bool store_rename(const char *from, const char *to, struct error *err) MUST_CHECK;
/* End the writing of temp: sync fd, close it, rename it to `to`, durably. When that fails, or the writing did
 * (ok false), nothing of it is left. */
bool store_commit(bool ok, int fd, const char *temp, const char *to, struct error *err) MUST_CHECK;
/* End the writing of temp, that is object d, and have it published soon: store_flush. reserved: bytes, for
 * it. */
bool store_commit_object(struct store *s, bool ok, int fd, const char *temp, const struct digest *d,
                         int64_t reserved, struct error *err) MUST_CHECK;
/* Write a record's text and have it published soon, after the objects before it. *ret: its file's stat.
 * claimed: the claim on its key ends then. */
bool store_commit_record(struct store *s, const struct digest *key, const char *text, int64_t reserved,
                         bool claimed, struct stat *ret, struct error *err) MUST_CHECK;
/* Publish n bytes as `file`, durably. */
bool store_publish(struct store *s, const char *file, const void *p, size_t n, struct error *err) MUST_CHECK;
/* A verified frame as the new read-only file `to`; as frame_read. */
bool store_unpack(const struct frame_file *from, const struct digest *d, int64_t size, const char *to,
                  const char **why, struct error *err) MUST_CHECK;
/* JSON with a seal: member "sha256", the digest of its compact text without it. */
void store_seal(json_t *j);
/* Takes the seal off; false: it is not there or not right. */
bool store_unseal(json_t *j) MUST_CHECK;
/* As store_get_record, with the sum of its text; one that is as `known` says (may be NULL) is believed
 * without looking at its seal. */
bool record_read(struct store *s, const struct digest *key, const uint64_t *known, struct record **ret,
                 uint64_t *ret_sum, struct error *err) MUST_CHECK;
/* What a record that somebody else made names must become files below a folder of its result: what of it
 * cannot; NULL: all can. */
const char *record_names_wrong(const struct record *r);
/* NULL when the text is no intact record. */
struct record *record_parse(const char *text, size_t n);
/* Byte for byte? A seal holds for the values; a digit too many, say, that changes none is a flipped bit all
 * the same. */
bool record_as_written(const char *text, size_t n);
/* Are header and state of a checkpoint's file what they should be? False with *why: no. */
bool checkpoint_check(const struct frame_file *f, const struct digest *id, int64_t step, const char **why,
                      struct error *err) MUST_CHECK;
/* Is there one that is to be kept? */
bool checkpoint_is_kept(const struct store *s, const struct digest *id, int64_t step);
void hot_close(struct store *s);
void usage_close(struct store *s);
/* Without a limit nothing is counted: what an earlier count says would be wrong when there is one again. */
void usage_forget(const struct store *s);
/* As store_each_summary; a record that cannot be read is an error. */
bool store_each_entry(struct store *s, bool (*see)(void *arg, const struct record_summary *m), void *arg,
                      struct error *err) MUST_CHECK;
/* Publish a record of the store as freed, soon. */
bool store_mark_freed(struct store *s, struct record *r, struct error *err) MUST_CHECK;
/* A kernel lock (flock) on STORE/locks/NAME, held until the descriptor is closed; -1 without err: another
 * holds it (LOCK_NB). */
int store_lock(const struct store *s, const char *name, int how, struct error *err);
/* LOCK_USE or LOCK_HOT, shared; who is removing it just now is waited for. */
void lock_use(struct locks *l, enum lock_kind kind, const struct digest *d);
/* Move a damaged file out of the way, to quarantine/KIND-DIGEST. */
void store_quarantine(const struct store *s, const char *file, const char *kind, const struct digest *d);
#endif
