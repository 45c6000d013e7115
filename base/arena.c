#include "base/arena.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 64   /* of tensors, and of every block from LARGE on */
#define LARGE 1024 /* bytes */
/* Many arenas live for one task and hold little; large ones soon have large chunks. */
#define CHUNK_FIRST ((size_t)4 << 10)
#define CHUNK_MOST  ((size_t)256 << 10)

/* Chunks form a stack; allocation is from the top one. */
struct arena_chunk {
    struct arena_chunk *below;
    size_t size, offset; /* of the data, which begins ALIGN bytes after the chunk */
};

static size_t round_up(size_t n, size_t align)
{
    return (n + align - 1) & ~(align - 1);
}

/* What any object of n bytes may need, and no more: an experiment has millions of small ones. */
static size_t align_of(size_t n)
{
    return n >= LARGE ? ALIGN : n >= 16 ? 16 : 8;
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

/* Count n bytes at the next multiple of align, the same whether they are handed out or only counted. */
static bool account(struct arena *a, size_t n, size_t align)
{
    size_t from = round_up(a->used, align);
    if (from > SIZE_MAX - n || (a->limit && (n > a->limit || from > a->limit - n)))
        return false;
    a->used = from + n;
    if (a->used > a->peak)
        a->peak = a->used;
    return true;
}

/* Uninitialised bytes. */
static void *take(struct arena *a, size_t n, size_t align)
{
    struct arena_chunk *c = a->head;
    size_t from = c ? round_up(c->offset, align) : 0;
    if (!c || from > c->size || c->size - from < n) {
        size_t size = !c ? CHUNK_FIRST : c->size < CHUNK_MOST / 4 ? 4 * c->size : CHUNK_MOST;
        size = n > size ? round_up(n, ALIGN) : size;
        if (size < a->grow)
            size = a->grow;
        a->grow = 0;
        if (size > SIZE_MAX - ALIGN)
            return NULL;
        struct arena_chunk *fresh = aligned_alloc(ALIGN, round_up(size, ALIGN) + ALIGN);
        if (!fresh)
            return NULL;
        *fresh = (struct arena_chunk){.below = c, .size = size};
        a->head = c = fresh;
        from = 0;
    }
    c->offset = from + n;
    return data_of(c) + from;
}

static void *allocate(struct arena *a, size_t n, size_t align, bool zero)
{
    if (n > SIZE_MAX - 2 * ALIGN)
        return NULL;
    n = n ? n : 1;
    size_t before = a->used;
    if (!account(a, n, align))
        return NULL;
    if (a->counting)
        return (void *)(uintptr_t)ALIGN;
    void *p = take(a, n, align);
    if (!p)
        a->used = before;
    else if (zero)
        memset(p, 0, n);
    return p;
}

void *arena_try(struct arena *a, size_t n)
{
    return allocate(a, n, align_of(n), true);
}

static void *or_exit(void *p)
{
    if (!p)
        mem_exhausted();
    return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
    return or_exit(arena_try(a, n));
}

float *arena_floats(struct arena *a, int64_t n)
{
    if (n < 0 || (uint64_t)n > SIZE_MAX / sizeof(float) - ALIGN)
        return NULL;
    return allocate(a, (size_t)n * sizeof(float), ALIGN, false);
}

char *arena_strdup(struct arena *a, const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(or_exit(allocate(a, n, 1, false)), s, n);
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = or_exit(allocate(a, (size_t)n + 1, 1, false));
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
