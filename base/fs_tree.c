/* Walking folders: list and remove. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct list {
    char **item;
    size_t n, cap;
};

bool fs_dir_open(struct fs_dir *d, const char *path, int flags)
{
    d->at = d->n = 0;
    d->fd = fs_open(path, O_RDONLY | O_DIRECTORY | flags, 0);
    return d->fd >= 0;
}

const struct dirent64 *fs_dir_next(struct fs_dir *d)
{
    for (;;) {
        errno = 0;
        if (d->at == d->n) {
            ssize_t n = getdents64(d->fd, d->room, sizeof d->room);
            if (n <= 0)
                return NULL;
            d->at = 0;
            d->n = (size_t)n;
        }
        const struct dirent64 *e = (const void *)(d->room + d->at);
        d->at += e->d_reclen;
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            return e;
    }
}

void fs_dir_close(struct fs_dir *d)
{
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
}

/* Not every file system says what its entries are. */
static bool is_folder(const struct dirent64 *e, const char *path)
{
    struct stat st;
    if (e->d_type != DT_UNKNOWN)
        return e->d_type == DT_DIR;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool walk(const char *root, const char *rel, struct list *l, struct error *err)
{
    AUTO(mem) char *path = *rel ? xprintf("%s/%s", root, rel) : xstrdup(root);
    struct fs_dir d;
    int flags = *rel ? O_NOFOLLOW : 0; /* the folder to list may be named by a link */
    if (!fs_dir_open(&d, path, flags))
        return error_errno(err, "cannot open folder '%s'", path);
    bool ok = true;
    const struct dirent64 *e;
    while (ok && (e = fs_dir_next(&d))) {
        char *name = *rel ? xprintf("%s/%s", rel, e->d_name) : xstrdup(e->d_name);
        AUTO(mem) char *full = xprintf("%s/%s", root, name);
        if (is_folder(e, full)) {
            ok = walk(root, name, l, err);
            free(name);
        } else {
            l->item = xgrow(l->item, &l->cap, l->n + 1, sizeof *l->item);
            l->item[l->n++] = name;
        }
    }
    if (ok && errno)
        ok = error_errno(err, "cannot read folder '%s'", path);
    fs_dir_close(&d);
    return ok;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool fs_list_tree(const char *root, char ***ret, size_t *ret_n, struct error *err)
{
    struct list l = {0};
    if (!walk(root, "", &l, err)) {
        fs_list_free(l.item, l.n);
        return false;
    }
    if (l.n)
        qsort(l.item, l.n, sizeof *l.item, compare);
    *ret = l.item;
    *ret_n = l.n;
    return true;
}

void fs_list_free(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

static bool remove_folder(const char *path, struct error *err)
{
    struct fs_dir d;
    if (!fs_dir_open(&d, path, O_NOFOLLOW))
        return errno == ENOENT || error_errno(err, "cannot open folder '%s'", path);
    bool ok = true;
    const struct dirent64 *e;
    while ((e = fs_dir_next(&d))) {
        AUTO(mem) char *child = xprintf("%s/%s", path, e->d_name);
        ok = fs_remove_tree(child, err) && ok;
    }
    fs_dir_close(&d);
    if (ok && fs->rmdir(path) != 0 && errno != ENOENT)
        ok = error_errno(err, "cannot remove folder '%s'", path);
    return ok;
}

bool fs_remove_tree(const char *path, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT || error_errno(err, "cannot look at '%s'", path);
    if (S_ISDIR(st.st_mode))
        return remove_folder(path, err);
    return fs->unlink(path) == 0 || errno == ENOENT || error_errno(err, "cannot remove '%s'", path);
}
