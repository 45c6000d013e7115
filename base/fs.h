/* Files. Every call that changes a file system goes through one table, `fs`, so that tests can fail, crash or
 * lose power at the N-th call. Publishing: write to a temporary name in the same directory, fsync, rename,
 * fsync the directory; a reader sees all of a file or none of it. */
#ifndef BASE_FS_H
#define BASE_FS_H
#include "base/error.h"
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct fs_ops {
    int (*open)(const char *path, int flags, mode_t mode);
    ssize_t (*read)(int fd, void *p, size_t n);
    ssize_t (*write)(int fd, const void *p, size_t n);
    ssize_t (*pread)(int fd, void *p, size_t n, off_t at);
    ssize_t (*pwrite)(int fd, const void *p, size_t n, off_t at);
    int (*fsync)(int fd);
    int (*close)(int fd);
    int (*rename)(const char *from, const char *to);
    int (*link)(const char *from, const char *to);
    int (*symlink)(const char *target, const char *path);
    int (*unlink)(const char *path);
    int (*mkdir)(const char *path, mode_t mode);
    int (*rmdir)(const char *path);
    int (*ftruncate)(int fd, off_t n);
    int (*clone)(int to, int from);                               /* all of it, sharing blocks: FICLONE */
    int (*utimens)(const char *path, const struct timespec t[2]); /* access, change; follows no link */
    const char *(*boot_id)(void);                                 /* fs_boot_id */
};
extern const struct fs_ops fs_real;
extern const struct fs_ops *fs; /* fs_real unless a test swaps it */

/* A file mapped read-only. data is NULL for an empty file. */
struct map {
    const uint8_t *data;
    size_t size;
};
bool map_open(struct map *m, const char *path, struct error *err) MUST_CHECK;
void map_done(struct map *m);
static inline void map_auto(struct map *m)
{
    map_done(m);
}

/* open, fsync and close of the table, without their EINTR. */
int fs_open(const char *path, int flags, mode_t mode);
int fs_sync(int fd);
int fs_close(int fd);
/* opendir, by the open of the table; NULL with errno. */
DIR *fs_opendir(const char *path);
/* The same with fewer calls: entries but for "." and "..", as they come. */
struct fs_dir {
    int fd; /* -1: not open */
    size_t at, n;
    _Alignas(8) char room[2048]; /* on the stack, once a level of a tree */
};
bool fs_dir_open(struct fs_dir *d, const char *path, int flags); /* O_NOFOLLOW; false: errno says why */
const struct dirent64 *fs_dir_next(struct fs_dir *d); /* NULL: the end (errno 0), or errno says why */
void fs_dir_close(struct fs_dir *d);
/* What names this start of the machine: files made before the last one may have lost what was never synced.
 * "" where the kernel does not say. */
const char *fs_boot_id(void);
/* Write all n bytes, retrying EINTR and short writes. */
bool fs_write_all(int fd, const void *p, size_t n, const char *path, struct error *err) MUST_CHECK;
/* All n bytes at an offset, likewise; a file that ends before them is an error. */
bool fs_pread_all(int fd, void *p, size_t n, off_t at, const char *path, struct error *err) MUST_CHECK;
bool fs_pwrite_all(int fd, const void *p, size_t n, off_t at, const char *path, struct error *err) MUST_CHECK;
/* mkdir -p. */
bool fs_mkdirs(const char *path, struct error *err) MUST_CHECK;
/* Create or replace `path` atomically with n bytes; durable when it returns if sync. */
bool fs_publish(const char *path, const void *p, size_t n, bool sync, struct error *err) MUST_CHECK;
/* Plain write (not atomic): for private attempt folders. */
bool fs_write_file(const char *path, const void *p, size_t n, struct error *err) MUST_CHECK;
/* Whole file into a malloc'd, NUL-terminated string (*ret_n without the NUL). */
bool fs_read_file(const char *path, char **ret, size_t *ret_n, struct error *err) MUST_CHECK;
/* The same; its time of access stays, where the file is ours. */
bool fs_read_file_unnoticed(const char *path, char **ret, size_t *ret_n, struct error *err) MUST_CHECK;
bool fs_fsync_dir(const char *dir, struct error *err) MUST_CHECK;
/* rm -r; a missing path is success. */
bool fs_remove_tree(const char *path, struct error *err);
bool fs_exists(const char *path);
bool fs_is_dir(const char *path);
/* Relative paths (sorted bytewise, '/' separated) of all regular files and symlinks below root; malloc'd
 * array and strings, free with fs_list_free. */
bool fs_list_tree(const char *root, char ***ret, size_t *ret_n, struct error *err) MUST_CHECK;
void fs_list_free(char **list, size_t n);
/* Unique name in dir: "dir/prefix.<pid>.<counter>"; malloc'd. Does not create it. */
char *fs_temp_name(const char *dir, const char *prefix);
#endif
