/* A JSON value's text. jansson's writer sorts by a hash look-up for each member and calls back for each
 * token. */
#include "base/cleanup.h"
#include "base/json_out.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

struct member {
    const char *key;
    const json_t *value;
};

/* A value that stands alone. */
#define ONE(out) (&(struct json_out){.to = (out)})

void json_put_string(struct buf *out, const char *text)
{
    json_out_text(ONE(out), NULL, text);
}

static void put_break(struct buf *out, int style, int depth)
{
    if (!(style & JSON_INDENTED))
        return;
    buf_putc(out, '\n');
    for (int i = 0; i < depth; i++)
        buf_add(out, "  ", 2);
}

static void put_value(struct buf *out, const json_t *j, int style, int depth);

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

static void sort(struct member *m, size_t n)
{
    if (n > 32) {
        qsort(m, n, sizeof *m, by_key);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct member one = m[i];
        size_t k = i;
        for (; k > 0 && by_key(&m[k - 1], &one) > 0; k--)
            m[k] = m[k - 1];
        m[k] = one;
    }
}

static void put_object(struct buf *out, const json_t *j, int style, int depth)
{
    struct member few[32];
    size_t n = json_object_size(j), i = 0;
    AUTO(mem) struct member *many = n > 32 ? xcalloc(n, sizeof *many) : NULL;
    struct member *m = many ? many : few;
    /* jansson's iterators take no const; they change nothing. */
    json_t *object = (json_t *)(uintptr_t)j;
    for (void *at = json_object_iter(object); at && i < n; at = json_object_iter_next(object, at), i++)
        m[i] = (struct member){json_object_iter_key(at), json_object_iter_value(at)};
    if (style & JSON_SORTED)
        sort(m, i);
    n = i;
    buf_putc(out, '{');
    for (i = 0; i < n; i++) {
        if (i)
            buf_putc(out, ',');
        put_break(out, style, depth + 1);
        json_put_string(out, m[i].key);
        buf_add(out, ": ", style & JSON_INDENTED ? 2 : 1);
        put_value(out, m[i].value, style, depth + 1);
    }
    if (n)
        put_break(out, style, depth);
    buf_putc(out, '}');
}

static void put_array(struct buf *out, const json_t *j, int style, int depth)
{
    size_t n = json_array_size(j);
    buf_putc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_putc(out, ',');
        put_break(out, style, depth + 1);
        put_value(out, json_array_get(j, i), style, depth + 1);
    }
    if (n)
        put_break(out, style, depth);
    buf_putc(out, ']');
}

static void put_value(struct buf *out, const json_t *j, int style, int depth)
{
    switch (j ? json_typeof(j) : JSON_NULL) {
    case JSON_OBJECT:
        put_object(out, j, style, depth);
        break;
    case JSON_ARRAY:
        put_array(out, j, style, depth);
        break;
    case JSON_STRING:
        json_out_bytes(ONE(out), NULL, json_string_value(j), json_string_length(j));
        break;
    case JSON_INTEGER:
        json_out_integer(ONE(out), NULL, json_integer_value(j));
        break;
    case JSON_REAL:
        json_out_real(ONE(out), NULL, json_real_value(j));
        break;
    case JSON_TRUE:
        buf_add(out, "true", 4);
        break;
    case JSON_FALSE:
        buf_add(out, "false", 5);
        break;
    case JSON_NULL:
        buf_add(out, "null", 4);
        break;
    }
}

void json_put(struct buf *out, const json_t *j, int style)
{
    put_value(out, j, style, 0);
}

void json_out_value(struct json_out *o, const char *name, const json_t *value, bool sorted)
{
    json_out_lead(o, name);
    put_value(o->to, value, sorted ? JSON_SORTED : 0, 0);
}

char *json_text(const json_t *j, bool indent)
{
    struct buf out = {0};
    json_put(&out, j, JSON_SORTED | (indent ? JSON_INDENTED : 0));
    return buf_take(&out);
}

char *json_line(const json_t *j)
{
    struct buf out = {0};
    json_put(&out, j, 0);
    return buf_take(&out);
}
