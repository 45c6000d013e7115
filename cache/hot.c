#include "cache/hot.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/store_impl.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

/* The time of change that every hot file is given: whoever writes to one changes it. */
#define MADE 1000000000

struct hot_use {
    struct digest digest;
    int64_t size;
    int n; /* uses by this process; 0: a place in the table that is free to take */
};
struct hot {
    char *root, *dir; /* STORE/hot or as configured; below it that of this boot */
    int64_t bytes;    /* of all files, as far as this process knows; -1: it has not looked yet */
    int lock;         /* of dir, shared, while this process lives; -1: none */
    struct hot_use *use;
    size_t n, cap;
};

/* ---- the folder ---- */

/* Folders of other boots, and of other machines that share the store, when nobody there uses them. */
static void sweep_boots(const struct store *s, const struct hot *h)
{
    DIR *d = s->config.locks ? fs_opendir(h->root) : NULL;
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        AUTO(mem) char *path = xprintf("%s/%s", h->root, e->d_name);
        if (e->d_name[0] == '.' || strcmp(e->d_name, fs_boot_id()) == 0)
            continue;
        AUTO(fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            fs_remove_tree(path, NULL);
    }
    if (d)
        closedir(d);
}

static bool hot_open(struct store *s, struct error *err)
{
    if (s->hot)
        return true;
    struct hot *h = xcalloc(1, sizeof *h);
    h->root = *s->config.hot ? xstrdup(s->config.hot) : xprintf("%s/hot", s->path);
    h->dir = xprintf("%s/%s", h->root, fs_boot_id());
    h->lock = -1;
    h->bytes = -1;
    s->hot = h;
    for (int i = 0; i < 3 && h->lock < 0; i++) { /* one that is swept just now is made again */
        if (!fs_mkdirs(h->dir, err))
            break;
        h->lock = fs_open(h->dir, O_RDONLY | O_DIRECTORY, 0);
        struct stat mine, there;
        if (h->lock >= 0 && s->config.locks &&
            (flock(h->lock, LOCK_SH) != 0 || fstat(h->lock, &mine) != 0 || stat(h->dir, &there) != 0 ||
             mine.st_ino != there.st_ino)) {
            close(h->lock);
            h->lock = -1;
        }
    }
    if (h->lock < 0) {
        hot_close(s);
        return error_errno(err, "cannot make the folder of hot files below '%s'",
                           *s->config.hot ? s->config.hot : s->path);
    }
    char *real = realpath(h->dir, NULL); /* links into it are told by their paths */
    if (real) {
        free(h->dir);
        h->dir = real;
    }
    sweep_boots(s, h);
    return true;
}

void hot_close(struct store *s)
{
    struct hot *h = s->hot;
    if (!h)
        return;
    if (h->lock >= 0)
        close(h->lock);
    free(h->use);
    free(h->dir);
    free(h->root);
    free(h);
    s->hot = NULL;
}

static char *file_of(const struct store *s, const struct digest *d)
{
    char hex[DIGEST_HEX];
    digest_hex(d, hex);
    return xprintf("%s/%.2s/%s", s->hot->dir, hex, hex + 2);
}

/* ---- who uses what ---- */

/* Open addressing; a file whose uses have ended keeps its place, so that nothing is ever moved. */
static struct hot_use *use_of(struct hot *h, const struct digest *d)
{
    uint64_t at;
    memcpy(&at, d->byte, sizeof at);
    for (size_t i = at & (h->cap - 1); h->cap; i = (i + 1) & (h->cap - 1))
        if (!h->use[i].size || digest_equal(&h->use[i].digest, d))
            return &h->use[i];
    return NULL;
}

static void grow(struct hot *h)
{
    struct hot old = *h;
    h->cap = old.cap ? 2 * old.cap : 64;
    h->use = xcalloc(h->cap, sizeof *h->use);
    for (size_t i = 0; i < old.cap; i++)
        if (old.use[i].size)
            *use_of(h, &old.use[i].digest) = old.use[i];
    free(old.use);
}

/* Sizes are kept one higher, so that 0 marks a free place. */
static void use_begin(struct store *s, const struct digest *d, int64_t size)
{
    struct hot *h = s->hot;
    if (2 * (h->n + 1) > h->cap)
        grow(h);
    struct hot_use *u = use_of(h, d);
    if (!u->size) {
        *u = (struct hot_use){*d, size + 1, 0};
        h->n++;
    }
    if (u->n++ == 0)
        lock_use(s->locks, LOCK_HOT, d);
}

