/* What a machine that loses power forgets: a journal of what this process changed below one folder and never
 * synced. power_off() undoes it on the disk, as hard as POSIX allows, and ends the process. */
#ifndef TESTS_FAULT_POWER_H
#define TESTS_FAULT_POWER_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Changes below `store` count; what is lost is drawn by seed and call; `aside` is a folder on the same file
 * system for what is replaced and removed. */
void power_begin(const char *store, const char *aside, uint64_t seed, uint64_t call);

/* Before the call / after it succeeded. Each is called with the journal's lock held. */
void power_lock(void);
void power_unlock(void);
void power_opened(int fd, const char *path, bool created, bool truncated);
void power_writes(int fd, off_t at);  /* at < 0: where the descriptor stands; before the bytes are there */
void power_synced(int fd);            /* a file or a folder */
void power_made(const char *path);    /* mkdir, symlink, link */
void power_removes(const char *path); /* before unlink or rmdir */
void power_renames(const char *from, const char *to); /* before it */
void power_forget(void);                              /* the last _removes or _renames failed */
_Noreturn void power_off(void);
#endif
