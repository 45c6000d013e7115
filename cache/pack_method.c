#include "cache/pack_method.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <string.h>

#define SAMPLE     ((size_t)1 << 16) /* bytes that decide about a width */
#define PLACES     4                 /* of a file that are sampled */
#define PIECE      ((size_t)1 << 13) /* bytes that decide about a method, */
#define PIECES     2                 /* from so many places of a plane */
#define WORTH      0.98              /* less than that of the bytes is an improvement */
#define QUICK      1                 /* a level that passes over random bytes at the speed of memory */
#define SAMPLE_MAX 3                 /* levels above it differ little in what they say of a sample */

bool pack_press_init(struct pack_press *p, int level, struct error *err)
{
    *p = (struct pack_press){.z = ZSTD_createCCtx(), .level = level};
    if (!p->z)
        return error_set(err, NULL, ERROR_SYSTEM, "zstd: out of memory");
    p->scratch = xmalloc(ZSTD_compressBound(SAMPLE) + SAMPLE);
    return true;
}

void pack_press_done(struct pack_press *p)
{
    ZSTD_freeCCtx(p->z);
    free(p->scratch);
}

static void set(ZSTD_CCtx *z, enum pack_method m, int level)
{
    ZSTD_CCtx_reset(z, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, m == METHOD_LEVEL || level < QUICK ? level : QUICK);
    if (m == METHOD_ENTROPY) { /* a table of 64 places finds no match but in what hardly varies */
        ZSTD_CCtx_setParameter(z, ZSTD_c_strategy, ZSTD_fast);
        ZSTD_CCtx_setParameter(z, ZSTD_c_minMatch, 7);
        ZSTD_CCtx_setParameter(z, ZSTD_c_hashLog, 6);
    }
}

bool pack_press_frame(struct pack_press *p, enum pack_method m, const void *from, size_t n, void *to,
                      size_t cap, size_t *ret, struct error *err)
{
    set(p->z, m, p->level);
    *ret = ZSTD_compress2(p->z, to, cap, from, n);
    return !ZSTD_isError(*ret) || error_set(err, NULL, ERROR_SYSTEM, "zstd: %s", ZSTD_getErrorName(*ret));
}

/* The better of level and entropy for at most SAMPLE bytes, and its bytes. */
static bool try(struct pack_press *p, const uint8_t *from, size_t n, enum pack_method *ret, size_t *ret_size,
                struct error *err)
{
    struct pack_press sample = {p->z, p->level < SAMPLE_MAX ? p->level : SAMPLE_MAX, NULL};
    size_t level, entropy, cap = ZSTD_compressBound(SAMPLE);
    if (!pack_press_frame(&sample, METHOD_LEVEL, from, n, p->scratch, cap, &level, err) ||
        !pack_press_frame(&sample, METHOD_ENTROPY, from, n, p->scratch, cap, &entropy, err))
        return false;
    *ret = entropy <= level ? METHOD_ENTROPY : METHOD_LEVEL;
    *ret_size = entropy <= level ? entropy : level;
    return true;
}

bool pack_method_of(struct pack_press *p, const uint8_t *plane, size_t n, enum pack_method *ret,
                    struct error *err)
{
    size_t total = 0, all = 0, size;
    bool entropy = true;
    *ret = METHOD_LEVEL;
    if (n < 2 * PIECES * PIECE)
        return true; /* no time to be won */
    for (size_t i = 0; i < PIECES; i++) {
        enum pack_method m;
        if (!try(p, plane + (n - PIECE) / PIECES * i + (n - PIECE) / (2 * PIECES), PIECE, &m, &size, err))
            return false;
        entropy = entropy && m == METHOD_ENTROPY;
        total += size;
        all += PIECE;
    }
    *ret = (double)total > WORTH * (double)all ? METHOD_QUICK : entropy ? METHOD_ENTROPY : METHOD_LEVEL;
    return true;
}

static bool add_sizes(struct pack_press *p, const uint8_t *sample, size_t n, size_t total[PACK_WIDEST + 1],
                      struct error *err)
{
    uint8_t *planes = p->scratch + ZSTD_compressBound(SAMPLE);
    for (int width = 1; width <= PACK_WIDEST; width *= 2) {
        size_t at = 0, size;
        enum pack_method m;
        pack_split(sample, planes, n, width);
        for (int j = 0; j < width; at += pack_plane_size(n, width, j), j++) {
            if (!try(p, planes + at, pack_plane_size(n, width, j), &m, &size, err))
                return false;
            total[width] += size;
        }
    }
    return true;
}

bool pack_width_of(struct pack_press *p, const struct frame_file *from, int64_t size, int *ret,
                   struct error *err)
{
    size_t total[PACK_WIDEST + 1] = {0};
    AUTO(mem) uint8_t *sample = xmalloc(SAMPLE);
    int64_t places = size / (int64_t)(16 * SAMPLE), span = size - (int64_t)SAMPLE;
    places = places < 1 ? 1 : places > PLACES ? PLACES : places;
    for (int64_t i = 0; i < places; i++) {
        int64_t at = span <= 0 ? 0 : (span / places * i + span / (2 * places)) & -(int64_t)PACK_WIDEST;
        ssize_t n = pack_pread(from->fd, sample, SAMPLE, at);
        if (n < 0)
            return error_errno(err, "cannot read '%s'", from->path);
        if (!add_sizes(p, sample, (size_t)n, total, err))
            return false;
    }
    *ret = 1;
    for (int width = 2; width <= PACK_WIDEST; width *= 2)
        if ((double)total[width] < WORTH * (double)total[*ret])
            *ret = width;
    return true;
}
