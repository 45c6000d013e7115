#include "stages/io/classnames.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

struct entry {
    const char *key, *name;
    int line; /* 0: JSON */
};
struct entries {
    struct entry *entry;
    size_t n, cap;
};

static void entries_auto(struct entries *e)
{
    free(e->entry);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* One line; empty ones say nothing. */
static bool read_line(const char *s, size_t n, const struct pos *pos, struct arena *a, struct entries *ret,
                      struct error *err)
{
    while (n && is_blank(s[n - 1]))
        n--;
    while (n && is_blank(*s))
        s++, n--;
    size_t key = 0, name;
    while (key < n && !is_blank(s[key]))
        key++;
    for (name = key; name < n && is_blank(s[name]);)
        name++;
    if (!n)
        return true;
    if (name == n || memchr(s, 0, n))
        return error_set(err, pos, ERROR_INPUT, "a line is a key, a blank and a name: 'n01440764 tench'");
    ret->entry = xgrow(ret->entry, &ret->cap, ret->n + 1, sizeof *ret->entry);
    ret->entry[ret->n++] = (struct entry){arena_printf(a, "%.*s", (int)key, s),
                                          arena_printf(a, "%.*s", (int)(n - name), s + name), pos->line};
    return true;
}

static bool read_lines(const char *text, size_t n, const char *file, struct arena *a, struct entries *ret,
                       struct error *err)
{
    struct pos pos = {file, 0, 1};
    for (size_t at = 0, len; at < n; at += len + 1) {
        const char *end = memchr(text + at, '\n', n - at);
        len = end ? (size_t)(end - text) - at : n - at;
        pos.line++;
        if (!read_line(text + at, len, &pos, a, ret, err))
            return false;
    }
    return true;
}

static bool read_object(const char *text, size_t n, const char *file, struct arena *a, struct entries *ret,
                        struct error *err)
{
    AUTO_JSON j = json_parse(text, n, file, err);
    const char *key;
    json_t *value;
    if (!j)
        return false;
    json_object_foreach(j, key, value)
    {
        const char *name = json_string_value(value);
        if (!name || !*name)
            return error_set(err, NULL, ERROR_INPUT, "'%s': '%s' must be the name of a class, a string", file,
                             key);
        ret->entry = xgrow(ret->entry, &ret->cap, ret->n + 1, sizeof *ret->entry);
        ret->entry[ret->n++] = (struct entry){arena_strdup(a, key), arena_strdup(a, name), 0};
    }
    return true;
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

static bool name_all(const struct entries *e, const char *file, struct layout_set *set, struct error *err)
{
    for (int c = 0; c < set->n_classes; c++) {
        struct entry key = {.key = set->class[c].key};
        size_t low = 0, high = e->n;
        while (low < high) {
            size_t mid = low + (high - low) / 2;
            if (strcmp(e->entry[mid].key, key.key) < 0)
                low = mid + 1;
            else
                high = mid;
        }
        if (low == e->n || strcmp(e->entry[low].key, key.key) != 0)
            return error_set(err, NULL, ERROR_INPUT, "'%s' has no name for class '%s'", file, key.key);
        set->class[c].name = e->entry[low].name;
    }
    return true;
}

bool classnames_apply(const char *text, size_t n, const char *file, struct layout_set *set, struct error *err)
{
    AUTO(entries) struct entries e = {0};
    size_t at = 0;
    while (at < n && is_blank(text[at]))
        at++;
    bool object = at < n && text[at] == '{';
    if (object ? !read_object(text, n, file, set->arena, &e, err)
               : !read_lines(text, n, file, set->arena, &e, err))
        return false;
    if (e.n)
        qsort(e.entry, e.n, sizeof *e.entry, by_key);
    for (size_t i = 1; i < e.n; i++) {
        struct pos pos = {file, e.entry[i].line, 1};
        if (!strcmp(e.entry[i - 1].key, e.entry[i].key))
            return error_set(err, &pos, ERROR_INPUT, "'%s' has two names", e.entry[i].key);
    }
    return name_all(&e, file, set, err);
}
