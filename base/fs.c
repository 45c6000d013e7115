#include "base/fs.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int real_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags | O_CLOEXEC, mode);
}

static int real_clone(int to, int from)
{
    return ioctl(to, FICLONE, from);
}

static int real_utimens(const char *path, const struct timespec t[2])
{
    return utimensat(AT_FDCWD, path, t, AT_SYMLINK_NOFOLLOW);
}

static char boot[64];

static void read_boot(void)
{
    AUTO(fd) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, boot, sizeof boot - 1) : 0;
    boot[n > 0 ? n : 0] = '\0';
    boot[strcspn(boot, "\n/")] = '\0';
}

static const char *real_boot_id(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_boot);
    return boot;
}

const struct fs_ops fs_real = {
    .open = real_open,
    .read = read,
    .write = write,
    .pread = pread,
    .pwrite = pwrite,
    .fsync = fsync,
    .close = close,
    .rename = rename,
    .link = link,
    .symlink = symlink,
    .unlink = unlink,
    .mkdir = mkdir,
    .rmdir = rmdir,
    .ftruncate = ftruncate,
    .clone = real_clone,
    .utimens = real_utimens,
    .boot_id = real_boot_id,
};
const struct fs_ops *fs = &fs_real;

int fs_open(const char *path, int flags, mode_t mode)
{
    int fd;
    do
        fd = fs->open(path, flags, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

int fs_sync(int fd)
{
    int rc;
    do
        rc = fs->fsync(fd);
    while (rc != 0 && errno == EINTR);
    return rc;
}

int fs_close(int fd)
{
    int rc = fs->close(fd);
    return rc != 0 && errno == EINTR ? 0 : rc; /* it is closed all the same */
}

DIR *fs_opendir(const char *path)
{
    int fd = fs_open(path, O_RDONLY | O_DIRECTORY, 0);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && !d) {
        int saved = errno;
        close(fd);
        errno = saved;
    }
    return d;
}

const char *fs_boot_id(void)
{
    return fs->boot_id();
}

bool map_open(struct map *m, const char *path, struct error *err)
{
    AUTO(fd) int fd = fs_open(path, O_RDONLY, 0);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return error_errno(err, "cannot open '%s'", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, NULL, ERROR_INPUT, "'%s' is not a regular file", path);
    struct map r = {NULL, (size_t)st.st_size};
    if (r.size) {
        void *p = mmap(NULL, r.size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            return error_errno(err, "cannot map '%s'", path);
        r.data = p;
    }
    *m = r;
    return true;
}

void map_done(struct map *m)
{
    if (m->data)
        munmap((void *)(uintptr_t)m->data, m->size);
    *m = (struct map){0};
}

bool fs_write_all(int fd, const void *p, size_t n, const char *path, struct error *err)
{
    const char *at = p;
    while (n) {
        ssize_t w = fs->write(fd, at, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0) {
            errno = w < 0 ? errno : EIO;
            return error_errno(err, "cannot write '%s'", path);
        }
        at += w;
        n -= (size_t)w;
    }
    return true;
}

bool fs_pread_all(int fd, void *p, size_t n, off_t at, const char *path, struct error *err)
{
    char *to = p;
    while (n) {
        ssize_t r = fs->pread(fd, to, n, at);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0) {
            errno = r < 0 ? errno : EIO;
            return error_errno(err, "cannot read '%s'", path);
        }
        to += r;
        at += r;
        n -= (size_t)r;
    }
    return true;
}

bool fs_pwrite_all(int fd, const void *p, size_t n, off_t at, const char *path, struct error *err)
{
    const char *from = p;
    while (n) {
        ssize_t w = fs->pwrite(fd, from, n, at);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0) {
            errno = w < 0 ? errno : EIO;
            return error_errno(err, "cannot write '%s'", path);
        }
        from += w;
        at += w;
        n -= (size_t)w;
    }
    return true;
}

/* A file in the way of a folder is the mistake of who named it: ENOTDIR. */
static bool is_dir_or_fail(const char *path)
{
    bool is = fs_is_dir(path);
    errno = ENOTDIR;
    return is;
}

bool fs_mkdirs(const char *path, struct error *err)
{
    AUTO(mem) char *p = xstrdup(path);
    for (char *slash = strchr(p + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        if (fs->mkdir(p, 0777) != 0 && !(errno == EEXIST && is_dir_or_fail(p)))
            return error_errno(err, "cannot create folder '%s'", p);
        if (!slash)
            return true;
        *slash = '/';
    }
}

static bool write_new(const char *path, const void *p, size_t n, bool sync, struct error *err)
{
    int fd = fs_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0)
        return error_errno(err, "cannot create '%s'", path);
    bool ok = fs_write_all(fd, p, n, path, err);
    if (ok && sync && fs_sync(fd) != 0)
        ok = error_errno(err, "cannot sync '%s'", path);
    if (fs_close(fd) != 0 && ok)
        ok = error_errno(err, "cannot close '%s'", path);
    return ok;
}

bool fs_write_file(const char *path, const void *p, size_t n, struct error *err)
{
    return write_new(path, p, n, false, err);
}

bool fs_publish(const char *path, const void *p, size_t n, bool sync, struct error *err)
{
    AUTO(mem) char *copy = xstrdup(path);
    const char *dir = dirname(copy);
    AUTO(mem) char *temp = fs_temp_name(dir, ".publish");
    if (!write_new(temp, p, n, sync, err)) {
        fs->unlink(temp);
        return false;
    }
    if (fs->rename(temp, path) != 0) {
        error_errno(err, "cannot rename to '%s'", path);
        fs->unlink(temp);
        return false;
    }
    return !sync || fs_fsync_dir(dir, err);
}

static bool read_file(const char *path, int flags, char **ret, size_t *ret_n, struct error *err)
{
    AUTO(fd) int fd = fs_open(path, O_RDONLY | flags, 0);
    if (fd < 0 && errno == EPERM && flags)
        fd = fs_open(path, O_RDONLY, 0);
    if (fd < 0)
        return error_errno(err, "cannot open '%s'", path);
    AUTO(buf) struct buf b = {0};
    char chunk[16384];
    for (;;) {
        ssize_t n = fs->read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, "cannot read '%s'", path);
        if (n == 0)
            break;
        buf_add(&b, chunk, (size_t)n);
    }
    if (ret_n)
        *ret_n = b.len;
    *ret = buf_take(&b);
    return true;
}

bool fs_read_file(const char *path, char **ret, size_t *ret_n, struct error *err)
{
    return read_file(path, 0, ret, ret_n, err);
}

bool fs_read_file_unnoticed(const char *path, char **ret, size_t *ret_n, struct error *err)
{
    return read_file(path, O_NOATIME, ret, ret_n, err);
}

bool fs_fsync_dir(const char *dir, struct error *err)
{
    int fd = fs_open(dir, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return error_errno(err, "cannot open folder '%s'", dir);
    bool ok = fs_sync(fd) == 0 || error_errno(err, "cannot sync folder '%s'", dir);
    fs->close(fd);
    return ok;
}

bool fs_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool fs_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *fs_temp_name(const char *dir, const char *prefix)
{
    static atomic_ulong counter;
    return xprintf("%s/%s.%ld.%lu", dir, prefix, (long)getpid(), atomic_fetch_add(&counter, 1));
}
