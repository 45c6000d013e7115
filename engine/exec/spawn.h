/* A program in a process group of its own, so that a terminal's Ctrl-C reaches the engine alone, with default
 * signals. By posix_spawn: a fork of a large engine would cost its page tables. */
#ifndef ENGINE_EXEC_SPAWN_H
#define ENGINE_EXEC_SPAWN_H
#include <sys/types.h>

/* argv is NULL-ended; argv[0] is found in PATH unless it has a slash. env NULL: ours. fd: its stdin, stdout
 * and stderr, which stay the caller's. 0 or an errno. */
int spawn_group(pid_t *ret, const char *const *argv, const char *const *env, const int fd[3]);
#endif
