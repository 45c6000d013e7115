/* Values as text, byte for byte what jansson makes of them with sorted keys and 17 digits, at a fraction of
 * its cost: each task has several written. */
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FEW 32 /* members of most objects, at most */

static void put_value(struct buf *out, json_t *j, int indent);

/* The number of a string's first bytes that need no escape. */
static size_t plain(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && (unsigned char)s[i] >= ' ' && s[i] != '"' && s[i] != '\\')
        i++;
    return i;
}

static void put_string(struct buf *out, const char *s, size_t n)
{
    static const char letter[' '] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    buf_putc(out, '"');
    for (size_t i = 0; i < n; i++) {
        size_t run = plain(s + i, n - i);
        buf_add(out, s + i, run);
        i += run;
        if (i == n)
            break;
        unsigned char c = (unsigned char)s[i];
        char escape[] = {'\\', c < ' ' ? letter[c] : (char)c};
        if (escape[1])
            buf_add(out, escape, 2);
        else
            buf_printf(out, "\\u%04X", c);
    }
    buf_putc(out, '"');
}

/* "1" is an integer, so that a real number has a point or an exponent; of the latter no '+', no zeros. */
static void put_real(struct buf *out, double value)
{
    char text[40];
    int n = snprintf(text, sizeof text - 3, "%.17g", value);
    char *e = strchr(text, 'e');
    if (!e && !strchr(text, '.')) {
        text[n++] = '.';
        text[n++] = '0';
    } else if (e) {
        char *to = e + 1, *from = e + 1;
        if (*from++ == '-')
            to++;
        while (*from == '0')
            from++;
        memmove(to, from, (size_t)(text + n - from));
        n -= (int)(from - to);
    }
    buf_add(out, text, (size_t)n);
}

/* indent below 0: none. */
static void new_line(struct buf *out, int indent)
{
    if (indent < 0)
        return;
    buf_putc(out, '\n');
    for (int i = 0; i < indent; i++)
        buf_puts(out, "  ");
}

static int deeper(int indent)
{
    return indent < 0 ? indent : indent + 1;
}

struct member {
    const char *name;
    json_t *value;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static void put_object(struct buf *out, json_t *j, int indent)
{
    struct member few[FEW], *all = few;
    const char *name;
    json_t *value;
    size_t n = 0, size = json_object_size(j);
    if (size > FEW)
        all = xcalloc(size, sizeof *all);
    json_object_foreach(j, name, value)
    {
        all[n].name = name;
        all[n++].value = value;
    }
    if (n)
        qsort(all, n, sizeof *all, by_name);
    for (size_t i = 0; i < n; i++) {
        buf_putc(out, i ? ',' : '{');
        new_line(out, deeper(indent));
        put_string(out, all[i].name, strlen(all[i].name));
        buf_puts(out, indent < 0 ? ":" : ": ");
        put_value(out, all[i].value, deeper(indent));
    }
    if (n)
        new_line(out, indent);
    buf_puts(out, n ? "}" : "{}");
    if (all != few)
        free(all);
}

static void put_array(struct buf *out, json_t *j, int indent)
{
    size_t n = json_array_size(j);
    for (size_t i = 0; i < n; i++) {
        buf_putc(out, i ? ',' : '[');
        new_line(out, deeper(indent));
        put_value(out, json_array_get(j, i), deeper(indent));
    }
    if (n)
        new_line(out, indent);
    buf_puts(out, n ? "]" : "[]");
}

static void put_value(struct buf *out, json_t *j, int indent)
{
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        put_object(out, j, indent);
        break;
    case JSON_ARRAY:
        put_array(out, j, indent);
        break;
    case JSON_STRING:
        put_string(out, json_string_value(j), json_string_length(j));
        break;
    case JSON_INTEGER:
        buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(j));
        break;
    case JSON_REAL:
        put_real(out, json_real_value(j));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        buf_puts(out, json_is_true(j) ? "true" : "false");
        break;
    case JSON_NULL:
        buf_puts(out, "null");
        break;
    }
}

char *json_text(const json_t *j, bool indent)
{
    struct buf out = {0};
    if (j)
        put_value(&out, (json_t *)(uintptr_t)j, indent ? 0 : -1);
    else
        buf_puts(&out, "null");
    return buf_take(&out);
}
