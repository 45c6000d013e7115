/* Which files a folder of digests holds, by reading it once: cheaper than to ask for each when many are
 * wanted. What comes or goes afterwards is not seen, so a listing must not live long. */
#ifndef CACHE_LISTING_H
#define CACHE_LISTING_H
#include "base/hash.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct listing {
    struct listing_part { /* of one of the 256 folders: a hash table of 64 bits of each digest; 0: free */
        uint64_t *slot;
        size_t mask;
    } part[256];
};
void listing_read(struct listing *l, int folder); /* the open folder objects/ or records/ */
bool listing_has(const struct listing *l, const struct digest *d);
void listing_done(struct listing *l);
#endif