void store_hot_drop(struct store *s, const struct digest *d)
{
    struct hot_use *u = s->hot ? use_of(s->hot, d) : NULL;
    if (u && u->n > 0 && --u->n == 0)
        lock_drop(s->locks, LOCK_HOT, d);
}

/* ---- files ---- */

/* Is the file there, as it was made? Used now, then. */
static bool intact(const char *path, int64_t size)
{
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    return st.st_size == size && st.st_mtim.tv_sec == MADE && st.st_mtim.tv_nsec == 0;
}

static bool mark(const char *path)
{
    const struct timespec t[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = MADE}};
    return fs->utimens(path, t) == 0;
}

static bool unpack(struct store *s, const struct digest *d, int64_t size, const char *file, struct error *err)
{
    AUTO(mem) char *dir = xstrndup(file, (size_t)(strrchr(file, '/') - file));
    AUTO(mem) char *temp = fs_temp_name(s->hot->dir, ".new");
    if (!fs_mkdirs(dir, err) || !store_get_file(s, d, size, temp, err))
        return false;
    if (mark(temp) && fs->rename(temp, file) == 0) {
        s->hot->bytes += s->hot->bytes >= 0 ? size : 0;
        return true;
    }
    error_errno(err, "cannot make the hot file '%s'", file);
    fs->unlink(temp);
    return false;
}

char *store_hot(struct store *s, const struct digest *d, int64_t size, struct error *err)
{
    if (!hot_open(s, err))
        return NULL;
    use_begin(s, d, size);
    char *file = file_of(s, d);
    if (intact(file, size) ? mark(file) : unpack(s, d, size, file, err))
        return file;
    store_hot_drop(s, d);
    free(file);
    return NULL;
}

char *store_hot_adopt(struct store *s, const struct digest *d, int64_t size, const char *path)
{
    if (!hot_open(s, NULL))
        return NULL;
    use_begin(s, d, size);
    char *file = file_of(s, d);
    AUTO(mem) char *dir = xstrndup(file, (size_t)(strrchr(file, '/') - file));
    bool ok = intact(file, size) && mark(file);
    if (ok) {
        fs->unlink(path); /* the same content is there already */
        return file;
    }
    if (chmod(path, 0444) == 0 && mark(path) && fs_mkdirs(dir, NULL) && fs->rename(path, file) == 0) {
        s->hot->bytes += s->hot->bytes >= 0 ? size : 0;
        return file;
    }
    store_hot_drop(s, d);
    free(file);
    return NULL;
}

bool store_hot_digest(const struct store *s, const char *path, struct digest *ret, int64_t *ret_size)
{
    size_t n = s->hot ? strlen(s->hot->dir) : 0;
    struct stat st;
    char hex[DIGEST_HEX];
    if (!n || strncmp(path, s->hot->dir, n) != 0 || strlen(path) != n + 1 + DIGEST_HEX || path[n] != '/')
        return false;
    snprintf(hex, sizeof hex, "%.2s%s", path + n + 1, path + n + 4);
    if (!digest_parse(hex, ret) || lstat(path, &st) != 0)
        return false;
    *ret_size = st.st_size;
    return true;
}

bool store_hot_unchanged(struct store *s, const struct digest *d)
{
    const struct hot_use *u = s->hot ? use_of(s->hot, d) : NULL;
    if (!u || !u->size)
        return true;
    AUTO(mem) char *file = file_of(s, d);
    struct stat st;
    if (lstat(file, &st) != 0 || intact(file, u->size - 1))
        return lstat(file, &st) == 0;
    fs->unlink(file);
    return false;
}

bool store_hot_clone(struct store *s, const struct digest *d, int64_t size, const char *to)
{
    if (!hot_open(s, NULL))
        return false;
    AUTO(mem) char *file = file_of(s, d);
    int from = intact(file, size) ? fs_open(file, O_RDONLY, 0) : -1;
    int fd = from >= 0 ? fs_open(to, O_WRONLY | O_CREAT | O_EXCL, 0444) : -1;
    bool ok = fd >= 0 && fs->clone(fd, from) == 0;
    if (from >= 0)
        fs->close(from);
    if (fd >= 0)
        ok = fs_close(fd) == 0 && ok;
    if (fd >= 0 && !ok)
        fs->unlink(to);
    return ok;
}

/* ---- room ---- */

struct lying {
    char *path;
    struct digest digest;
    int64_t size;
    struct timespec used;
};

static int by_use(const void *a, const void *b)
{
    const struct lying *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return x->used.tv_nsec < y->used.tv_nsec ? -1 : x->used.tv_nsec > y->used.tv_nsec;
}

