/* Walking folders: list and remove. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <errno.h>
#include <string.h>

struct list {
    char **item;
    size_t n, cap;
};

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool walk(const char *root, const char *rel, struct list *l, struct error *err)
{
    AUTO(mem) char *path = *rel ? xprintf("%s/%s", root, rel) : xstrdup(root);
    DIR *d = fs_opendir(path);
    if (!d)
        return error_errno(err, "cannot open folder '%s'", path);
    bool ok = true;
    const struct dirent *e;
    while (ok && (errno = 0, e = readdir(d))) {
        if (is_dots(e->d_name))
            continue;
        char *name = *rel ? xprintf("%s/%s", rel, e->d_name) : xstrdup(e->d_name);
        AUTO(mem) char *full = xprintf("%s/%s", root, name);
        struct stat st;
        if (lstat(full, &st) == 0 && S_ISDIR(st.st_mode)) {
            ok = walk(root, name, l, err);
            free(name);
        } else {
            l->item = xgrow(l->item, &l->cap, l->n + 1, sizeof *l->item);
            l->item[l->n++] = name;
        }
    }
    if (ok && errno)
        ok = error_errno(err, "cannot read folder '%s'", path);
    closedir(d);
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
    DIR *d = fs_opendir(path);
    if (!d)
        return errno == ENOENT || error_errno(err, "cannot open folder '%s'", path);
    bool ok = true;
    const struct dirent *e;
    while ((e = readdir(d))) {
        if (is_dots(e->d_name))
            continue;
        AUTO(mem) char *child = xprintf("%s/%s", path, e->d_name);
        ok = fs_remove_tree(child, err) && ok;
    }
    closedir(d);
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
