#include "cache/pack_format.h"
#include "base/fs.h"
#include "base/mem.h"
#include <errno.h>
#include <string.h>

#define MAGIC_HEADER 0x184D2A50u /* zstd: readers skip frames that begin so */
#define MAGIC_TABLE  0x184D2A5Eu
#define MAGIC_END    0x8F92EAB1u /* of the seekable format */
#define CHECKSUMS    0x80        /* its descriptor: entries have a checksum */
#define VERSION      1
#define CHECK        8 /* bytes of SHA-256 that end the header */

static uint8_t *put(uint8_t *p, uint64_t x, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *p++ = (uint8_t)(x >> (8 * i));
    return p;
}

static uint64_t u64(const uint8_t *p)
{
    return pack_u32(p) | (uint64_t)pack_u32(p + 4) << 32;
}

/* zstd takes 1/256 more than it is given, and less than 128 bytes of each frame, at most. */
int64_t pack_most(int64_t size, int64_t block)
{
    int64_t frames = pack_blocks(size, block) * PACK_WIDEST;
    return PACK_HEADER + size + size / 256 + 128 * frames + (int64_t)pack_table_size(frames);
}

void pack_header_write(const struct pack_info *i, uint8_t to[PACK_HEADER])
{
    struct digest check;
    memset(to, 0, PACK_HEADER);
    put(put(to, MAGIC_HEADER, 4), PACK_HEADER - PACK_PREFIX, 4);
    memcpy(to + 8, "weft", 4);
    put(to + 12, VERSION, 4);
    put(to + 16, (uint64_t)i->size, 8);
    put(to + 24, (uint64_t)i->block, 4);
    put(to + 28, (uint64_t)i->width, 1);
    memcpy(to + 32, i->digest.byte, sizeof i->digest.byte);
    hash_bytes(to, PACK_HEADER - CHECK, &check);
    memcpy(to + PACK_HEADER - CHECK, check.byte, CHECK);
}

bool pack_header_read(const uint8_t from[PACK_HEADER], struct pack_info *ret)
{
    uint8_t again[PACK_HEADER];
    *ret =
        (struct pack_info){.size = (int64_t)u64(from + 16), .block = pack_u32(from + 24), .width = from[28]};
    memcpy(ret->digest.byte, from + 32, sizeof ret->digest.byte);
    pack_header_write(ret, again);
    if (memcmp(from, again, PACK_HEADER) != 0 || ret->size < 0 || ret->block < PACK_WIDEST ||
        ret->block > PACK_BLOCK || ret->block % PACK_WIDEST != 0)
        return false;
    ret->blocks = pack_blocks(ret->size, ret->block);
    return (ret->width == 1 || ret->width == 2 || ret->width == 4 || ret->width == 8) &&
           ret->blocks <= PACK_FRAMES / ret->width;
}

uint8_t *pack_table_write(const struct pack_frame *f, int64_t n)
{
    uint8_t *table = xmalloc(pack_table_size(n));
    uint8_t *p = put(put(table, MAGIC_TABLE, 4), pack_table_size(n) - PACK_PREFIX, 4);
    for (int64_t i = 0; i < n; i++)
        p = put(put(put(p, f[i].stored, 4), f[i].size, 4), f[i].check, 4);
    put(put(put(p, (uint64_t)n, 4), CHECKSUMS, 1), MAGIC_END, 4);
    return table;
}

bool pack_table_read(const uint8_t *from, int64_t n, struct pack_frame *f)
{
    const uint8_t *end = from + pack_table_size(n) - PACK_FOOTER;
    if (pack_u32(from) != MAGIC_TABLE || pack_u32(from + 4) != pack_table_size(n) - PACK_PREFIX ||
        pack_u32(end) != n || end[4] != CHECKSUMS || pack_u32(end + 5) != MAGIC_END)
        return false;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *p = from + PACK_PREFIX + (size_t)i * PACK_ENTRY;
        f[i] = (struct pack_frame){pack_u32(p), pack_u32(p + 4), pack_u32(p + 8)};
    }
    return true;
}

ssize_t pack_pread(int fd, void *to, size_t n, int64_t at)
{
    char *p = to;
    size_t have = 0;
    while (have < n) {
        ssize_t r = fs->pread(fd, p + have, n - have, at + (int64_t)have);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        if (r == 0)
            break;
        have += (size_t)r;
    }
    return (ssize_t)have;
}
