/* Private to cache/: an object's file. Content in independent blocks, each of one or several standard zstd
 * frames with checksums, then a seek table (zstd's seekable format); in front a skippable frame that says
 * size, block and how floats were split into planes of bytes. `zstd -d` reads it: the content, or its planes.
 * docs/store-format.md has every byte. Reading runs in parallel and can start anywhere; what the header and
 * the seek table say is checked against the size that the caller knows before memory is taken. */
#ifndef CACHE_PACK_H
#define CACHE_PACK_H
#include "cache/frame.h"

struct pack_options {
    int level, threads; /* of zstd; threads 0: the process's cores */
    int64_t block;      /* bytes */
};
struct pack_info {
    int64_t size, stored; /* of the content, of the file */
    int64_t block, blocks;
    int width;            /* bytes of a number whose bytes lie in planes; 1: none do */
    struct digest digest; /* of the content, as the header says */
};
/* `size` bytes, all that `from` has, packed into the empty file `to`; the digest of what was read comes back.
 */
bool pack_write(const struct frame_file *from, int64_t size, const struct frame_file *to,
                const struct pack_options *o, struct digest *ret, struct error *err) MUST_CHECK;
/* What `size` bytes of content take at most. */
int64_t pack_most(int64_t size, int64_t block);
/* False with *why: damaged; without: err says what failed. So for all below. */
bool pack_open(const struct frame_file *from, struct pack_info *ret, const char **why,
               struct error *err) MUST_CHECK;
/* All of it into the empty file `to`, or nowhere (to NULL: it is only checked). `want` NULL: the blocks'
 * checksums alone, not the content's digest. */
bool pack_read(const struct frame_file *from, const struct frame_file *to, int64_t size,
               const struct digest *want, int threads, const char **why, struct error *err) MUST_CHECK;
/* n bytes from `at` on, which lie within the content. Checksums of the blocks it touches are checked. */
bool pack_read_at(const struct frame_file *from, int64_t size, int64_t at, void *p, size_t n,
                  const char **why, struct error *err) MUST_CHECK;
#endif
