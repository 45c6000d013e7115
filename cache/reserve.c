/* The store's limit: STORE/usage counts the bytes of objects and records together with those that processes
 * have reserved and not written yet. Each process keeps its part of the latter in its folder below tmp/,
 * whose lock says that it lives: when all is summed up again, that of the living is added to what lies there,
 * and what the dead had reserved is free. What was published since its process said so is then counted twice,
 * and nothing is ever left out. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/gc_impl.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#define MAGIC UINT64_C(0x3165676173756677) /* "wfusage1" */

struct count { /* as in the file */
    uint64_t magic;
    int64_t bytes;
    uint64_t host, boot; /* of whoever wrote it last: what was written before the power went may be older */
    uint64_t check;
};
struct usage {
    int own;      /* tmp/PID-N/reserved */
    int64_t open; /* what it says */
};

/* ---- the count ---- */

static uint64_t hash_of(const void *p, size_t n)
{
    struct digest d;
    uint64_t h;
    hash_bytes(p, n, &d);
    memcpy(&h, d.byte, sizeof h);
    return h;
}

static struct count count_of(int64_t bytes)
{
    char host[256] = "";
    const char *boot = fs_boot_id();
    gethostname(host, sizeof host - 1);
    struct count c = {.magic = MAGIC,
                      .bytes = bytes,
                      .host = hash_of(host, strlen(host)),
                      .boot = hash_of(boot, strlen(boot))};
    c.check = hash_of(&c, offsetof(struct count, check));
    return c;
}

/* False: it is not there, damaged, or may be older than what lies in the store. */
static bool count_read(int fd, int64_t *ret)
{
    struct count c, now;
    if (!fs_pread_all(fd, &c, sizeof c, 0, "usage", NULL) || c.magic != MAGIC || c.bytes < 0 ||
        c.check != hash_of(&c, offsetof(struct count, check)))
        return false;
    now = count_of(0);
    *ret = c.bytes;
    return c.host != now.host || c.boot == now.boot;
}

static bool count_write(int fd, int64_t bytes, struct error *err)
{
    struct count c = count_of(bytes > 0 ? bytes : 0);
    return fs_pwrite_all(fd, &c, sizeof c, 0, "usage", err);
}

static int count_open(const struct store *s, struct error *err)
{
    AUTO(mem) char *path = xprintf("%s/usage", s->path);
    int fd = fs_open(path, O_RDWR | O_CREAT, 0666);
    if (fd < 0)
        error_errno(err, "cannot open '%s'", path);
    return fd;
}

/* ---- what this process has reserved ---- */

static bool own_begin(struct store *s, struct error *err)
{
    if (s->usage)
        return true;
    free(store_scratch(s, err)); /* makes the folder */
    if (!s->scratch)
        return false;
    AUTO(mem) char *path = xprintf("%s/reserved", s->scratch);
    int fd = fs_open(path, O_RDWR | O_CREAT, 0666);
    if (fd < 0)
        return error_errno(err, "cannot create '%s'", path);
    s->usage = xcalloc(1, sizeof *s->usage);
    s->usage->own = fd;
    return true;
}

static bool own_change(struct store *s, int64_t by, struct error *err)
{
    struct usage *u = s->usage;
    u->open += by - commit_settled(s->commit); /* that lies in the store now */
    if (u->open < 0)
        u->open = 0;
    return fs_pwrite_all(u->own, &u->open, sizeof u->open, 0, "reserved", err);
}

/* With the lock `usage`. What is ours is written first: then nobody sums up without it. */
static bool take(struct store *s, int fd, int64_t count, int64_t bytes, struct error *err)
{
    if (own_change(s, bytes, err) && count_write(fd, count + bytes, err))
        return true;
    (void)!own_change(s, -bytes, NULL);
    return false;
}

/* What a process below tmp/ has reserved; nothing when it is gone. */
static int64_t open_of(const char *folder)
{
    AUTO(mem) char *path = xprintf("%s/reserved", folder);
    int64_t n = 0;
    AUTO(fd) int dir = fs_open(folder, O_RDONLY | O_DIRECTORY, 0);
    AUTO(fd) int fd = dir >= 0 ? fs_open(path, O_RDONLY, 0) : -1;
    if (fd < 0 || flock(dir, LOCK_SH | LOCK_NB) == 0)
        return 0;
    return fs_pread_all(fd, &n, sizeof n, 0, path, NULL) && n > 0 ? n : 0;
}

static bool open_of_all(const struct store *s, int64_t *ret, struct error *err)
{
    AUTO(mem) char *tmp = xprintf("%s/tmp", s->path);
    DIR *d = fs_opendir(tmp);
    const struct dirent *e;
    *ret = 0;
    if (!d)
        return error_errno(err, "cannot open folder '%s'", tmp);
    while ((e = readdir(d))) {
        AUTO(mem) char *path = xprintf("%s/%s", tmp, e->d_name);
        *ret += e->d_name[0] == '.' ? 0 : open_of(path);
    }
    closedir(d);
    return true;
}

/* ---- the whole store ---- */

static bool add_size(void *arg, const struct digest *d, const struct stat *st)
{
    *(int64_t *)arg += st->st_size;
    return true;
}

