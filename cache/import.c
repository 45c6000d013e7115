/* Imports: digests of outside files, remembered by (path, size, mtime, inode).
 *   imports/ab/cdef...        memo of one imported path: {"path", "folder", "files": [[REL, SIZE, MTIME_NS,
 * INODE, SHA256]]} imports/by-content/...    where a digest was last found: the absolute path Both can be
 * lost: they are then made again by reading the files. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "cache/store_impl.h"
#include <errno.h>
#include <string.h>

struct source { /* one file of an import */
    char *rel;  /* "" for an imported file itself */
    int64_t size, mtime, inode;
    struct digest digest;
};
struct import {
    char *path; /* absolute */
    bool folder;
    struct source *file;
    size_t n;
};

static void import_auto(struct import *im)
{
    for (size_t i = 0; i < im->n; i++)
        free(im->file[i].rel);
    free(im->file);
    free(im->path);
}

static bool stat_source(const char *path, struct source *f, struct error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return error_errno(err, "cannot look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, NULL, ERROR_INPUT, "'%s' is not a regular file", path);
    f->size = st.st_size;
    f->mtime = st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
    f->inode = (int64_t)st.st_ino;
    return true;
}

static char *source_path(const struct import *im, const struct source *f)
{
    return *f->rel ? xprintf("%s/%s", im->path, f->rel) : xstrdup(im->path);
}

/* Names and stats of everything at the path, digests still unknown. */
static bool import_look(const char *path, struct import *im, struct error *err)
{
    im->path = realpath(path, NULL);
    if (!im->path)
        return error_errno(err, "cannot import '%s'", path);
    im->folder = fs_is_dir(im->path);
    char **list = NULL;
    size_t n = 1;
    if (im->folder && !fs_list_tree(im->path, &list, &n, err))
        return error_context(err, "import");
    im->file = xcalloc(n, sizeof *im->file);
    for (; im->n < n; im->n++)
        im->file[im->n].rel = xstrdup(im->folder ? list[im->n] : "");
    fs_list_free(list, im->folder ? n : 0);
    for (size_t i = 0; i < n; i++) {
        AUTO(mem) char *file = source_path(im, &im->file[i]);
        if (!stat_source(file, &im->file[i], err))
            return error_context(err, "import");
    }
    return true;
}

static char *memo_path(const struct store *s, const char *path)
{
    struct digest d;
    hash_bytes(path, strlen(path), &d);
    return store_file(s, "imports", &d);
}

static bool same_stat(const struct source *f, const json_t *row)
{
    return json_is_array(row) && json_array_size(row) == 5 && json_is_string(json_array_get(row, 0)) &&
           strcmp(json_string_value(json_array_get(row, 0)), f->rel) == 0 &&
           json_integer_value(json_array_get(row, 1)) == f->size &&
           json_integer_value(json_array_get(row, 2)) == f->mtime &&
           json_integer_value(json_array_get(row, 3)) == f->inode;
}

/* Fill in digests from the memo, both lists sorted by name: one walk. True when every file was known. */
static bool import_recall(const struct store *s, struct import *im)
{
    AUTO(mem) char *memo = memo_path(s, im->path);
    AUTO_JSON j = fs_exists(memo) ? json_read(memo, NULL) : NULL;
    const json_t *rows = store_unseal(j) ? json_object_get(j, "files") : NULL; /* damaged: read anew */
    size_t known = 0, r = 0;
    for (size_t i = 0; i < im->n; i++) {
        const json_t *row = NULL;
        for (; r < json_array_size(rows); r++) {
            row = json_array_get(rows, r);
            const char *name = json_string_value(json_array_get(row, 0));
            if (!name || strcmp(name, im->file[i].rel) >= 0)
                break;
        }
        const char *hex =
            row && same_stat(&im->file[i], row) ? json_string_value(json_array_get(row, 4)) : NULL;
        if (hex && digest_parse(hex, &im->file[i].digest))
            known++;
        else
            im->file[i].inode = -1 - im->file[i].inode; /* marks it unknown until it is read */
    }
    return known == im->n;
}

/* Read what is unknown; a file that changes meanwhile is an error. */
static bool import_read(struct import *im, struct error *err)
{
    for (size_t i = 0; i < im->n; i++) {
        struct source *f = &im->file[i];
        if (f->inode >= 0)
            continue;
        AUTO(mem) char *path = source_path(im, f);
        f->inode = -1 - f->inode;
        struct source after = *f;
        int64_t size;
        if (!hash_file(path, &f->digest, &size, err) || !stat_source(path, &after, err))
            return error_context(err, "import");
        if (size != f->size || after.size != f->size || after.mtime != f->mtime || after.inode != f->inode)
            return error_set(err, NULL, ERROR_SYSTEM, "import: '%s' changed while it was read", path);
    }
    return true;
}

static void import_digest(const struct import *im, struct digest *ret, int64_t *ret_size)
{
    int64_t size = 0;
    struct hasher h;
    hasher_init(&h);
    for (size_t i = 0; i < im->n; i++) {
        const struct source *f = &im->file[i];
        char hex[DIGEST_HEX];
        AUTO(mem) char *tail = xprintf("%s %lld\n", digest_hex(&f->digest, hex), (long long)f->size);
        hasher_add(&h, f->rel, strlen(f->rel) + 1);
        hasher_add(&h, tail, strlen(tail));
        size += f->size;
    }
    hasher_finish(&h, ret);
    if (!im->folder)
        *ret = im->file[0].digest;
    *ret_size = size;
}

static bool import_remember(struct store *s, const struct import *im, struct error *err)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < im->n; i++) {
        const struct source *f = &im->file[i];
        char hex[DIGEST_HEX];
        json_array_append_new(rows,
                              json_pack("[s, I, I, I, s]", f->rel, (json_int_t)f->size, (json_int_t)f->mtime,
                                        (json_int_t)f->inode, digest_hex(&f->digest, hex)));
    }
    AUTO_JSON j = json_pack("{s:s, s:b, s:o}", "path", im->path, "folder", im->folder, "files", rows);
    if (!j)
        return error_set(err, NULL, ERROR_INPUT, "import: a file name below '%s' is not valid UTF-8",
                         im->path);
    store_seal(j);
    AUTO(mem) char *text = json_text(j, false);
    AUTO(mem) char *memo = memo_path(s, im->path);
    return store_publish(s, memo, text, strlen(text), err);
}

