#include "cache/verified.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <fcntl.h>
#include <string.h>

#define PLACES 65536 /* 2 MiB at most, most of it a hole */

static void add(struct hasher *h, uint64_t x)
{
    hasher_add(h, &x, sizeof x);
}

/* The mark and its place; false: the boot is not known. */
static bool mark_of(const struct digest *d, const struct stat *st, struct digest *ret, off_t *ret_at)
{
    const char *boot = fs_boot_id();
    struct hasher h;
    uint64_t place;
    if (!boot[0])
        return false; /* nothing is believed */
    hasher_init(&h);
    hasher_add(&h, boot, strlen(boot) + 1);
    hasher_add(&h, d->byte, sizeof d->byte);
    add(&h, (uint64_t)st->st_ino);
    add(&h, (uint64_t)st->st_mtim.tv_sec);
    add(&h, (uint64_t)st->st_mtim.tv_nsec);
    add(&h, (uint64_t)st->st_size);
    hasher_finish(&h, ret);
    memcpy(&place, d->byte, sizeof place);
    *ret_at = (off_t)(place % PLACES * sizeof *ret);
    return true;
}

static int open_marks(const struct store *s, int flags)
{
    AUTO(mem) char *path = xprintf("%s/verified", store_path(s));
    return fs_open(path, flags, 0666);
}

bool verified_is(const struct store *s, const struct digest *d, const struct stat *st)
{
    struct digest want, have;
    off_t at;
    AUTO(fd) int fd = open_marks(s, O_RDONLY);
    return fd >= 0 && mark_of(d, st, &want, &at) && fs->pread(fd, &have, sizeof have, at) == sizeof have &&
           digest_equal(&want, &have);
}

void verified_mark(const struct store *s, const struct digest *d, const struct stat *st)
{
    struct digest mark;
    off_t at;
    AUTO(fd) int fd = open_marks(s, O_WRONLY | O_CREAT);
    if (fd >= 0 && mark_of(d, st, &mark, &at))
        (void)!fs->pwrite(fd, &mark, sizeof mark, at); /* half a mark is none */
}
