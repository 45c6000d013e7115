/* Private to cache/: group commit. What is written lies below tmp/ until a thread has synced it, for all that
 * came meanwhile at once, and renames it into place: objects first, then the records that name them, then the
 * claims on their keys end. Nothing waits longer than a sync takes and some milliseconds before it, so a
 * power cut costs what came in that time. After a failure nothing more is published and every call tells of
 * it. */
#ifndef CACHE_COMMIT_H
#define CACHE_COMMIT_H
#include "base/error.h"
#include "base/hash.h"

struct store;
struct commit;
struct commit *commit_new(struct store *s);
void commit_free(struct commit *c); /* what is still waiting is published first; NULL is fine */
enum commit_kind { COMMIT_OBJECT, COMMIT_RECORD };
/* Publish the file `temp`, for which so many bytes were reserved (cache/gc.h). fd: its descriptor, which is
 * closed then, also where this fails; -1: the file is closed. A record: `claimed`, its key's claim ends then.
 */
bool commit_add(struct commit *c, enum commit_kind kind, const struct digest *d, int fd, const char *temp,
                int64_t reserved, bool claimed, struct error *err) MUST_CHECK;
/* Bytes that were reserved for what has come to its place since it was last asked. */
int64_t commit_settled(struct commit *c);
/* Is it waiting to be published? */
bool commit_waits(struct commit *c, enum commit_kind kind, const struct digest *d);
/* All that waits is published and durable. */
bool commit_flush(struct commit *c, struct error *err) MUST_CHECK;
#endif
