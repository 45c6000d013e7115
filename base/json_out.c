#include "base/json_out.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistr.h>

#define LEVELS 64

static void put_escaped(struct buf *out, unsigned char c)
{
    static const char letter[' '] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (c >= ' ')
        buf_add(out, (char[]){'\\', (char)c}, 2);
    else if (letter[c])
        buf_add(out, (char[]){'\\', letter[c]}, 2);
    else
        buf_printf(out, "\\u%04X", (unsigned)c);
}

/* Bytes from `from` on that need no look: neither escaped nor beyond ASCII. */
static size_t plain(const char *s, size_t from, size_t n)
{
    for (; from < n; from++) {
        unsigned char c = (unsigned char)s[from];
        if (c < ' ' || c >= 0x80 || c == '"' || c == '\\')
            break;
    }
    return from;
}

/* A character beyond ASCII; how many bytes it has, 1 when it is none. */
static size_t put_wide(struct json_out *o, const char *s, size_t n)
{
    ucs4_t c;
    int length = u8_mbtoucr(&c, (const uint8_t *)s, n);
    if (length > 0) {
        buf_add(o->to, s, (size_t)length);
        return (size_t)length;
    }
    o->bad = true;
    buf_puts(o->to, "\xEF\xBF\xBD");
    return 1;
}

static void put_text(struct json_out *o, const char *s, size_t n)
{
    size_t first = plain(s, 0, n);
    char *to = buf_room(o->to, first + 1 + (first == n));
    *to = '"';
    memcpy(to + 1, s, first);
    if (first == n) { /* as most are */
        to[n + 1] = '"';
        return;
    }
    for (size_t at = first; at < n;) {
        size_t end = plain(s, at, n);
        buf_add(o->to, s + at, end - at);
        at = end;
        if (at < n && (unsigned char)s[at] >= 0x80)
            at += put_wide(o, s + at, n - at);
        else if (at < n)
            put_escaped(o->to, (unsigned char)s[at++]);
    }
    buf_putc(o->to, '"');
}

static void new_line(struct buf *out, int depth)
{
    size_t blanks = 2 * (size_t)depth;
    char *to = buf_room(out, 1 + blanks);
    *to = '\n';
    memset(to + 1, ' ', blanks);
}

void json_out_lead(struct json_out *o, const char *name)
{
    if (o->follows)
        buf_putc(o->to, ',');
    o->follows = true;
    if (!name)
        return;
    put_text(o, name, strlen(name));
    buf_putc(o->to, ':');
}

static void begin(struct json_out *o, const char *name, bool list)
{
    assert(o->depth < LEVELS);
    json_out_lead(o, name);
    buf_putc(o->to, list ? '[' : '{');
    o->lists = (o->lists & ~(1ULL << o->depth)) | (uint64_t)list << o->depth;
    o->depth++;
    o->follows = false;
}

void json_out_object(struct json_out *o, const char *name)
{
    begin(o, name, false);
}

void json_out_list(struct json_out *o, const char *name)
{
    begin(o, name, true);
}

void json_out_end(struct json_out *o)
{
    assert(o->depth > 0);
    o->depth--;
    buf_putc(o->to, o->lists >> o->depth & 1 ? ']' : '}');
    o->follows = true;
}

void json_out_bytes(struct json_out *o, const char *name, const char *text, size_t n)
{
    json_out_lead(o, name);
    put_text(o, text, n);
}

void json_out_text(struct json_out *o, const char *name, const char *text)
{
    json_out_bytes(o, name, text, strlen(text));
}

/* Digits of value, at least so many, before `end`; where they begin. */
static char *digits(char *end, uint64_t value, int least)
{
    for (; value || least > 0; value /= 10, least--)
        *--end = (char)('0' + value % 10);
    return end;
}

void json_out_integer(struct json_out *o, const char *name, int64_t value)
{
    char text[24], *end = text + sizeof text;
    char *at = digits(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 1);
    if (value < 0)
        *--at = '-';
    json_out_lead(o, name);
    buf_add(o->to, at, (size_t)(end - at));
}

void json_out_seconds(struct json_out *o, const char *name, double seconds)
{
    char text[32], *end = text + sizeof text;
    double most = 1e12; /* longer than all else lasts */
    uint64_t micros = seconds > 0 ? (uint64_t)llround(fmin(seconds, most) * 1e6) : 0;
    char *at = digits(end, micros % 1000000, 6);
    *--at = '.';
    at = digits(at, micros / 1000000, 1);
    json_out_lead(o, name);
    buf_add(o->to, at, (size_t)(end - at));
}

/* "1e+20" is 1e20, "1e-05" is 1e-5, and a whole number stays a real one: 3.0. No locale is ever set. */
void json_out_real(struct json_out *o, const char *name, double value)
{
    char text[40];
    json_out_lead(o, name);
    if (!isfinite(value)) {
        buf_puts(o->to, "null");
        return;
    }
    snprintf(text, sizeof text, "%.17g", value);
    char *e = strchr(text, 'e');
    if (e) {
        char *digit = e + 1, *to = e + 1;
        if (*digit == '-')
            to++;
        digit += *digit == '-' || *digit == '+';
        digit += strspn(digit, "0");
        memmove(to, digit, strlen(digit) + 1);
    }
    buf_puts(o->to, text);
    if (!e && !strchr(text, '.'))
        buf_add(o->to, ".0", 2);
}

void json_out_bool(struct json_out *o, const char *name, bool value)
{
    json_out_lead(o, name);
    buf_puts(o->to, value ? "true" : "false");
}

/* The end of the word that begins at i: a string, a number, true, false or null. */
static size_t behind_word(const char *text, size_t i, size_t n)
{
    if (text[i] != '"') {
        while (i < n && !memchr(",:]}", text[i], 4))
            i++;
        return i;
    }
    for (i++; i < n && text[i] != '"'; i++)
        i += text[i] == '\\';
    return i < n ? i + 1 : n;
}

void json_out_indented(struct buf *out, const char *text, size_t n)
{
    int depth = 0;
    for (size_t i = 0, end; i < n; i = end) {
        char c = text[i];
        bool opens = c == '{' || c == '[', closes = c == '}' || c == ']';
        bool empty = opens && i + 1 < n && (text[i + 1] == '}' || text[i + 1] == ']');
        bool sign = opens || closes || c == ',' || c == ':';
        end = sign ? i + 1 + empty : behind_word(text, i, n);
        depth += (opens && !empty) - closes;
        if (closes)
            new_line(out, depth);
        buf_add(out, text + i, end - i);
        if (c == ':')
            buf_putc(out, ' ');
        else if ((opens && !empty) || c == ',')
            new_line(out, depth);
    }
}
