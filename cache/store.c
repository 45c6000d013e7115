#include "cache/store.h"
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

#define TOUCHED 600 /* seconds: use is told no finer */

char *store_file(const struct store *s, const char *kind, const struct digest *d)
{
    struct buf path = {0};
    char hex[DIGEST_HEX];
    digest_hex(d, hex);
    buf_puts(&path, s->path);
    buf_putc(&path, '/');
    buf_puts(&path, kind);
    buf_putc(&path, '/');
    buf_add(&path, hex, 2);
    buf_putc(&path, '/');
    buf_puts(&path, hex + 2);
    return buf_take(&path);
}

bool store_stat(int folder, const struct digest *d, struct stat *ret)
{
    char name[DIGEST_HEX + 1];
    digest_hex(d, name + 1);
    name[0] = name[1];
    name[1] = name[2];
    name[2] = '/';
    return fstatat(folder, name, ret, 0) == 0;
}

struct index *store_index(struct store *s)
{
    if (s->index)
        return s->index;
    AUTO(mem) char *path = xprintf("%s/index", s->path);
    return s->index = index_open(path);
}

bool store_make_parent(const char *file, struct error *err)
{
    AUTO(mem) char *dir = xstrndup(file, (size_t)(strrchr(file, '/') - file));
    if (fs->mkdir(dir, 0777) == 0) {
        AUTO(mem) char *above = xstrndup(dir, (size_t)(strrchr(dir, '/') - dir));
        return fs_fsync_dir(above, err);
    }
    return errno == EEXIST || fs_mkdirs(dir, err);
}

void store_quarantine(const struct store *s, const char *file, const char *kind, const struct digest *d)
{
    char hex[DIGEST_HEX];
    AUTO(mem) char *to = xprintf("%s/quarantine/%s-%s", s->path, kind, digest_hex(d, hex));
    if (fs->rename(file, to) != 0)
        fs->unlink(file); /* must not be served again, even where it cannot be kept */
}

const char *store_path(const struct store *s)
{
    return s->path;
}

const struct store_config *store_config(const struct store *s)
{
    return &s->config;
}

bool store_claim(struct store *s, const struct digest *key, struct error *err)
{
    return lock_take(s->locks, LOCK_KEY, key, true, err) == LOCK_MINE;
}

void store_unclaim(struct store *s, const struct digest *key)
{
    lock_drop(s->locks, LOCK_KEY, key);
}

void lock_use(struct locks *l, enum lock_kind kind, const struct digest *d)
{
    const struct timespec moment = {.tv_nsec = 500000};
    while (lock_take(l, kind, d, false, NULL) == LOCK_BUSY)
        nanosleep(&moment, NULL);
}

void store_use(struct store *s, const struct digest *d)
{
    lock_use(s->locks, LOCK_USE, d);
}

int store_lock(const struct store *s, const char *name, int how, struct error *err)
{
    AUTO(mem) char *path = xprintf("%s/locks/%s", s->path, name);
    int fd = fs_open(path, O_RDWR | O_CREAT, 0666);
    if (fd < 0)
        error_errno(err, "cannot open '%s'", path);
    while (fd >= 0 && s->config.locks && flock(fd, how) != 0) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK)
            error_errno(err, "cannot lock '%s'", path);
        close(fd);
        return -1;
    }
    return fd;
}

void store_touch(struct store *s, const struct digest *key)
{
    struct stat st;
    time_t recently = time(NULL) - TOUCHED;
    if (store_stat(s->records, key, &st) && st.st_atime > recently && st.st_atime <= recently + TOUCHED)
        return;
    AUTO(mem) char *file = store_file(s, "records", key);
    const struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    fs->utimens(file, now); /* not possible: it counts as used when it was read */
}

/* tmp/.lock orders making a folder (shared) against sweeping (exclusive), so that a sweeper never meets a
 * folder whose owner has not locked it yet. */
static int tmp_lock(const struct store *s, int how, struct error *err)
{
    AUTO(mem) char *path = xprintf("%s/tmp/.lock", s->path);
    int fd = fs_open(path, O_RDWR | O_CREAT, 0666);
    if (fd < 0) {
        error_errno(err, "cannot open '%s'", path);
        return -1;
    }
    while (flock(fd, how) != 0) {
        if (errno == EINTR)
            continue;
        error_errno(err, "cannot lock '%s'", path);
        close(fd);
        return -1;
    }
    return fd;
}

