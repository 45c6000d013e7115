/* Objects: one zstd frame a content, named by the SHA-256 of the content. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/store_impl.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <zstd.h>

#define LEVEL 3
#define CHUNK ((size_t)1 << 20)

static void cctx_auto(ZSTD_CCtx **c)
{
    ZSTD_freeCCtx(*c);
}
static void dctx_auto(ZSTD_DCtx **d)
{
    ZSTD_freeDCtx(*d);
}

/* Fill p from fd, retrying EINTR; bytes read, short only at the end of the file; -1 on failure. */
static ssize_t read_full(int fd, char *p, size_t n)
{
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
    char *out; /* CHUNK bytes */
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
        if (last ? left == 0 : in->pos == in->size)
            return true;
    }
}

/* from (an open file of `size` bytes) -> one frame in w; the digest of what was read comes back. */
static bool compress_file(int from, const char *name, int64_t size, struct writer *w, struct digest *ret,
                          struct error *err)
{
    __attribute__((cleanup(cctx_auto))) ZSTD_CCtx *z = ZSTD_createCCtx();
    if (!z)
        return error_set(err, NULL, ERROR_SYSTEM, "zstd: out of memory");
    ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setPledgedSrcSize(z, (unsigned long long)size);
    AUTO(mem) char *chunk = xmalloc(CHUNK);
    struct hasher h;
    hasher_init(&h);
    bool ok = true;
    for (int64_t done = 0; ok;) {
        ssize_t n = read_full(from, chunk, CHUNK);
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

static bool sync_and_rename(struct writer *w, const char *object, struct error *err)
{
    bool ok = fs->fsync(w->fd) == 0 || error_errno(err, "cannot sync '%s'", w->path);
    ok = (fs->close(w->fd) == 0 || errno == EINTR || error_errno(err, "cannot close '%s'", w->path)) && ok;
    w->fd = -1;
    return ok && store_rename(w->path, object, err);
}

static bool write_object(struct store *s, int from, const char *path, int64_t size, const struct digest *d,
                         struct error *err)
{
    AUTO(mem) char *object = store_file(s, "objects", d);
    AUTO(mem) char *temp = store_scratch(s, err);
    if (!temp)
        return false;
    AUTO(mem) char *out = xmalloc(CHUNK);
    struct writer w = {fs->open(temp, O_WRONLY | O_CREAT | O_TRUNC, 0666), temp, out};
    if (w.fd < 0)
        return error_errno(err, "cannot create '%s'", temp);
    struct digest again;
    bool ok = compress_file(from, path, size, &w, &again, err);
    if (ok && !digest_equal(&again, d))
        ok = error_set(err, NULL, ERROR_SYSTEM, "'%s' changed while it was stored", path);
    ok = ok && sync_and_rename(&w, object, err);
    if (w.fd >= 0)
        fs->close(w.fd);
    if (!ok)
        fs->unlink(temp);
    return ok;
}

bool store_put_file(struct store *s, const char *path, struct digest *ret, int64_t *ret_size,
                    struct error *err)
{
    struct digest d;
    int64_t size;
    if (!hash_file(path, &d, &size, err))
        return false;
    if (!store_has(s, &d)) {
        AUTO(fd) int from = fs->open(path, O_RDONLY, 0);
        if (from < 0)
            return error_errno(err, "cannot open '%s'", path);
        if (!write_object(s, from, path, size, &d, err))
            return false;
    }
    *ret = d;
    if (ret_size)
        *ret_size = size;
    return true;
}

bool store_has(struct store *s, const struct digest *d)
{
    struct stat st;
    return store_stat(s->objects, d, &st);
}

static bool damaged(struct store *s, const char *object, const struct digest *d, const char *how,
                    struct error *err)
{
    char hex[DIGEST_HEX];
    store_quarantine(s, object, "object", d);
    return error_set(err, NULL, ERROR_DAMAGE, "object %.12s is damaged (%s): moved to quarantine",
                     digest_hex(d, hex), how);
}

/* Decompress `from` into w; why (not err) is set when the frame itself is bad. Never writes more than size
 * bytes. */
static bool decompress(int from, struct writer *w, int64_t size, struct hasher *h, const char **why,
                       struct error *err)
{
    __attribute__((cleanup(dctx_auto))) ZSTD_DCtx *z = ZSTD_createDCtx();
    AUTO(mem) char *chunk = xmalloc(CHUNK);
    if (!z)
        return error_set(err, NULL, ERROR_SYSTEM, "zstd: out of memory");
    int64_t done = 0;
    size_t left = 1;
    for (;;) {
        ssize_t n = read_full(from, chunk, CHUNK);
        if (n < 0)
            return error_errno(err, "cannot read an object");
        if (n == 0)
            break;
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
            if (!fs_write_all(w->fd, w->out, out.pos, w->path, err))
                return false;
            done += (int64_t)out.pos;
        }
    }
    if (left != 0 || done != size)
        *why = "too short";
    return !*why;
}

bool store_get_file(struct store *s, const struct digest *d, int64_t size, const char *to, struct error *err)
{
    AUTO(mem) char *object = store_file(s, "objects", d);
    AUTO(fd) int from = fs->open(object, O_RDONLY, 0);
    if (from < 0)
        return errno == ENOENT ? error_set(err, NULL, ERROR_DAMAGE, "an object is missing: '%s'", object)
                               : error_errno(err, "cannot open '%s'", object);
    AUTO(mem) char *out = xmalloc(CHUNK);
    struct writer w = {fs->open(to, O_WRONLY | O_CREAT | O_EXCL, 0444), to, out};
    if (w.fd < 0)
        return error_errno(err, "cannot create '%s'", to);
    struct hasher h;
    struct digest got;
    const char *why = NULL;
    hasher_init(&h);
    bool ok = decompress(from, &w, size, &h, &why, err);
    hasher_finish(&h, &got);
    if (ok && !digest_equal(&got, d))
        why = "content does not match its digest";
    if (fs->close(w.fd) != 0 && ok && errno != EINTR)
        ok = error_errno(err, "cannot close '%s'", to);
    if (ok && !why)
        return true;
    fs->unlink(to);
    return why ? damaged(s, object, d, why, err) : false;
}
