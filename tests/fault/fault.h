/* A table of file calls of which the N-th fails, writes half, or ends the process. */
#ifndef TESTS_FAULT_FAULT_H
#define TESTS_FAULT_FAULT_H
#include "base/fs.h"
#include <errno.h>
#include <unistd.h>

static int countdown, fault_errno; /* the N of the call; -1: die, -2: write half, else that error */

static bool strike(void)
{
    if (--countdown != 0)
        return false;
    if (fault_errno == -1)
        _exit(77);
    if (fault_errno > 0)
        errno = fault_errno;
    return true;
}
static int f_open(const char *p, int flags, mode_t m)
{
    return strike() && fault_errno > 0 ? -1 : fs_real.open(p, flags, m);
}
static ssize_t f_read(int fd, void *p, size_t n)
{
    return strike() && fault_errno > 0 ? -1 : fs_real.read(fd, p, n);
}
static ssize_t f_write(int fd, const void *p, size_t n)
{
    if (strike()) {
        if (fault_errno > 0)
            return -1;
        n = n > 1 ? n / 2 : n;
    }
    return fs_real.write(fd, p, n);
}
/* A call like the others, but the disk is left alone: the kernel outlives every process that dies here. */
static int f_fsync(int fd)
{
    return strike() && fault_errno > 0 ? -1 : 0;
}
static int f_rename(const char *a, const char *b)
{
    return strike() && fault_errno > 0 ? -1 : fs_real.rename(a, b);
}
static int f_unlink(const char *p)
{
    return strike() && fault_errno > 0 ? -1 : fs_real.unlink(p);
}
static int f_mkdir(const char *p, mode_t m)
{
    return strike() && fault_errno > 0 ? -1 : fs_real.mkdir(p, m);
}
static int f_close(int fd)
{
    int rc = fs_real.close(fd);
    return strike() && fault_errno > 0 ? -1 : rc;
}
static ssize_t f_pread(int fd, void *p, size_t n, off_t at)
{
    return strike() && fault_errno > 0 ? -1 : fs_real.pread(fd, p, n, at);
}
static ssize_t f_pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (strike()) {
        if (fault_errno > 0)
            return -1;
        n = n > 1 ? n / 2 : n;
    }
    return fs_real.pwrite(fd, p, n, at);
}
static int f_clone(int to, int from)
{
    return strike() && fault_errno > 0 ? -1 : fs_real.clone(to, from);
}
static int f_utimens(const char *p, const struct timespec t[2])
{
    return strike() && fault_errno > 0 ? -1 : fs_real.utimens(p, t);
}
static const char *f_boot_id(void)
{
    return fs_real.boot_id();
}
static const struct fs_ops faulty = {.open = f_open,
                                     .read = f_read,
                                     .write = f_write,
                                     .pread = f_pread,
                                     .pwrite = f_pwrite,
                                     .fsync = f_fsync,
                                     .close = f_close,
                                     .rename = f_rename,
                                     .link = link,
                                     .symlink = symlink,
                                     .unlink = f_unlink,
                                     .mkdir = f_mkdir,
                                     .rmdir = rmdir,
                                     .ftruncate = ftruncate,
                                     .clone = f_clone,
                                     .utimens = f_utimens,
                                     .boot_id = f_boot_id};
#endif