static bool open_folder(const struct store *s, const char *name, int *ret, struct error *err)
{
    AUTO(mem) char *path = xprintf("%s/%s", s->path, name);
    *ret = fs_open(path, O_PATH | O_DIRECTORY, 0);
    return *ret >= 0 || error_errno(err, "cannot open folder '%s'", path);
}

static void sweep_one(const char *path)
{
    AUTO(fd) int fd = fs_open(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        fs_remove_tree(path, NULL);
}

/* Remove the temporary folders of processes that are gone. Another sweeper at work: leave it to it. */
static void sweep(const struct store *s)
{
    AUTO(fd) int lock = tmp_lock(s, LOCK_EX | LOCK_NB, NULL);
    AUTO(mem) char *tmp = xprintf("%s/tmp", s->path);
    DIR *d = lock >= 0 ? fs_opendir(tmp) : NULL;
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        AUTO(mem) char *path = xprintf("%s/%s", tmp, e->d_name);
        sweep_one(path);
    }
    if (d)
        closedir(d);
}

/* The store's own folders, as durable as what will be in them. */
static bool make_folders(const struct store *s, struct error *err)
{
    static const char *const folder[] = {"objects", "records", "imports", "checkpoints",
                                         "locks",   "tmp",     "runs",    "quarantine"};
    bool made = false;
    for (size_t i = 0; i < sizeof folder / sizeof *folder; i++) {
        AUTO(mem) char *dir = xprintf("%s/%s", s->path, folder[i]);
        if (fs->mkdir(dir, 0777) == 0)
            made = true;
        else if (errno != EEXIST)
            return error_errno(err, "cannot create folder '%s'", dir);
    }
    AUTO(mem) char *above = xprintf("%s/..", s->path);
    return !made || (fs_fsync_dir(s->path, err) && fs_fsync_dir(above, err));
}

bool store_open(const char *path, struct store **ret, struct error *err)
{
    AUTO(store) struct store *s = xcalloc(1, sizeof *s);
    s->records = s->objects = -1;
    arena_init(&s->arena);
    if (!fs_mkdirs(path, err))
        return error_context(err, "store");
    AUTO(mem) char *absolute = realpath(path, NULL);
    if (!absolute)
        return error_errno(err, "store '%s'", path);
    s->path = xstrdup(absolute);
    if (!make_folders(s, err))
        return false;
    AUTO(mem) char *config = xprintf("%s/config", s->path);
    AUTO(mem) char *locks = xprintf("%s/locks", s->path);
    if (!config_read(config, &s->arena, &s->config, err))
        return error_context(err, "store");
    s->locks = locks_open(locks, s->config.locks);
    s->commit = commit_new(s);
    if (!open_folder(s, "records", &s->records, err) || !open_folder(s, "objects", &s->objects, err))
        return false;
    sweep(s);
    usage_forget(s);
    *ret = s;
    s = NULL;
    return true;
}

/* A process of the same number may have the name: one that is gone, or one on another host or in another
 * container. Either way the next name is free or not. */
static char *make_temp(struct store *s, struct error *err)
{
    for (;;) {
        char *path = xprintf("%s/tmp/%ld-%lu", s->path, (long)getpid(), s->counter++);
        if (fs->mkdir(path, 0777) == 0)
            return path;
        bool taken = errno == EEXIST;
        if (!taken)
            error_errno(err, "cannot create folder '%s'", path);
        free(path);
        if (!taken)
            return NULL;
    }
}

bool store_temp_dir(struct store *s, char **ret, struct error *err)
{
    AUTO(fd) int lock = tmp_lock(s, LOCK_SH, err);
    if (lock < 0)
        return false;
    AUTO(mem) char *path = make_temp(s, err);
    if (!path)
        return false;
    int fd = fs_open(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
        error_errno(err, "cannot lock folder '%s'", path);
        if (fd >= 0)
            close(fd);
        return false;
    }
    struct store_temp *t = xmalloc(sizeof *t);
    *t = (struct store_temp){.path = xstrdup(path), .fd = fd, .next = s->temp};
    s->temp = t;
    *ret = xstrdup(path);
    return true;
}

char *store_scratch(struct store *s, struct error *err)
{
    if (!s->scratch && !store_temp_dir(s, &s->scratch, err))
        return NULL;
    return fs_temp_name(s->scratch, "put");
}

