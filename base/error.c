#include "base/error.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool error_set(struct error *err, const struct pos *pos, enum error_code code, const char *fmt, ...)
{
    if (!err)
        return false;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    err->code = code;
    err->file[0] = '\0';
    err->line = err->col = 0;
    err->note.line = 0;
    return error_at(err, pos);
}

static enum error_code code_of(int e)
{
    if (e == ENOSPC || e == EDQUOT)
        return ERROR_FULL;
    return e == ENOENT || e == ENOTDIR || e == EISDIR || e == EACCES ? ERROR_INPUT : ERROR_SYSTEM;
}

bool error_errno(struct error *err, const char *fmt, ...)
{
    int saved = errno;
    if (!err)
        return false;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", strerror(saved));
    err->code = code_of(saved);
    err->file[0] = '\0';
    err->line = err->col = 0;
    err->note.line = 0;
    return false;
}

bool error_context(struct error *err, const char *fmt, ...)
{
    if (!err)
        return false;
    char context[sizeof err->text / 2];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(context, sizeof context - 2, fmt, ap);
    va_end(ap);
    size_t n = strlen(context);
    memcpy(context + n, ": ", 2);
    n += 2;
    size_t room = sizeof err->text - n - 1, old = strnlen(err->text, room);
    memmove(err->text + n, err->text, old);
    memcpy(err->text, context, n);
    err->text[n + old] = '\0';
    return false;
}

bool error_at(struct error *err, const struct pos *pos)
{
    if (err && pos && !err->line && pos->line) {
        snprintf(err->file, sizeof err->file, "%s", pos->file ? pos->file : "");
        err->line = pos->line;
        err->col = pos->col;
    }
    return false;
}

bool error_note(struct error *err, const struct pos *pos, const char *text)
{
    if (err && pos->line) {
        snprintf(err->note.file, sizeof err->note.file, "%s", pos->file ? pos->file : "");
        snprintf(err->note.text, sizeof err->note.text, "%s", text);
        err->note.line = pos->line;
        err->note.col = pos->col;
    }
    return false;
}

const char *error_string(const struct error *err, char *buf, int n)
{
    const char *kind = err->code == ERROR_WARNING ? "warning" : "error";
    if (err->file[0] && err->line)
        snprintf(buf, (size_t)n, "%s:%d:%d: %s: %s", err->file, err->line, err->col, kind, err->text);
    else
        snprintf(buf, (size_t)n, "%s: %s", kind, err->text);
    return buf;
}
