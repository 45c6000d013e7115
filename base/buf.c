#include "base/buf.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void reserve(struct buf *b, size_t extra)
{
    if (b->cap - b->len > extra && b->data)
        return;
    size_t cap = b->cap ? 2 * b->cap : 128;
    while (cap - b->len <= extra)
        cap *= 2;
    b->data = xrealloc(b->data, cap);
    b->cap = cap;
}

char *buf_room(struct buf *b, size_t n)
{
    reserve(b, n);
    char *at = b->data + b->len;
    b->len += n;
    b->data[b->len] = '\0';
    return at;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    char *at = buf_room(b, n);
    if (n)
        memcpy(at, p, n);
}

void buf_puts(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_putc(struct buf *b, char c)
{
    reserve(b, 1);
    b->data[b->len++] = c;
    b->data[b->len] = '\0';
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    reserve(b, 64); /* most texts are short: they need no second round */
    size_t room = b->cap - b->len;
    int n = vsnprintf(b->data + b->len, room, fmt, ap);
    va_end(ap);
    if ((size_t)n >= room) {
        reserve(b, (size_t)n);
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    b->len += (size_t)n;
}

void buf_drop(struct buf *b, size_t n)
{
    if (n == 0)
        return;
    b->len -= n;
    memmove(b->data, b->data + n, b->len + 1);
}

static void fill(struct buf *b, size_t used, int width)
{
    for (size_t i = used; i < (size_t)width; i++)
        buf_putc(b, ' ');
}

void buf_left(struct buf *b, const char *s, int width)
{
    buf_puts(b, s);
    fill(b, strlen(s), width);
}

void buf_right(struct buf *b, const char *s, int width)
{
    fill(b, strlen(s), width);
    buf_puts(b, s);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    if (b->data)
        b->data[0] = '\0';
}

char *buf_take(struct buf *b)
{
    reserve(b, 0);
    char *s = b->data;
    s[b->len] = '\0';
    *b = (struct buf){0};
    return s;
}

const char *buf_str(const struct buf *b)
{
    return b->data ? b->data : "";
}

void buf_done(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}
