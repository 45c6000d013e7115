/* Private to cache/pack*.c: where everything lies in an object's file.
 *   header         skippable frame: size, block, width, digest, sum of the frames, a check of itself
 *   frames         of every block in order, `width` frames: the planes of its bytes
 *   seek table     skippable frame: of the header and every frame its stored size, its size and its checksum
 */
#ifndef CACHE_PACK_FORMAT_H
#define CACHE_PACK_FORMAT_H
#include "cache/pack.h"

#define PACK_HEADER  88 /* bytes */
#define PACK_WIDEST  8  /* bytes of a number */
#define PACK_BLOCK   ((int64_t)1 << 30)
#define PACK_FRAMES  ((int64_t)1 << 27) /* as the seekable format says */
#define PACK_ENTRY   12
#define PACK_FOOTER  9
#define PACK_PREFIX  8 /* magic and length of a skippable frame */
#define PACK_DAMAGED "its header is spoilt"

struct pack_frame { /* an entry of the seek table */
    uint32_t stored, size, check;
};
static inline uint32_t pack_u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
/* stored and blocks are not in the header. */
void pack_header_write(const struct pack_info *i, uint8_t to[PACK_HEADER]);
bool pack_header_read(const uint8_t from[PACK_HEADER], struct pack_info *ret) MUST_CHECK;
static inline int64_t pack_blocks(int64_t size, int64_t block)
{
    return size / block + (size % block != 0);
}
/* Bytes of content in block b. */
static inline size_t pack_block_size(const struct pack_info *i, int64_t b)
{
    return (size_t)(b < i->blocks - 1 ? i->block : i->size - b * i->block);
}
/* Bytes of plane j of n bytes of content: what is left over is the end of the last. */
static inline size_t pack_plane_size(size_t n, int width, int j)
{
    size_t each = n / (size_t)width;
    return j < width - 1 ? each : n - each * (size_t)(width - 1);
}
static inline size_t pack_table_size(int64_t frames)
{
    return PACK_PREFIX + (size_t)(frames + 1) * PACK_ENTRY + PACK_FOOTER;
}
/* The table of the header and n frames as it lies in the file; malloc'd, pack_table_size(n) bytes. */
uint8_t *pack_table_write(const struct pack_frame *f, int64_t n);
/* f[n] of it, when it is one; whether it fits the header is the caller's question. */
bool pack_table_read(const uint8_t *from, int64_t n, struct pack_frame *f) MUST_CHECK;
/* From the SHA-256 of every block's frames, as they are stored, in order: the header's sum. */
void pack_sum(const struct digest *block, int64_t blocks, uint8_t ret[PACK_SUM]);
/* Read n bytes at `at`, fewer only where the file ends; -1 on failure. */
ssize_t pack_pread(int fd, void *p, size_t n, int64_t at);

/* n bytes of content into planes that follow each other, and back; width 1, 2, 4 or 8. */
void pack_split(const uint8_t *from, uint8_t *to, size_t n, int width);
void pack_join(const uint8_t *from, uint8_t *to, size_t n, int width);
#endif