static bool point_to(struct store *s, const struct digest *d, const char *path, struct error *err)
{
    AUTO(mem) char *file = store_file(s, "imports/by-content", d);
    AUTO(mem) char *old = NULL;
    if (fs_exists(file) && fs_read_file(file, &old, NULL, NULL) && strcmp(old, path) == 0)
        return true;
    return store_publish(s, file, path, strlen(path), err);
}

bool store_import(struct store *s, const char *path, struct digest *ret, int64_t *ret_size, struct error *err)
{
    __attribute__((cleanup(import_auto))) struct import im = {0};
    if (!import_look(path, &im, err))
        return false;
    if (!import_recall(s, &im) && (!import_read(&im, err) || !import_remember(s, &im, err)))
        return false;
    struct digest d;
    int64_t size;
    import_digest(&im, &d, &size);
    if (!point_to(s, &d, im.path, err))
        return false;
    *ret = d;
    if (ret_size)
        *ret_size = size;
    return true;
}

char *store_import_find(struct store *s, const struct digest *d)
{
    AUTO(mem) char *file = store_file(s, "imports/by-content", d);
    char *path = NULL;
    if (!fs_exists(file) || !fs_read_file(file, &path, NULL, NULL))
        return NULL;
    __attribute__((cleanup(import_auto))) struct import im = {0};
    struct digest now;
    int64_t size;
    if (import_look(path, &im, NULL) && import_recall(s, &im)) {
        import_digest(&im, &now, &size);
        if (digest_equal(&now, d))
            return path;
    }
    free(path);
    return NULL;
}
