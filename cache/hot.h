/* Plain files that lie ready: HOT/BOOT/ab/cdef..., named by the digest of their content, read-only, shared by
 * all processes on this machine. One folder a boot of the machine: what was not yet on the disk when the
 * power went is not believed. Bounded; what nobody uses goes, least recently used first. */
#ifndef CACHE_HOT_H
#define CACHE_HOT_H
#include "cache/store.h"

/* The plain file of object d, unpacked when it is not there; malloc'd. In use by this process until
 * store_hot_drop, which is called as often. ERROR_DAMAGE as store_get_file. */
char *store_hot(struct store *s, const struct digest *d, int64_t size, struct error *err) MUST_CHECK;
void store_hot_drop(struct store *s, const struct digest *d);
/* The file `path` has content d, as this process knows: it moves there, and lies at the path that comes back
 * (malloc'd; in use as above). NULL: it could not be moved, and is where it was. */
char *store_hot_adopt(struct store *s, const struct digest *d, int64_t size, const char *path);
/* Digest and size of a hot file by its path; false: it is none. */
bool store_hot_digest(const struct store *s, const char *path, struct digest *ret, int64_t *ret_size);
/* Was the file of d written to since it was made? Then it is removed; who used it is not to be trusted. */
bool store_hot_unchanged(struct store *s, const struct digest *d);
/* Copy it to the new file `to` by sharing its blocks. False: it does not lie ready, or the file system
 * cannot. */
bool store_hot_clone(struct store *s, const struct digest *d, int64_t size, const char *to);
/* Is there more than the store's setting allows? What other processes add is not seen between two trims. */
bool store_hot_full(struct store *s);
/* Down to the limit (-1: the store's setting): bytes and files that went. */
void store_hot_trim(struct store *s, int64_t limit, int64_t *ret_bytes, size_t *ret_n);
/* The same to the store's setting, where there is a hot area; not `remove`: what would go. */
void store_hot_excess(struct store *s, bool remove, int64_t *ret_bytes, size_t *ret_n);
#endif
