#include "cache/listing.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* 64 bits of the digest behind its first byte, which the folder's name says, and the inode; never 0. */
static uint64_t tag_of(const struct digest *d, uint64_t inode)
{
    uint64_t tag;
    memcpy(&tag, d->byte + 1, sizeof tag);
    tag ^= inode * UINT64_C(0x9E3779B97F4A7C15);
    return tag ? tag : 1;
}

static void insert(struct listing_part *p, uint64_t tag)
{
    size_t i = tag & p->mask;
    while (p->slot[i] && p->slot[i] != tag)
        i = (i + 1) & p->mask;
    p->slot[i] = tag;
}

static void build(struct listing_part *p, const uint64_t *tag, size_t n)
{
    size_t slots = 8;
    while (slots < 2 * n)
        slots *= 2;
    *p = (struct listing_part){.slot = xcalloc(slots, sizeof *p->slot), .mask = slots - 1};
    for (size_t i = 0; i < n; i++)
        insert(p, tag[i]);
}

static void read_part(struct listing_part *p, int folder, int number, bool inodes)
{
    char fan[8], hex[DIGEST_HEX + 2];
    snprintf(fan, sizeof fan, "%02x", (unsigned)number & 0xff);
    int fd = openat(folder, fan, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d && fd >= 0)
        close(fd);
    AUTO(mem) uint64_t *tag = NULL;
    size_t n = 0, cap = 0;
    const struct dirent *f;
    while (d && (f = readdir(d))) {
        struct digest digest;
        if (strlen(f->d_name) != 62)
            continue;
        memcpy(hex, fan, 2);
        memcpy(hex + 2, f->d_name, 63);
        if (!digest_parse(hex, &digest))
            continue;
        tag = xgrow(tag, &cap, n + 1, sizeof *tag);
        tag[n++] = tag_of(&digest, inodes ? f->d_ino : 0);
    }
    if (d)
        closedir(d);
    build(p, tag, n);
}

void listing_read(struct listing *l, int folder, bool inodes)
{
#pragma omp parallel for schedule(dynamic, 8)
    for (int i = 0; i < 256; i++)
        read_part(&l->part[i], folder, i, inodes);
}

bool listing_has(const struct listing *l, const struct digest *d, uint64_t inode)
{
    const struct listing_part *p = &l->part[d->byte[0]];
    uint64_t tag = tag_of(d, inode);
    size_t i = tag & p->mask;
    while (p->slot[i] && p->slot[i] != tag)
        i = (i + 1) & p->mask;
    return p->slot[i] == tag;
}

void listing_done(struct listing *l)
{
    for (int i = 0; i < 256; i++)
        free(l->part[i].slot);
    *l = (struct listing){0};
}

static bool cannot_read(int fd, const char *name, struct error *err)
{
    error_errno(err, "folder '%s'", name);
    if (fd >= 0)
        close(fd);
    return false;
}

/* One of the 256 folders; *more: see() wants to go on. */
static bool each_in(int folder, const char *fan,
                    bool (*see)(void *arg, const struct digest *d, const struct stat *st), void *arg,
                    bool *more, struct error *err)
{
    char hex[DIGEST_HEX + 8];
    int fd = openat(folder, fan, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return errno == ENOENT || errno == ENOTDIR || cannot_read(fd, fan, err);
    bool ok = true;
    const struct dirent *f;
    while (ok && *more && (errno = 0, f = readdir(d))) {
        struct digest digest;
        struct stat st;
        snprintf(hex, sizeof hex, "%.2s%.68s", fan, f->d_name);
        if (!digest_parse(hex, &digest))
            continue;
        if (fstatat(fd, f->d_name, &st, 0) == 0)
            *more = see(arg, &digest, &st);
        else
            ok = errno == ENOENT || error_errno(err, "file '%s'", hex);
    }
    if (ok && *more && errno)
        ok = error_errno(err, "folder '%s'", fan);
    closedir(d);
    return ok;
}

bool listing_each(int folder, bool (*see)(void *arg, const struct digest *d, const struct stat *st),
                  void *arg, struct error *err)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return cannot_read(fd, ".", err);
    bool ok = true, more = true;
    const struct dirent *f;
    while (ok && more && (errno = 0, f = readdir(d)))
        if (strlen(f->d_name) == 2 && f->d_name[0] != '.')
            ok = each_in(folder, f->d_name, see, arg, &more, err);
    if (ok && more && errno)
        ok = error_errno(err, "a folder");
    closedir(d);
    return ok;
}
