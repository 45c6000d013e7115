#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/spec/spec_impl.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERRORS_MAX 500 /* nobody reads more, and a loop over a large list may make very many */

static int compare(const void *x, const void *y)
{
    const struct error *a = x, *b = y;
    int file = strcmp(a->file, b->file);
    if (file)
        return file;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->col != b->col)
        return a->col < b->col ? -1 : 1;
    return strcmp(a->text, b->text);
}

bool diag_take(struct diag *d, const struct error *err, const struct pos *pos)
{
    struct error placed = *err;
    error_at(&placed, pos);
    if (d->point && !placed.note.line && placed.code != ERROR_WARNING) {
        char text[sizeof placed.note.text];
        snprintf(text, sizeof text, "at the sweep's point %s", d->point);
        error_note(&placed, d->at, text);
    }
    for (size_t i = 0; i < d->n; i++)
        if (compare(&d->item[i], &placed) == 0)
            return false;
    if (diag_full(d))
        return false;
    d->item = xgrow(d->item, &d->cap, d->n + 1, sizeof *d->item);
    d->item[d->n++] = placed;
    return false;
}

bool diag_full(const struct diag *d)
{
    return d->n == ERRORS_MAX;
}

static bool add(struct diag *d, const struct pos *pos, const char *near, const struct pos *first,
                const char *fmt, va_list ap)
{
    AUTO(buf) struct buf text = {0};
    AUTO(mem) char *sentence = NULL;
    if (vasprintf(&sentence, fmt, ap) < 0)
        return false;
    buf_puts(&text, sentence);
    if (near)
        buf_printf(&text, "; did you mean '%s'?", near);
    struct error err = {0};
    error_set(&err, pos, ERROR_INPUT, "%s", buf_str(&text));
    if (first)
        error_note(&err, first, "first defined here");
    return diag_take(d, &err, NULL);
}

bool diag_add(struct diag *d, const struct pos *pos, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(d, pos, NULL, NULL, fmt, ap);
    va_end(ap);
    return false;
}

bool diag_unknown(struct diag *d, const struct pos *pos, const char *near, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(d, pos, near, NULL, fmt, ap);
    va_end(ap);
    return false;
}

bool diag_again(struct diag *d, const struct pos *pos, const struct pos *first, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(d, pos, NULL, first, fmt, ap);
    va_end(ap);
    return false;
}

void diag_warn(struct diag *d, const struct pos *pos, const char *fmt, ...)
{
    struct error err = {0};
    va_list ap;
    va_start(ap, fmt);
    AUTO(mem) char *text = NULL;
    if (vasprintf(&text, fmt, ap) >= 0) {
        error_set(&err, pos, ERROR_WARNING, "%s", text);
        diag_take(d, &err, NULL);
    }
    va_end(ap);
}

void diag_move(struct diag *d, struct diag *from)
{
    for (size_t i = 0; i < from->n; i++)
        diag_take(d, &from->item[i], NULL);
    free(from->item);
    *from = (struct diag){0};
}

void diag_sort(struct diag *d)
{
    if (d->n)
        qsort(d->item, d->n, sizeof *d->item, compare);
}
