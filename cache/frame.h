/* One zstd frame, that is the content of a file, compressed, and its seal, a skippable frame with the SHA-256
 * of the first as it is stored; any zstd reads them. Private to cache/, but for the open file. */
#ifndef CACHE_FRAME_H
#define CACHE_FRAME_H
#include "base/error.h"
#include "base/hash.h"
#include <sys/types.h>

struct frame_file { /* an open file; the path is for errors */
    int fd;
    const char *path;
};
/* `size` bytes, all that `from` has, become one frame, sealed, at the end of `to`, at a level of zstd; the
 * digest of what was read comes back. */
bool frame_write(const struct frame_file *from, int64_t size, const struct frame_file *to, int level,
                 struct digest *ret, struct error *err) MUST_CHECK;
/* The frame that is the rest of `from`, to `to` (NULL: nowhere): never more than `size` bytes. False with
 * *why: it is damaged; without: err says what failed. */
bool frame_read(const struct frame_file *from, const struct frame_file *to, int64_t size,
                const struct digest *want, const char **why, struct error *err) MUST_CHECK;
/* Fill p from fd, retrying EINTR; bytes read, short only at the end of the file; -1 on failure. */
ssize_t frame_read_full(int fd, void *p, size_t n);
#endif
