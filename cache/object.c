/* Objects: content packed into a file (cache/pack.h) that is named by the SHA-256 of the content. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/gc_impl.h"
#include "cache/pack.h"
#include "cache/store_impl.h"
#include "cache/verified.h"
#include <errno.h>
#include <fcntl.h>

/* ---- in ---- */

/* Packed below tmp/, then renamed to its digest, or dropped when it is there already. want NULL: not known
 * before. *ret_stored: what it takes of the store. */
static bool pack_object(struct store *s, const struct frame_file *from, int64_t size,
                        const struct digest *want, struct digest *ret, int64_t *ret_stored, struct error *err)
{
    AUTO(mem) char *temp = store_scratch(s, err);
    if (!temp)
        return false;
    struct frame_file to = {fs_open(temp, O_WRONLY | O_CREAT | O_TRUNC, 0666), temp};
    if (to.fd < 0)
        return error_errno(err, "cannot create '%s'", temp);
    const struct store_config *c = &s->config;
    struct pack_options o = {.level = (int)c->level, .threads = (int)c->threads, .block = c->block};
    bool ok = pack_write(from, size, &to, &o, ret, err);
    if (ok && want && !digest_equal(ret, want))
        ok = error_set(err, NULL, ERROR_SYSTEM, "'%s' changed while it was stored", from->path);
    if (ok)
        store_use(s, ret); /* before it is looked for: nobody removes it until a record names it */
    if (ok && store_has(s, ret)) {
        fs->close(to.fd);
        fs->unlink(temp);
        return true;
    }
    struct stat st;
    if (ok && fstat(to.fd, &st) != 0)
        ok = error_errno(err, "cannot look at '%s'", temp);
    int64_t stored = ok ? st.st_size : 0;
    if (!store_commit_object(s, ok, to.fd, temp, ret, stored, err))
        return false;
    *ret_stored = stored;
    return true;
}

static bool write_object(struct store *s, const struct frame_file *from, int64_t size,
                         const struct digest *want, struct digest *ret, struct error *err)
{
    int64_t most = pack_most(size, s->config.block), stored = 0;
    if (!store_reserve(s, most, err))
        return error_context(err, "cannot store '%s'", from->path);
    bool ok = pack_object(s, from, size, want, ret, &stored, err);
    store_unreserve(s, most - stored);
    return ok;
}

bool store_put_file(struct store *s, const char *path, struct digest *ret, int64_t *ret_size,
                    struct error *err)
{
    AUTO(fd) int fd = fs_open(path, O_RDONLY, 0);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return error_errno(err, "cannot open '%s'", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, NULL, ERROR_INPUT, "'%s' is not a regular file", path);
    struct digest known;
    int64_t size = st.st_size;
    /* A long file is read once, for its digest and its blocks. For a short one it is cheaper to ask first,
     * and nothing should have to go for one that is there. */
    bool ask = size <= s->config.block || !usage_has_room(s, pack_most(size, s->config.block));
    if (ask && !hash_open_file(fd, path, &known, &size, err))
        return false;
    if (ask)
        store_use(s, &known); /* before it is looked for, as above */
    if (ask && store_has(s, &known))
        *ret = known;
    else if (!write_object(s, &(struct frame_file){fd, path}, size, ask ? &known : NULL, ret, err))
        return false;
    if (ret_size)
        *ret_size = size;
    return true;
}

bool store_has(struct store *s, const struct digest *d)
{
    struct stat st;
    return store_stat(s->objects, d, &st) || commit_waits(s->commit, COMMIT_OBJECT, d);
}

/* ---- out ---- */

/* Open object d for reading; the path is malloc'd, whatever happens. */
static bool open_object(struct store *s, const struct digest *d, char **ret_path, struct frame_file *ret,
                        struct error *err)
{
    *ret_path = store_file(s, "objects", d);
    if (commit_waits(s->commit, COMMIT_OBJECT, d) && !store_flush(s, err))
        return false;
    *ret = (struct frame_file){fs_open(*ret_path, O_RDONLY, 0), *ret_path};
    if (ret->fd >= 0)
        return true;
    return errno == ENOENT ? error_set(err, NULL, ERROR_DAMAGE, "an object is missing: '%s'", *ret_path)
                           : error_errno(err, "cannot open '%s'", *ret_path);
}

static bool damaged(struct store *s, const struct frame_file *f, const struct digest *d, const char *how,
                    struct error *err)
{
    char hex[DIGEST_HEX];
    store_quarantine(s, f->path, "object", d);
    return error_set(err, NULL, ERROR_DAMAGE, "object %.12s is damaged (%s): moved to quarantine",
                     digest_hex(d, hex), how);
}

/* Its header says that the file is object d; what follows may be damaged. */
static bool is_object(const struct frame_file *f, const struct digest *d, const char **why, struct error *err)
{
    struct pack_info i;
    if (!pack_open(f, &i, why, err))
        return false;
    if (!digest_equal(&i.digest, d))
        *why = "of another digest";
    return !*why;
}

static bool unpack(struct store *s, const struct frame_file *f, const struct digest *d, int64_t size,
                   const struct frame_file *to, const char **why, struct error *err)
{
    struct stat st;
    if (fstat(f->fd, &st) != 0)
        return error_errno(err, "cannot stat '%s'", f->path);
    bool known = verified_is(s, d, &st);
    if (!is_object(f, d, why, err) ||
        !pack_read(f, to, size, known ? NULL : d, (int)s->config.threads, why, err))
        return false;
    if (!known)
        verified_mark(s, d, &st);
    return true;
}

bool store_get_file(struct store *s, const struct digest *d, int64_t size, const char *to, struct error *err)
{
    AUTO(mem) char *path = NULL;
    struct frame_file from, out;
    if (!open_object(s, d, &path, &from, err))
        return false;
    AUTO(fd) int fd = from.fd;
    out = (struct frame_file){fs_open(to, O_WRONLY | O_CREAT | O_EXCL, 0444), to};
    if (out.fd < 0)
        return error_errno(err, "cannot create '%s'", to);
    const char *why = NULL;
    bool ok = unpack(s, &from, d, size, &out, &why, err);
    if (fs_close(out.fd) != 0 && ok)
        ok = error_errno(err, "cannot close '%s'", to);
    if (!ok)
        fs->unlink(to);
    return ok || (why ? damaged(s, &from, d, why, err) : false);
}

bool store_read_at(struct store *s, const struct digest *d, int64_t size, int64_t at, void *p, size_t n,
                   struct error *err)
{
    AUTO(mem) char *path = NULL;
    struct frame_file from;
    if (at < 0 || at > size || (uint64_t)(size - at) < n)
        return error_set(err, NULL, ERROR_INPUT, "an object of %lld bytes has no %zu from %lld on",
                         (long long)size, n, (long long)at);
    if (!open_object(s, d, &path, &from, err))
        return false;
    AUTO(fd) int fd = from.fd;
    const char *why = NULL;
    return (is_object(&from, d, &why, err) && pack_read_at(&from, size, at, p, n, &why, err)) ||
           (why ? damaged(s, &from, d, why, err) : false);
}
