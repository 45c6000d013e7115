#include "cache/lock.h"
#include "base/fs.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define FILES 64 /* of a kind: the kernel walks the locks of a file one by one */

struct locks {
    char *dir;
    bool reliable;
    pthread_mutex_t mutex;     /* opening a file */
    int fd[LOCK_KINDS][FILES]; /* -1: not open yet */
};
static const char *const kind_name[] = {[LOCK_KEY] = "key", [LOCK_USE] = "use", [LOCK_HOT] = "hot"};

struct locks *locks_open(const char *dir, bool reliable)
{
    struct locks *l = xcalloc(1, sizeof *l);
    l->dir = xstrdup(dir);
    l->reliable = reliable;
    pthread_mutex_init(&l->mutex, NULL);
    memset(l->fd, 0xff, sizeof l->fd);
    return l;
}

void locks_close(struct locks *l)
{
    if (!l)
        return;
    for (int k = 0; k < LOCK_KINDS; k++)
        for (int i = 0; i < FILES; i++)
            if (l->fd[k][i] >= 0)
                close(l->fd[k][i]);
    pthread_mutex_destroy(&l->mutex);
    free(l->dir);
    free(l);
}

static int lock_file(struct locks *l, enum lock_kind kind, const struct digest *d, struct error *err)
{
    int i = d->byte[0] % FILES;
    pthread_mutex_lock(&l->mutex);
    if (l->fd[kind][i] < 0) {
        char *path = xprintf("%s/%s.%02d", l->dir, kind_name[kind], i);
        l->fd[kind][i] = fs_open(path, O_RDWR | O_CREAT, 0666);
        if (l->fd[kind][i] < 0)
            error_errno(err, "cannot open '%s'", path);
        free(path);
    }
    int fd = l->fd[kind][i];
    pthread_mutex_unlock(&l->mutex);
    return fd;
}

/* 62 bits of the digest: where two agree in them they only wait for each other for nothing. */
static struct flock place(const struct digest *d, short type)
{
    uint64_t at = 0;
    for (int i = 1; i <= 8; i++)
        at = at << 8 | d->byte[i];
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)(at >> 2), .l_len = 1};
}

enum lock_answer lock_take(struct locks *l, enum lock_kind kind, const struct digest *d, bool alone,
                           struct error *err)
{
    if (!l->reliable)
        return LOCK_MINE;
    int fd = lock_file(l, kind, d, err);
    if (fd < 0)
        return LOCK_ERROR;
    struct flock f = place(d, alone ? F_WRLCK : F_RDLCK);
    while (fcntl(fd, F_OFD_SETLK, &f) != 0) {
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN || errno == EACCES)
            return LOCK_BUSY;
        error_errno(
            err,
            "cannot lock in '%s' (a file system without locks? set \"locks\": false in the store's config)",
            l->dir);
        return LOCK_ERROR;
    }
    return LOCK_MINE;
}

void lock_drop(struct locks *l, enum lock_kind kind, const struct digest *d)
{
    int fd = l->reliable ? l->fd[kind][d->byte[0] % FILES] : -1;
    struct flock f = place(d, F_UNLCK);
    if (fd >= 0)
        fcntl(fd, F_OFD_SETLK, &f);
}
