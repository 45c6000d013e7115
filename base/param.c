#include "base/param.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include <math.h>
#include <string.h>

static void *field(const struct param *row, void *params)
{
    return (char *)params + row->offset;
}

const struct param *param_find(const struct param *table, const char *name)
{
    for (; table && table->name; table++)
        if (strcmp(table->name, name) == 0)
            return table;
    return NULL;
}

/* Levenshtein distance, names of at most 63 characters. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b);
    if (n > 63 || strlen(a) > 63)
        return 64;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t best = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j + 1] + 1 < best)
                best = row[j + 1] + 1;
            row[j + 1] = best;
        }
    }
    return row[n];
}

const char *nearest_name(const char *const *names, size_t n, const char *name)
{
    const char *best = NULL;
    size_t least = strlen(name) / 3 + 2;
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(name, names[i]);
        if (d < least) {
            least = d;
            best = names[i];
        }
    }
    return best;
}

const char *param_nearest(const struct param *table, const char *name)
{
    const char *best = NULL;
    size_t least = strlen(name) / 3 + 2;
    for (; table && table->name; table++) {
        size_t d = distance(name, table->name);
        if (d < least) {
            least = d;
            best = table->name;
        }
    }
    return best;
}

static void store_text(const struct param *row, void *params, const char *text)
{
    void *p = field(row, params);
    switch (row->type) {
    case PARAM_BOOL:
        *(bool *)p = text && strcmp(text, "true") == 0;
        return;
    case PARAM_INT:
        *(int64_t *)p = text ? strtoll(text, NULL, 10) : 0;
        return;
    case PARAM_REAL:
        *(double *)p = text ? strtod(text, NULL) : 0;
        return;
    case PARAM_STRING:
        *(const char **)p = text;
        return;
    }
}

void param_defaults(const struct param *table, void *params, struct arena *a)
{
    for (; table && table->name; table++)
        store_text(table, params, table->def);
}

static bool bounded(const struct param *row)
{
    return row->min < row->max;
}

/* "an integer between 1 and 1024", for messages. */
static void describe(const struct param *row, struct buf *out)
{
    if (row->type == PARAM_STRING && row->choices) {
        buf_puts(out, "one of ");
        for (const char *c = row->choices; *c; c++)
            *c == '|' ? buf_puts(out, ", ") : buf_putc(out, *c);
        return;
    }
    static const char *const kind[] = {[PARAM_BOOL] = "true or false",
                                       [PARAM_INT] = "an integer",
                                       [PARAM_REAL] = "a number",
                                       [PARAM_STRING] = "a string"};
    buf_puts(out, kind[row->type]);
    if (row->type != PARAM_BOOL && row->type != PARAM_STRING && bounded(row))
        buf_printf(out, " between %.15g and %.15g", row->min, row->max);
}

static bool refuse(const struct param *row, const json_t *value, struct error *err)
{
    AUTO(buf) struct buf b = {0};
    describe(row, &b);
    AUTO(mem) char *text = json_text(value, false);
    return error_set(err, NULL, ERROR_INPUT, "'%s' must be %s, not %.200s", row->name, buf_str(&b), text);
}

static bool is_choice(const char *choices, const char *s)
{
    size_t n = strlen(s);
    for (const char *c = choices; c; c = strchr(c, '|'), c = c ? c + 1 : NULL)
        if (strncmp(c, s, n) == 0 && (c[n] == '|' || !c[n]))
            return true;
    return false;
}

bool param_set(const struct param *row, void *params, const json_t *value, struct arena *a, struct error *err)
{
    void *p = field(row, params);
    double x = json_number_value(value);
    switch (row->type) {
    case PARAM_BOOL:
        if (!json_is_boolean(value))
            return refuse(row, value, err);
        *(bool *)p = json_is_true(value);
        return true;
    case PARAM_INT:
        if (!json_is_integer(value) || (bounded(row) && !(x >= row->min && x <= row->max)))
            return refuse(row, value, err);
        *(int64_t *)p = json_integer_value(value);
        return true;
    case PARAM_REAL:
        if (!json_is_number(value) || !isfinite(x) || (bounded(row) && !(x >= row->min && x <= row->max)))
            return refuse(row, value, err);
        *(double *)p = x;
        return true;
    case PARAM_STRING:
        if (!json_is_string(value) || (row->choices && !is_choice(row->choices, json_string_value(value))))
            return refuse(row, value, err);
        *(const char **)p = arena_strdup(a, json_string_value(value));
        return true;
    }
    return false;
}

/* The shortest of %.1g .. %.17g that reads back as x. */
static void real_text(double x, struct buf *out)
{
    char s[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, x);
        if (strtod(s, NULL) == x)
            break;
    }
    buf_puts(out, s);
}

static json_t *value_json(const struct param *row, const void *params)
{
    const void *p = (const char *)params + row->offset;
    switch (row->type) {
    case PARAM_BOOL:
        return json_boolean(*(const bool *)p);
    case PARAM_INT:
        return json_integer(*(const int64_t *)p);
    case PARAM_REAL:
        return json_real(*(const double *)p);
    case PARAM_STRING:
        return *(const char *const *)p ? json_string(*(const char *const *)p) : json_null();
    }
    return NULL;
}

