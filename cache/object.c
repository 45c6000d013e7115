/* Objects: one zstd frame a content, named by the SHA-256 of the content. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/frame.h"
#include "cache/store_impl.h"
#include <errno.h>
#include <fcntl.h>

#define LEVEL 3

static bool write_object(struct store *s, const struct frame_file *from, int64_t size, const struct digest *d,
                         struct error *err)
{
    AUTO(mem) char *temp = store_scratch(s, err);
    if (!temp)
        return false;
    struct frame_file to = {fs_open(temp, O_WRONLY | O_CREAT | O_TRUNC, 0666), temp};
    if (to.fd < 0)
        return error_errno(err, "cannot create '%s'", temp);
    struct digest again;
    bool ok = frame_write(from, size, &to, LEVEL, &again, err);
    if (ok && !digest_equal(&again, d))
        ok = error_set(err, NULL, ERROR_SYSTEM, "'%s' changed while it was stored", from->path);
    return store_commit_object(s, ok, to.fd, temp, d, err);
}

bool store_put_file(struct store *s, const char *path, struct digest *ret, int64_t *ret_size,
                    struct error *err)
{
    struct digest d;
    int64_t size;
    if (!hash_file(path, &d, &size, err))
        return false;
    if (!store_has(s, &d)) {
        AUTO(fd) int from = fs_open(path, O_RDONLY, 0);
        if (from < 0)
            return error_errno(err, "cannot open '%s'", path);
        if (!write_object(s, &(struct frame_file){from, path}, size, &d, err))
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
    return store_stat(s->objects, d, &st) || commit_waits(s->commit, COMMIT_OBJECT, d);
}

static bool damaged(struct store *s, const char *object, const struct digest *d, const char *how,
                    struct error *err)
{
    char hex[DIGEST_HEX];
    store_quarantine(s, object, "object", d);
    return error_set(err, NULL, ERROR_DAMAGE, "object %.12s is damaged (%s): moved to quarantine",
                     digest_hex(d, hex), how);
}

bool store_get_file(struct store *s, const struct digest *d, int64_t size, const char *to, struct error *err)
{
    AUTO(mem) char *object = store_file(s, "objects", d);
    if (commit_waits(s->commit, COMMIT_OBJECT, d) && !store_flush(s, err))
        return false;
    AUTO(fd) int from = fs_open(object, O_RDONLY, 0);
    if (from < 0)
        return errno == ENOENT ? error_set(err, NULL, ERROR_DAMAGE, "an object is missing: '%s'", object)
                               : error_errno(err, "cannot open '%s'", object);
    const char *why;
    bool ok = store_unpack(&(struct frame_file){from, object}, d, size, to, &why, err);
    return ok || (why ? damaged(s, object, d, why, err) : false);
}