bool store_rename(const char *from, const char *to, struct error *err)
{
    if (!store_make_parent(to, err))
        return false;
    if (fs->rename(from, to) != 0)
        return error_errno(err, "cannot rename to '%s'", to);
    AUTO(mem) char *dir = xstrndup(to, (size_t)(strrchr(to, '/') - to));
    return fs_fsync_dir(dir, err);
}

bool store_commit(bool ok, int fd, const char *temp, const char *to, struct error *err)
{
    ok = ok && (fs_sync(fd) == 0 || error_errno(err, "cannot sync '%s'", temp));
    ok = (fs_close(fd) == 0 || (ok && error_errno(err, "cannot close '%s'", temp))) && ok;
    ok = ok && store_rename(temp, to, err);
    if (!ok)
        fs->unlink(temp);
    return ok;
}

/* When the writing or this fails nothing of the file is left. */
static bool commit_written(struct store *s, enum commit_kind kind, bool ok, int fd, const char *temp,
                           const struct digest *d, int64_t reserved, bool claimed, struct error *err)
{
    if (!ok)
        fs->close(fd);
    ok = ok && commit_add(s->commit, kind, d, fd, temp, reserved, claimed, err);
    if (!ok)
        fs->unlink(temp);
    return ok;
}

bool store_commit_object(struct store *s, bool ok, int fd, const char *temp, const struct digest *d,
                         int64_t reserved, struct error *err)
{
    return commit_written(s, COMMIT_OBJECT, ok, fd, temp, d, reserved, false, err);
}

/* The file's time to the nanosecond: a write in the same tick of the kernel's clock then changes it. */
static int create_exact(const char *temp, const void *p, size_t n, bool *ok, struct error *err)
{
    int fd = fs_open(temp, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    struct timespec time[2] = {{.tv_nsec = UTIME_OMIT}};
    *ok = fd >= 0 ? fs_write_all(fd, p, n, temp, err) : error_errno(err, "cannot create '%s'", temp);
    if (*ok && clock_gettime(CLOCK_REALTIME, &time[1]) == 0 && futimens(fd, time) != 0)
        errno = 0; /* a file system without times: the file is as good */
    return fd;
}

bool store_commit_record(struct store *s, const struct digest *key, const char *text, int64_t reserved,
                         bool claimed, struct stat *ret, struct error *err)
{
    bool ok;
    AUTO(mem) char *temp = store_scratch(s, err);
    int fd = temp ? create_exact(temp, text, strlen(text), &ok, err) : -1;
    if (fd < 0)
        return false;
    ok = ok && (fstat(fd, ret) == 0 || error_errno(err, "cannot look at '%s'", temp));
    return commit_written(s, COMMIT_RECORD, ok, fd, temp, key, reserved, claimed, err);
}

bool store_flush(struct store *s, struct error *err)
{
    return commit_flush(s->commit, err);
}

bool store_publish(struct store *s, const char *file, const void *p, size_t n, struct error *err)
{
    AUTO(mem) char *temp = store_scratch(s, err);
    if (!temp)
        return false;
    bool ok;
    int fd = create_exact(temp, p, n, &ok, err);
    if (fd < 0)
        return false;
    return store_commit(ok, fd, temp, file, err);
}

bool store_unpack(const struct frame_file *from, const struct digest *d, int64_t size, const char *to,
                  const char **why, struct error *err)
{
    struct frame_file out = {fs_open(to, O_WRONLY | O_CREAT | O_EXCL, 0444), to};
    *why = NULL;
    if (out.fd < 0)
        return error_errno(err, "cannot create '%s'", to);
    bool ok = frame_read(from, &out, size, d, why, err);
    if (fs_close(out.fd) != 0 && ok)
        ok = error_errno(err, "cannot close '%s'", to);
    if (!ok)
        fs->unlink(to);
    return ok;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    usage_close(s);
    commit_free(s->commit);
    hot_close(s);
    index_close(s->index, s);
    if (s->records >= 0)
        close(s->records);
    if (s->objects >= 0)
        close(s->objects);
    while (s->temp) {
        struct store_temp *t = s->temp;
        s->temp = t->next;
        fs_remove_tree(t->path, NULL);
        close(t->fd);
        free(t->path);
        free(t);
    }
    locks_close(s->locks);
    arena_done(&s->arena);
    free(s->scratch);
    free(s->path);
    free(s);
}
