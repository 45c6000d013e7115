/* What no result needs: states of work that nobody goes on with, memos of outside files that are gone, what
 * was put aside or left half-made long ago, and plain files beyond their own limit. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "cache/gc_impl.h"
#include "cache/hot.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define DAY        86400.0
#define CHECKPOINT (7 * DAY)  /* whose work nobody has gone on with */
#define QUARANTINE (30 * DAY) /* since it was put there */
#define HALF_MADE  DAY

struct place {
    struct gc *gc;
    const char *path; /* of its folder */
    bool (*goes)(const struct place *p, const char *rel, const struct stat *st);
};

static double age(const struct place *p, const struct timespec *t)
{
    return p->gc->now - (double)t->tv_sec;
}

static void count(struct gc *g, int64_t bytes, size_t n)
{
    g->report->strays += n;
    g->report->stray_bytes += bytes;
}

/* What cannot be removed stays, and is found by the next gc. */
static void look_at(const struct place *p, const char *rel, const struct stat *st)
{
    AUTO(mem) char *path = xprintf("%s/%s", p->path, rel);
    if (p->goes(p, rel, st) && (p->gc->o->dry_run || fs->unlink(path) == 0))
        count(p->gc, st->st_size, 1);
}

/* All that is no folder, below p->path. */
static bool walk(const struct place *p, const char *rel, bool deep, struct error *err)
{
    AUTO(mem) char *path = *rel ? xprintf("%s/%s", p->path, rel) : xstrdup(p->path);
    DIR *d = fs_opendir(path);
    if (!d)
        return errno == ENOENT || error_errno(err, "cannot open folder '%s'", path);
    bool ok = true;
    const struct dirent *f;
    while (ok && (errno = 0, f = readdir(d))) {
        struct stat st;
        if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0 ||
            fstatat(dirfd(d), f->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) /* gone */
            continue;
        AUTO(mem) char *below = *rel ? xprintf("%s/%s", rel, f->d_name) : xstrdup(f->d_name);
        if (!S_ISDIR(st.st_mode))
            look_at(p, below, &st);
        else if (deep)
            ok = walk(p, below, deep, err);
    }
    closedir(d);
    return ok;
}

/* ---- what goes ---- */

/* The last states of finished work go when room is short, before anything that was worth storing. */
static bool checkpoint_goes(const struct place *p, const char *rel, const struct stat *st)
{
    AUTO(mem) char *hex = xprintf("%.2s%.62s", rel, rel + (strlen(rel) > 3 ? 3 : strlen(rel)));
    const char *step = strrchr(rel, '/');
    struct digest id;
    if (!step || !digest_parse(hex, &id)) /* no checkpoint: verification tells of it */
        return false;
    if (age(p, &st->st_mtim) > CHECKPOINT)
        return true;
    return p->gc->size > p->gc->goal && checkpoint_is_kept(p->gc->store, &id, strtoll(step + 1, NULL, 10));
}

/* The path is in the memo of a path, and is the text of the other kind. */
static bool memo_goes(const struct place *p, const char *rel, const struct stat *st)
{
    AUTO(mem) char *file = xprintf("%s/%s", p->path, rel);
    AUTO(mem) char *text = NULL;
    size_t n;
    struct stat now;
    if (age(p, &st->st_mtim) <= DAY || !fs_read_file_unnoticed(file, &text, &n, NULL))
        return false;
    if (strncmp(rel, "by-content/", 11) == 0)
        return text[0] == '/' && lstat(text, &now) != 0 && errno == ENOENT;
    AUTO_JSON j = json_parse(text, n, "memo", NULL);
    const char *path = json_string_or(j, "path", NULL);
    return path && lstat(path, &now) != 0 && errno == ENOENT;
}

static bool quarantine_goes(const struct place *p, const char *rel, const struct stat *st)
{
    return age(p, &st->st_ctim) > QUARANTINE; /* when it was moved there */
}

static bool half_made_goes(const struct place *p, const char *rel, const struct stat *st)
{
    return (strncmp(rel, ".publish.", 9) == 0 || strncmp(rel, "verified.", 9) == 0) &&
           age(p, &st->st_mtim) > HALF_MADE;
}

static void hot_files(struct gc *g)
{
    int64_t bytes;
    size_t n;
    store_hot_excess(g->store, !g->o->dry_run, &bytes, &n);
    count(g, bytes, n);
}

bool gc_strays(struct gc *g, struct error *err)
{
    static const struct {
        const char *folder;
        bool deep;
        bool (*goes)(const struct place *p, const char *rel, const struct stat *st);
    } places[] = {{"checkpoints", true, checkpoint_goes},
                  {"imports", true, memo_goes},
                  {"quarantine", true, quarantine_goes},
                  {".", false, half_made_goes}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        AUTO(mem) char *path = xprintf("%s/%s", g->store->path, places[i].folder);
        struct place p = {g, path, places[i].goes};
        if (!walk(&p, "", places[i].deep, err))
            return false;
    }
    hot_files(g);
    return true;
}
