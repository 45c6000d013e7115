#include "engine/exec/workdirs.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define MODE 0777 /* less the umask */

struct workdirs {
    char *dir;
    unsigned long made;
    mode_t mode; /* as ours are */
    uid_t uid;
    char **spare;
    size_t n, cap;
};

struct workdirs *workdirs_new(const char *dir)
{
    struct workdirs *w = xcalloc(1, sizeof *w);
    w->dir = xstrdup(dir);
    return w;
}

void workdirs_free(struct workdirs *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++)
        free(w->spare[i]);
    free(w->spare);
    free(w->dir);
    free(w);
}

char *workdirs_take(struct workdirs *w, struct error *err)
{
    struct stat st;
    if (w->n)
        return w->spare[--w->n];
    char *path = xprintf("%s/attempt.%lu", w->dir, w->made++);
    if (fs->mkdir(path, MODE) == 0 && lstat(path, &st) == 0) {
        w->mode = st.st_mode;
        w->uid = st.st_uid;
        return path;
    }
    error_errno(err, "cannot create folder '%s'", path);
    free(path);
    return NULL;
}

bool workdirs_sub(const char *path, struct error *err)
{
    return fs->mkdir(path, MODE) == 0 || errno == EEXIST ||
           error_errno(err, "cannot create folder '%s'", path);
}

/* Remove what is in folder path, but for folders in it, which are emptied, where keep says so. False: it is
 * not what it was made as, or something stays. */
static bool empty(const struct workdirs *w, const char *path, bool keep)
{
    struct stat st;
    struct fs_dir d;
    const struct dirent64 *e;
    if (!fs_dir_open(&d, path, O_NOFOLLOW))
        return false;
    bool ok = fstat(d.fd, &st) == 0 && st.st_mode == w->mode && st.st_uid == w->uid;
    while (ok && (e = fs_dir_next(&d))) {
        AUTO(mem) char *in = xprintf("%s/%s", path, e->d_name);
        ok = keep && e->d_type == DT_DIR ? empty(w, in, false) : fs_remove_tree(in, NULL);
    }
    fs_dir_close(&d);
    return ok;
}

void workdirs_give(struct workdirs *w, char *path)
{
    if (!path)
        return;
    if (!empty(w, path, true)) {
        fs_remove_tree(path, NULL);
        free(path);
        return;
    }
    w->spare = xgrow(w->spare, &w->cap, w->n + 1, sizeof *w->spare);
    w->spare[w->n++] = path;
}
