#include "engine/exec/workdirs.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define MODE 0777 /* less the umask */

struct workdir {
    char *path;
    bool taken;
    char **sub; /* empty folders in it, as they were made */
    size_t n, cap;
};
struct workdirs {
    char *dir;
    unsigned long made;
    mode_t mode; /* as ours are */
    uid_t uid;
    struct workdir *item; /* no more than attempts at a time */
    size_t n, cap;
};

struct workdirs *workdirs_new(const char *dir)
{
    struct workdirs *w = xcalloc(1, sizeof *w);
    w->dir = xstrdup(dir);
    return w;
}

static void forget_subs(struct workdir *d)
{
    while (d->n)
        free(d->sub[--d->n]);
}

static void forget(struct workdirs *w, struct workdir *d)
{
    forget_subs(d);
    free(d->sub);
    free(d->path);
    *d = w->item[--w->n];
}

void workdirs_free(struct workdirs *w)
{
    if (!w)
        return;
    while (w->n)
        forget(w, &w->item[w->n - 1]);
    free(w->item);
    free(w->dir);
    free(w);
}

static void add_sub(struct workdir *d, const char *name)
{
    d->sub = xgrow(d->sub, &d->cap, d->n + 1, sizeof *d->sub);
    d->sub[d->n++] = xstrdup(name);
}

static struct workdir *find(const struct workdirs *w, const char *path)
{
    size_t i = 0;
    while (i < w->n && w->item[i].path != path)
        i++;
    assert(i < w->n);
    return &w->item[i];
}

const char *workdirs_take(struct workdirs *w, struct error *err)
{
    struct stat st;
    for (size_t i = 0; i < w->n; i++)
        if (!w->item[i].taken) {
            w->item[i].taken = true;
            return w->item[i].path;
        }
    char *path = xprintf("%s/attempt.%lu", w->dir, w->made++);
    if (fs->mkdir(path, MODE) != 0 || lstat(path, &st) != 0) {
        error_errno(err, "cannot create folder '%s'", path);
        free(path);
        return NULL;
    }
    w->mode = st.st_mode;
    w->uid = st.st_uid;
    w->item = xgrow(w->item, &w->cap, w->n + 1, sizeof *w->item);
    w->item[w->n++] = (struct workdir){.path = path, .taken = true};
    return path;
}

bool workdirs_sub(struct workdirs *w, const char *path, const char *name, struct error *err)
{
    struct workdir *d = find(w, path);
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->sub[i], name) == 0)
            return true;
    AUTO(mem) char *sub = xprintf("%s/%s", path, name);
    if (fs->mkdir(sub, MODE) != 0)
        return error_errno(err, "cannot create folder '%s'", sub);
    add_sub(d, name);
    return true;
}

static bool as_made(const struct fs_dir *d, mode_t mode, uid_t uid)
{
    struct stat st;
    return fstat(d->fd, &st) == 0 && st.st_mode == mode && st.st_uid == uid;
}

/* Remove what is in folder path; with keep, but for the folders in it, which are emptied and noted there. No:
 * it is not what it was made as, or something stays. */
static bool empty(const char *path, mode_t mode, uid_t uid, struct workdir *keep)
{
    struct fs_dir d;
    const struct dirent64 *e;
    if (!fs_dir_open(&d, path, O_NOFOLLOW))
        return false;
    bool ok = as_made(&d, mode, uid);
    while (ok && (e = fs_dir_next(&d))) {
        AUTO(mem) char *in = xprintf("%s/%s", path, e->d_name);
        if (keep && e->d_type == DT_DIR) {
            ok = empty(in, mode, uid, NULL);
            add_sub(keep, e->d_name);
        } else {
            ok = e->d_type == DT_REG ? fs->unlink(in) == 0 : fs_remove_tree(in, NULL);
        }
    }
    fs_dir_close(&d);
    return ok;
}

static bool empty_outputs(const struct workdirs *w, const struct workdir *d)
{
    bool ok = true;
    for (size_t i = 0; ok && i < d->n; i++) {
        if (strncmp(d->sub[i], "out.", 4) != 0)
            continue;
        AUTO(mem) char *in = xprintf("%s/%s", d->path, d->sub[i]);
        ok = empty(in, w->mode, w->uid, NULL);
    }
    return ok;
}

void workdirs_give(struct workdirs *w, const char *path, bool tidied)
{
    if (!path)
        return;
    struct workdir *d = find(w, path);
    d->taken = false;
    if (tidied && empty_outputs(w, d))
        return;
    forget_subs(d);
    if (empty(path, w->mode, w->uid, d))
        return;
    fs_remove_tree(path, NULL);
    forget(w, d);
}

/* A folder that was left empty is marked by its time, which is another as soon as anything comes into it: it
 * need not be read to be known as empty. */
static const struct timespec mark[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

static bool is_marked(const char *path, struct stat *st)
{
    return lstat(path, st) == 0 && S_ISDIR(st->st_mode) && st->st_mtim.tv_sec == mark[1].tv_sec &&
           st->st_mtim.tv_nsec == mark[1].tv_nsec;
}

static bool tidy(const char *path, const char *scratch)
{
    struct fs_dir d;
    struct stat st;
    const struct dirent64 *e;
    if (!fs_dir_open(&d, path, O_NOFOLLOW))
        return false;
    bool ok = fstat(d.fd, &st) == 0;
    while (ok && (e = fs_dir_next(&d)))
        ok = e->d_type == DT_DIR && (strcmp(e->d_name, "scratch") == 0 || strncmp(e->d_name, "out.", 4) == 0);
    fs_dir_close(&d);
    return ok && empty(scratch, st.st_mode, st.st_uid, NULL);
}

bool workdirs_tidy(const char *scratch)
{
    AUTO(mem) char *path = xstrndup(scratch, (size_t)(strrchr(scratch, '/') - scratch));
    struct stat outer, inner;
    if (is_marked(path, &outer) && is_marked(scratch, &inner) && inner.st_mode == outer.st_mode &&
        inner.st_uid == outer.st_uid)
        return true;
    if (!tidy(path, scratch))
        return false;
    utimensat(AT_FDCWD, path, mark, AT_SYMLINK_NOFOLLOW);
    utimensat(AT_FDCWD, scratch, mark, AT_SYMLINK_NOFOLLOW);
    return true;
}