static void int_text(int64_t x, struct buf *out)
{
    char digits[24], *at = digits + sizeof digits - 1;
    uint64_t left = x < 0 ? -(uint64_t)x : (uint64_t)x;
    *at = '\0';
    do
        *--at = (char)('0' + left % 10);
    while (left /= 10);
    if (x < 0)
        *--at = '-';
    buf_puts(out, at);
}

/* Text that JSON writes as it is. */
static bool is_plain(const char *s)
{
    for (; *s; s++)
        if (*s < ' ' || *s == '"' || *s == '\\' || *s == 0x7f)
            return false;
    return true;
}

void param_text(const struct param *row, const void *params, struct buf *out)
{
    const void *p = (const char *)params + row->offset;
    if (row->type == PARAM_REAL) {
        real_text(*(const double *)p, out);
    } else if (row->type == PARAM_INT) {
        int_text(*(const int64_t *)p, out);
    } else if (row->type == PARAM_BOOL) {
        buf_puts(out, *(const bool *)p ? "true" : "false");
    } else if (*(const char *const *)p && is_plain(*(const char *const *)p)) {
        buf_putc(out, '"');
        buf_puts(out, *(const char *const *)p);
        buf_putc(out, '"');
    } else {
        AUTO_JSON v = value_json(row, params);
        AUTO(mem) char *text = json_text(v, false);
        buf_puts(out, text);
    }
}

static bool before(const char *a, const char *b)
{
    return *a != *b ? (unsigned char)*a < (unsigned char)*b : strcmp(a, b) < 0;
}

void param_canonical(const struct param *table, const void *params, struct buf *out)
{
    size_t n = 0, count = 0;
    while (table && table[count].name)
        count++;
    AUTO(mem) const struct param **row = xcalloc(count, sizeof *row);
    for (const struct param *r = table; r < table + count; r++) {
        if (r->flags & (PARAM_RUNTIME | PARAM_IMPORT))
            continue;
        size_t at = n++; /* tables are short: put each row into its place */
        for (; at > 0 && before(r->name, row[at - 1]->name); at--)
            row[at] = row[at - 1];
        row[at] = r;
    }
    for (size_t i = 0; i < n; i++) {
        buf_puts(out, "param ");
        buf_puts(out, row[i]->name);
        buf_puts(out, " = ");
        param_text(row[i], params, out);
        buf_putc(out, '\n');
    }
}

json_t *param_json(const struct param *table, const void *params)
{
    json_t *o = json_object();
    for (; table && table->name; table++)
        json_object_set_new(o, table->name, value_json(table, params));
    return o;
}

void param_describe(const struct param *row, struct buf *out)
{
    describe(row, out);
    if (row->unit)
        buf_printf(out, " [%s]", row->unit);
    buf_printf(out, row->def ? "; default %s" : "; required", row->def && *row->def ? row->def : "\"\"");
    if (row->flags & PARAM_IMPORT)
        buf_puts(out, "; a path or a URL, its content counts");
    if (row->flags & PARAM_RUNTIME)
        buf_puts(out, "; never changes a result");
    if (row->source)
        buf_printf(out, " (%s)", row->source);
}

void param_help(const struct param *table, struct buf *out)
{
    for (; table && table->name; table++) {
        buf_printf(out, "  %-16s %s\n                   ", table->name, table->doc ? table->doc : "");
        param_describe(table, out);
        buf_putc(out, '\n');
    }
}

static json_t *choices_json(const char *choices)
{
    json_t *list = json_array();
    for (const char *c = choices; c;) {
        const char *end = strchr(c, '|');
        json_array_append_new(list, end ? json_stringn(c, (size_t)(end - c)) : json_string(c));
        c = end ? end + 1 : NULL;
    }
    return list;
}

static json_t *bound_json(const struct param *row, double x)
{
    return row->type == PARAM_INT ? json_integer((json_int_t)x) : json_real(x);
}

static json_t *default_json(const struct param *row)
{
    switch (row->type) {
    case PARAM_BOOL:
        return json_boolean(strcmp(row->def, "true") == 0);
    case PARAM_INT:
        return json_integer(strtoll(row->def, NULL, 10));
    case PARAM_REAL:
        return json_real(strtod(row->def, NULL));
    case PARAM_STRING:
        return json_string(row->def);
    }
    return NULL;
}

json_t *param_schema(const struct param *row)
{
    static const char *const type[] = {[PARAM_BOOL] = "boolean",
                                       [PARAM_INT] = "integer",
                                       [PARAM_REAL] = "number",
                                       [PARAM_STRING] = "string"};
    json_t *o = json_pack("{s:s}", "type", type[row->type]);
    if (row->doc)
        json_object_set_new(o, "description", json_string(row->doc));
    if (row->choices)
        json_object_set_new(o, "enum", choices_json(row->choices));
    if (bounded(row) && row->type != PARAM_STRING) {
        json_object_set_new(o, "minimum", bound_json(row, row->min));
        json_object_set_new(o, "maximum", bound_json(row, row->max));
    }
    if (row->def)
        json_object_set_new(o, "default", default_json(row));
    return o;
}