struct sum {
    int64_t lying, open;
};

/* With the lock `usage`: nobody reserves or publishes what was not reserved. With `gc`: nothing goes. */
static bool sum_up(const struct store *s, struct sum *ret, struct error *err)
{
    *ret = (struct sum){0};
    return (listing_each(s->objects, add_size, &ret->lying, err) &&
            listing_each(s->records, add_size, &ret->lying, err) && open_of_all(s, &ret->open, err)) ||
           error_context(err, "cannot sum up the size of '%s'", s->path);
}

/* Sum up, and reserve `bytes` if there is room for them. */
static bool recount(struct store *s, int64_t bytes, bool *ret_done, struct sum *ret, struct error *err)
{
    AUTO(fd) int lock = store_lock(s, "usage", LOCK_EX, err);
    AUTO(fd) int fd = lock >= 0 ? count_open(s, err) : -1;
    if (fd < 0 || (s->usage && !own_change(s, 0, err)) || !sum_up(s, ret, err))
        return false;
    int64_t sum = ret->lying + ret->open;
    *ret_done = sum + bytes <= s->config.max_size;
    return *ret_done && bytes ? take(s, fd, sum, bytes, err) : count_write(fd, sum, err);
}

bool usage_recount(struct store *s, struct error *err)
{
    struct sum sum;
    bool done;
    return s->config.max_size <= 0 || recount(s, 0, &done, &sum, err);
}

/* ---- reserving ---- */

static bool full(const struct store *s, int64_t bytes, const struct sum *sum, const struct gc_report *r,
                 struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM,
                     "the store is full: %lld bytes more would pass its limit of %lld; objects and records "
                     "take %lld, work "
                     "under way has reserved %lld, and %zu results that could go are pinned, %zu in use. "
                     "Raise 'max_size' in "
                     "'%s/config', remove pins, or wait until other runs end",
                     (long long)bytes, (long long)s->config.max_size, (long long)sum->lying,
                     (long long)sum->open, r->pinned, r->used, s->path);
}

/* A tenth of what may stay goes as well, so that the next one finds room. */
static int64_t goal_of(int64_t room)
{
    return room - room / 10 > 0 ? room - room / 10 : 1;
}

/* By the count there is no room, or there is no count. */
static bool reserve_slowly(struct store *s, int64_t bytes, struct error *err)
{
    struct sum sum;
    struct gc_report r = {0};
    bool done;
    AUTO(fd) int lock = store_lock(s, "gc", LOCK_EX, err); /* who collects just now makes room for us too */
    if (lock < 0 || !recount(s, bytes, &done, &sum, err))
        return false;
    if (done)
        return true;
    int64_t room = s->config.max_size - sum.open - bytes;
    if (room >= 0 && (!gc_collect(s, &(struct gc_options){0}, goal_of(room), &r, err) ||
                      !recount(s, bytes, &done, &sum, err)))
        return false;
    return done || full(s, bytes, &sum, &r, err);
}

bool store_reserve(struct store *s, int64_t bytes, struct error *err)
{
    int64_t count;
    if (s->config.max_size <= 0 || bytes <= 0)
        return true;
    if (!own_begin(s, err))
        return false;
    AUTO(fd) int lock = store_lock(s, "usage", LOCK_EX, err);
    AUTO(fd) int fd = lock >= 0 ? count_open(s, err) : -1;
    if (fd < 0)
        return false;
    if (count_read(fd, &count) && count + bytes <= s->config.max_size)
        return take(s, fd, count, bytes, err);
    close(lock);
    lock = -1;
    return reserve_slowly(s, bytes, err);
}

bool usage_has_room(const struct store *s, int64_t bytes)
{
    int64_t count;
    if (s->config.max_size <= 0)
        return true;
    AUTO(fd) int fd = count_open(s, NULL);
    return fd >= 0 && count_read(fd, &count) && count + bytes <= s->config.max_size;
}

void store_unreserve(struct store *s, int64_t bytes)
{
    int64_t count;
    if (!s->usage || bytes <= 0)
        return;
    AUTO(fd) int lock = store_lock(s, "usage", LOCK_EX, NULL);
    AUTO(fd) int fd = lock >= 0 ? count_open(s, NULL) : -1;
    /* What cannot be given back counts until the size is summed up again. */
    if (fd >= 0 && count_read(fd, &count))
        (void)!count_write(fd, count - bytes, NULL);
    (void)!own_change(s, -bytes, NULL);
}

void usage_close(struct store *s)
{
    if (!s->usage)
        return;
    /* What was not published after all. When some of it could not be, nobody knows how much: it counts until
     * the size is summed up again. */
    if (commit_flush(s->commit, NULL)) {
        (void)!own_change(s, 0, NULL);
        store_unreserve(s, s->usage->open);
    }
    close(s->usage->own);
    free(s->usage);
    s->usage = NULL;
}

void usage_forget(const struct store *s)
{
    AUTO(mem) char *path = xprintf("%s/usage", s->path);
    if (s->config.max_size <= 0 && fs_exists(path))
        fs->unlink(path);
}
