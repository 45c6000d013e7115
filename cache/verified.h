/* Private to cache/: objects whose content was compared with their digest in this boot of the machine; later
 * reads check the blocks' checksums alone. STORE/verified is a table of 32-byte marks at places that the
 * digest chooses: a mark is the SHA-256 of boot, digest, inode, mtime and size of the object's file, so that
 * one that is lost, torn, overwritten or of another boot or file only means to compare again. */
#ifndef CACHE_VERIFIED_H
#define CACHE_VERIFIED_H
#include "cache/store.h"
#include <sys/stat.h>

/* Was the object's file with this stat compared? */
bool verified_is(const struct store *s, const struct digest *d, const struct stat *st);
void verified_mark(const struct store *s, const struct digest *d, const struct stat *st);
#endif