/* All files; what a process left half-made an hour ago goes at once. */
static size_t list(const struct store *s, struct lying **ret, bool sweep, int64_t *ret_bytes)
{
    char **name;
    size_t n, found = 0;
    *ret = NULL;
    *ret_bytes = 0;
    if (!fs_list_tree(s->hot->dir, &name, &n, NULL))
        return 0;
    struct lying *all = xcalloc(n, sizeof *all);
    for (size_t i = 0; i < n; i++) {
        char *path = xprintf("%s/%s", s->hot->dir, name[i]);
        struct lying l = {.path = path};
        struct stat st;
        bool there = lstat(path, &st) == 0;
        if (there && store_hot_digest(s, path, &l.digest, &l.size)) {
            l.used = st.st_atim;
            *ret_bytes += l.size;
            all[found++] = l;
            continue;
        }
        if (sweep && there && time(NULL) - st.st_ctim.tv_sec > 3600)
            fs->unlink(path);
        free(path);
    }
    fs_list_free(name, n);
    *ret = all;
    return found;
}

bool store_hot_full(struct store *s)
{
    struct lying *all;
    if (!hot_open(s, NULL))
        return false;
    if (s->hot->bytes < 0)
        for (size_t n = list(s, &all, true, &s->hot->bytes), i = 0; i <= n; i++)
            free(i < n ? (void *)all[i].path : (void *)all);
    return s->hot->bytes > s->config.hot_size;
}

/* Without locks nobody knows who uses it. */
static bool may_go(const struct store *s, const struct lying *l)
{
    const struct hot_use *ours = use_of(s->hot, &l->digest);
    return !(ours && ours->n > 0) && (s->config.locks || time(NULL) - l->used.tv_sec > 24 * 3600);
}

/* Locks of its own tell of all who use a file, this process among them. remove false: would it go? */
static bool remove_unused(struct locks *locks, const struct lying *l, bool remove)
{
    if (lock_take(locks, LOCK_HOT, &l->digest, true, NULL) != LOCK_MINE)
        return false;
    bool gone = !remove || fs->unlink(l->path) == 0;
    lock_drop(locks, LOCK_HOT, &l->digest);
    return gone;
}

static struct locks *own_locks(const struct store *s)
{
    AUTO(mem) char *dir = xprintf("%s/locks", s->path);
    return locks_open(dir, s->config.locks);
}

void store_hot_forget(struct store *s, const struct digest *d)
{
    struct stat st;
    if (!hot_open(s, NULL))
        return;
    AUTO(mem) char *file = file_of(s, d);
    struct lying l = {.path = file, .digest = *d};
    if (lstat(file, &st) != 0)
        return;
    l.size = st.st_size;
    l.used = st.st_atim;
    struct locks *locks = own_locks(s);
    if (may_go(s, &l) && remove_unused(locks, &l, true) && s->hot->bytes >= 0)
        s->hot->bytes -= l.size;
    locks_close(locks);
}

/* *ret_n files go, or would. */
static void trim(struct store *s, int64_t limit, bool remove, int64_t *ret_bytes, size_t *ret_n)
{
    struct lying *all;
    int64_t bytes;
    size_t n = list(s, &all, remove, &bytes);
    struct locks *locks = own_locks(s);
    if (n)
        qsort(all, n, sizeof *all, by_use);
    for (size_t i = 0; i < n; i++) {
        if (bytes > limit && may_go(s, &all[i]) && remove_unused(locks, &all[i], remove)) {
            bytes -= all[i].size;
            *ret_bytes += all[i].size;
            ++*ret_n;
        }
        free(all[i].path);
    }
    if (remove)
        s->hot->bytes = bytes;
    locks_close(locks);
    free(all);
}

void store_hot_trim(struct store *s, int64_t limit, int64_t *ret_bytes, size_t *ret_n)
{
    *ret_bytes = 0;
    *ret_n = 0;
    if (hot_open(s, NULL))
        trim(s, limit < 0 ? s->config.hot_size : limit, true, ret_bytes, ret_n);
}

void store_hot_excess(struct store *s, bool remove, int64_t *ret_bytes, size_t *ret_n)
{
    AUTO(mem) char *root = *s->config.hot ? xstrdup(s->config.hot) : xprintf("%s/hot", s->path);
    AUTO(mem) char *dir = xprintf("%s/%s", root, fs_boot_id());
    *ret_bytes = 0;
    *ret_n = 0;
    if (fs_is_dir(dir) && hot_open(s, NULL))
        trim(s, s->config.hot_size, remove, ret_bytes, ret_n);
}
