/* Arena: many allocations, one release. One arena per lifetime (spec, task, step). Tensors and
 * blocks of 1 KiB or more are 64-byte aligned, smaller ones for any type. A counting arena allocates nothing
 * and returns non-NULL addresses that must not be touched: the function that lays out a stage's buffers, run
 * on a counting arena, is that stage's memory model. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct arena_chunk;
struct arena {
    struct arena_chunk *head;
    size_t used;  /* bytes handed out since the last reset */
    size_t peak;  /* largest `used` ever */
    size_t limit; /* 0: none; beyond it arena_alloc returns NULL */
    size_t grow;  /* least size of the next chunk */
    bool counting;
};

void arena_init(struct arena *a);
void arena_init_counting(struct arena *a);
/* Zeroed memory; NULL when memory or the limit is exhausted. */
void *arena_try(struct arena *a, size_t n);
/* As arena_try but exhaustion ends the process like xmalloc: for small things only. */
void *arena_alloc(struct arena *a, size_t n);
/* Float tensor of n elements, NOT zeroed; NULL on exhaustion. */
float *arena_floats(struct arena *a, int64_t n);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
/* A mark and the return to it: frees everything allocated since (stack discipline). */
struct arena_mark {
    struct arena_chunk *chunk;
    size_t offset, used;
};
struct arena_mark arena_mark(const struct arena *a);
void arena_release(struct arena *a, struct arena_mark m);
void arena_reset(struct arena *a); /* keeps the memory for reuse */
void arena_done(struct arena *a);
static inline void arena_auto(struct arena *a)
{
    arena_done(a);
}
#endif
