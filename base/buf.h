/* Growable byte string, always NUL-terminated. Zero-initialise: struct buf b = {0}. */
#ifndef BASE_BUF_H
#define BASE_BUF_H
#include "base/error.h"
#include <stddef.h>

struct buf {
    char *data; /* NULL while empty and never written */
    size_t len, cap;
};

void buf_add(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_left(struct buf *b, const char *s, int width); /* s, then blanks up to the width; "%-*s" */
void buf_right(struct buf *b, const char *s, int width);
/* Room for n bytes more, which the caller fills all, behind what there is. */
char *buf_room(struct buf *b, size_t n);
void buf_drop(struct buf *b, size_t n); /* the first n bytes */
void buf_clear(struct buf *b);          /* length 0, memory kept */
/* The string, owned by the caller from now on; b is empty afterwards. Never NULL. */
char *buf_take(struct buf *b);
const char *buf_str(const struct buf *b); /* never NULL */
void buf_done(struct buf *b);
static inline void buf_auto(struct buf *b)
{
    buf_done(b);
}
#endif
