/* Small allocations that cannot fail: running out of memory for these ends the process with a message (exit
 * 1). Tensors use an arena, whose exhaustion is an error instead. */
#ifndef BASE_MEM_H
#define BASE_MEM_H
#include <stddef.h>

/* That end: what every allocation here does when memory has run out. */
_Noreturn void mem_exhausted(void);
/* From here on the process keeps memory that it frees, up to 64 MiB, for what it allocates next: glibc else
 * gives an image's or a batch's back to the kernel each time, and every page of the next one is a fault. */
void mem_keep_freed(void);
void *xmalloc(size_t n);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t n);
/* Grow an array of *cap elements of `size` bytes to hold at least `need`; amortised doubling. */
void *xgrow(void *p, size_t *cap, size_t need, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#endif
