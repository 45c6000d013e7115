/* AUTO(kind): release a local when it leaves scope, so that every failure is a plain return.
 * Each kind X names a function X_auto(T *) declared beside X. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO(kind) __attribute__((cleanup(kind##_auto)))

/* AUTO(mem) char *s: free(s). */
static inline void mem_auto(void *p)
{
    free(*(void **)p);
}
/* AUTO(fd) int f: close(f) when f >= 0. */
static inline void fd_auto(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
/* AUTO(file) FILE *f: fclose(f) when not NULL. */
static inline void file_auto(FILE **f)
{
    if (*f)
        fclose(*f);
}
#endif
