/* One zstd frame: the content of a file, compressed and back. */
#include "cache/frame.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define CHUNK ((size_t)1 << 20)
#define SEAL  40 /* bytes: a skippable frame with the SHA-256 of the frame as it is stored */

static const uint8_t seal_front[8] = {0x50, 0x2A, 0x4D, 0x18, sizeof(struct digest)};

static void cctx_auto(ZSTD_CCtx **c)
{
    ZSTD_freeCCtx(*c);
}
static void dctx_auto(ZSTD_DCtx **d)
{
    ZSTD_freeDCtx(*d);
}

ssize_t frame_read_full(int fd, void *to, size_t n)
{
    char *p = to;
    size_t have = 0;
    while (have < n) {
        ssize_t r = fs->read(fd, p + have, n - have);
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

struct writer {
    int fd;
    const char *path;
    char *out;            /* CHUNK bytes */
    struct hasher stored; /* what was compressed, or is to be read */
};

static bool compress_chunk(ZSTD_CCtx *z, struct writer *w, ZSTD_inBuffer *in, bool last, struct error *err)
{
    for (;;) {
        ZSTD_outBuffer out = {w->out, CHUNK, 0};
        size_t left = ZSTD_compressStream2(z, &out, in, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return error_set(err, NULL, ERROR_SYSTEM, "zstd: %s", ZSTD_getErrorName(left));
        if (!fs_write_all(w->fd, w->out, out.pos, w->path, err))
            return false;
        hasher_add(&w->stored, w->out, out.pos);
        if (last ? left == 0 : in->pos == in->size)
            return true;
    }
}

/* from (an open file of `size` bytes) -> one frame in w; the digest of what was read comes back. */
static bool compress_file(int from, const char *name, int64_t size, struct writer *w, int level,
                          struct digest *ret, struct error *err)
{
    __attribute__((cleanup(cctx_auto))) ZSTD_CCtx *z = ZSTD_createCCtx();
    if (!z)
        return error_set(err, NULL, ERROR_SYSTEM, "zstd: out of memory");
    ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setPledgedSrcSize(z, (unsigned long long)size);
    AUTO(mem) char *chunk = xmalloc(CHUNK);
    struct hasher h;
    hasher_init(&h);
    bool ok = true;
    for (int64_t done = 0; ok;) {
        ssize_t n = frame_read_full(from, chunk, CHUNK);
        if (n < 0 || done + n > size || (n < (ssize_t)CHUNK && done + n < size)) {
            ok = n < 0 ? error_errno(err, "cannot read '%s'", name)
                       : error_set(err, NULL, ERROR_SYSTEM, "'%s' changed while it was stored", name);
            break;
        }
        done += n;
        hasher_add(&h, chunk, (size_t)n);
        ZSTD_inBuffer in = {chunk, (size_t)n, 0};
        ok = compress_chunk(z, w, &in, done == size, err);
        if (done == size)
            break;
    }
    hasher_finish(&h, ret);
    return ok;
}

static void make_seal(struct writer *w, uint8_t ret[SEAL])
{
    struct digest d;
    hasher_finish(&w->stored, &d);
    memcpy(ret, seal_front, sizeof seal_front);
    memcpy(ret + sizeof seal_front, d.byte, sizeof d.byte);
}

/* The bytes of the frame that begins here: what is left but the seal. */
static bool stored_size(const struct frame_file *from, int64_t *ret, struct error *err)
{
    struct stat st;
    off_t at = lseek(from->fd, 0, SEEK_CUR);
    if (at < 0 || fstat(from->fd, &st) != 0)
        return error_errno(err, "cannot look at '%s'", from->path);
    *ret = st.st_size - at - SEAL;
    return true;
}

static bool check_seal(int from, const uint8_t want[SEAL], const char **why, struct error *err)
{
    uint8_t have[SEAL];
    ssize_t n = frame_read_full(from, have, SEAL);
    if (n < 0)
        return error_errno(err, "cannot read an object");
    if (n < SEAL || memcmp(want, have, SEAL) != 0)
        *why = "it is not as it was written";
    return !*why;
}

/* Decompress `stored` bytes of `from` into w; why (not err) is set when the frame itself is bad. Never writes
 * more than size bytes. */
static bool decompress(int from, int64_t stored, struct writer *w, int64_t size, struct hasher *h,
                       const char **why, struct error *err)
{
    __attribute__((cleanup(dctx_auto))) ZSTD_DCtx *z = ZSTD_createDCtx();
    AUTO(mem) char *chunk = xmalloc(CHUNK);
    if (!z)
        return error_set(err, NULL, ERROR_SYSTEM, "zstd: out of memory");
    int64_t done = 0;
    size_t left = 1;
    for (; stored > 0;) {
        ssize_t n = frame_read_full(from, chunk, stored < (int64_t)CHUNK ? (size_t)stored : CHUNK);
        if (n < 0)
            return error_errno(err, "cannot read an object");
        if (n == 0)
            break;
        stored -= n;
        hasher_add(&w->stored, chunk, (size_t)n);
        ZSTD_inBuffer in = {chunk, (size_t)n, 0};
        while (in.pos < in.size) {
            if (left == 0) {
                *why = "bytes after its end";
                return false;
            }
            ZSTD_outBuffer out = {w->out, CHUNK, 0};
            left = ZSTD_decompressStream(z, &out, &in);
            if (ZSTD_isError(left) || done + (int64_t)out.pos > size) {
                *why = ZSTD_isError(left) ? ZSTD_getErrorName(left) : "too long";
                return false;
            }
            hasher_add(h, w->out, out.pos);
            if (w->fd >= 0 && !fs_write_all(w->fd, w->out, out.pos, w->path, err))
                return false;
            done += (int64_t)out.pos;
        }
    }
    if (left != 0 || done != size)
        *why = "too short";
    return !*why;
}

bool frame_write(const struct frame_file *from, int64_t size, const struct frame_file *to, int level,
                 struct digest *ret, struct error *err)
{
    AUTO(mem) char *out = xmalloc(CHUNK);
    struct writer w = {.fd = to->fd, .path = to->path, .out = out};
    uint8_t seal[SEAL];
    hasher_init(&w.stored);
    bool ok = compress_file(from->fd, from->path, size, &w, level, ret, err);
    make_seal(&w, seal);
    return ok && fs_write_all(to->fd, seal, SEAL, to->path, err);
}

bool frame_read(const struct frame_file *from, const struct frame_file *to, int64_t size,
                const struct digest *want, const char **why, struct error *err)
{
    AUTO(mem) char *out = xmalloc(CHUNK);
    struct writer w = {.fd = to ? to->fd : -1, .path = to ? to->path : NULL, .out = out};
    int64_t stored = 0;
    uint8_t seal[SEAL];
    struct hasher h;
    struct digest got;
    *why = NULL;
    hasher_init(&h);
    hasher_init(&w.stored);
    bool ok = stored_size(from, &stored, err) && decompress(from->fd, stored, &w, size, &h, why, err);
    hasher_finish(&h, &got);
    make_seal(&w, seal);
    ok = ok && check_seal(from->fd, seal, why, err);
    if (ok && !digest_equal(&got, want))
        *why = "content does not match its digest";
    return ok && !*why;
}
