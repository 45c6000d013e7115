/* Which files a folder of digests holds, by reading it once: cheaper than to ask for each when many are
 * wanted. What comes or goes afterwards is not seen, so a listing must not live long. */
#ifndef CACHE_LISTING_H
#define CACHE_LISTING_H
#include "base/error.h"
#include "base/hash.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct listing {
    struct listing_part { /* of one of the 256 folders: a hash table of 64 bits of digest and inode; 0: free
                           */
        uint64_t *slot;
        size_t mask;
    } part[256];
};
/* The open folder objects/ or records/. inodes: a file counts with its inode, so that one that was replaced
 * is another. */
void listing_read(struct listing *l, int folder, bool inodes);
bool listing_has(const struct listing *l, const struct digest *d, uint64_t inode); /* 0: without inodes */
void listing_done(struct listing *l);
/* Call see() for each file of such a folder until it returns false. What comes or goes meanwhile may be seen
 * or not. */
bool listing_each(int folder, bool (*see)(void *arg, const struct digest *d, const struct stat *st),
                  void *arg, struct error *err) MUST_CHECK;
#endif
