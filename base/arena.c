#include "base/arena.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN     64
#define CHUNK_MIN ((size_t)256 << 10)

/* Chunks form a stack; allocation is from the top one. */
struct arena_chunk {
    struct arena_chunk *below;
    size_t size, offset; /* of the data, which begins ALIGN bytes after the chunk */
};

static size_t round_up(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static char *data_of(struct arena_chunk *c)
{
    return (char *)c + ALIGN;
}

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

void arena_init_counting(struct arena *a)
{
    *a = (struct arena){.counting = true};
}

static bool account(struct arena *a, size_t n)
{
    if (a->limit && (n > a->limit || a->used > a->limit - n))
        return false;
    a->used += n;
    if (a->used > a->peak)
        a->peak = a->used;
    return true;
}

/* Uninitialised bytes, n already rounded. */
static void *take(struct arena *a, size_t n)
{
    struct arena_chunk *c = a->head;
    if (!c || c->size - c->offset < n) {
        size_t size = n > CHUNK_MIN ? n : CHUNK_MIN;
        if (size < a->grow)
            size = a->grow;
        a->grow = 0;
        if (size > SIZE_MAX - ALIGN)
            return NULL;
        struct arena_chunk *fresh = aligned_alloc(ALIGN, size + ALIGN);
        if (!fresh)
            return NULL;
        *fresh = (struct arena_chunk){.below = c, .size = size};
        a->head = c = fresh;
    }
    void *p = data_of(c) + c->offset;
    c->offset += n;
    return p;
}

static void *allocate(struct arena *a, size_t n, bool zero)
{
    if (n > SIZE_MAX - ALIGN)
        return NULL;
    n = round_up(n ? n : 1);
    if (!account(a, n))
        return NULL;
    if (a->counting)
        return (void *)(uintptr_t)ALIGN;
    void *p = take(a, n);
    if (!p)
        a->used -= n;
    else if (zero)
        memset(p, 0, n);
    return p;
}

void *arena_try(struct arena *a, size_t n)
{
    return allocate(a, n, true);
}

void *arena_alloc(struct arena *a, size_t n)
{
    void *p = arena_try(a, n);
    if (!p)
        mem_exhausted();
    return p;
}

float *arena_floats(struct arena *a, int64_t n)
{
    if (n < 0 || (uint64_t)n > SIZE_MAX / sizeof(float) - ALIGN)
        return NULL;
    return allocate(a, (size_t)n * sizeof(float), false);
}

char *arena_strdup(struct arena *a, const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(arena_alloc(a, n), s, n);
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = arena_alloc(a, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    return s;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){a->head, a->head ? a->head->offset : 0, a->used};
}

/* Drop the chunks above `keep`. When that was one, it stays for reuse; when there were several, the next
 * chunk will be as large as all of them, so that a loop of mark, work, release allocates twice and then never
 * again. */
static void drop_above(struct arena *a, struct arena_chunk *keep)
{
    if (a->head == keep)
        return;
    if (a->head->below == keep) {
        a->head->offset = 0;
        return;
    }
    size_t total = 0;
    while (a->head != keep) {
        struct arena_chunk *c = a->head;
        total += c->size;
        a->head = c->below;
        free(c);
    }
    a->grow = total;
}

void arena_release(struct arena *a, struct arena_mark m)
{
    if (!a->counting)
        drop_above(a, m.chunk);
    if (m.chunk)
        m.chunk->offset = m.offset;
    a->used = m.used;
}

void arena_reset(struct arena *a)
{
    if (!a->counting)
        drop_above(a, NULL);
    a->used = 0;
}

void arena_done(struct arena *a)
{
    while (a->head) {
        struct arena_chunk *c = a->head;
        a->head = c->below;
        free(c);
    }
    a->used = 0;
}
