#include "base/json.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <string.h>

json_t *json_parse(const char *text, size_t n, const char *name, struct error *err)
{
    json_error_t je;
    json_t *j = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
    if (!j) {
        struct pos pos = {name, je.line > 0 ? je.line : 1, je.column > 0 ? je.column : 1};
        error_set(err, &pos, ERROR_INPUT, "not valid JSON: %s", je.text);
    }
    return j;
}

json_t *json_read(const char *path, struct error *err)
{
    AUTO(mem) char *text = NULL;
    size_t n;
    if (!fs_read_file(path, &text, &n, err))
        return NULL;
    return json_parse(text, n, path, err);
}

bool json_write(const char *path, const json_t *j, struct error *err)
{
    AUTO(buf) struct buf out = {0};
    json_put(&out, j, JSON_SORTED | JSON_INDENTED);
    buf_putc(&out, '\n');
    return fs_write_file(path, out.data, out.len, err);
}

static bool wrong(struct error *err, const char *key, const char *what)
{
    return error_set(err, NULL, ERROR_INPUT, "'%s' must be %s", key, what);
}

bool json_get_int(const json_t *o, const char *key, int64_t *ret, struct error *err)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v))
        return wrong(err, key, "an integer");
    *ret = json_integer_value(v);
    return true;
}

bool json_get_real(const json_t *o, const char *key, double *ret, struct error *err)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_number(v))
        return wrong(err, key, "a number");
    *ret = json_number_value(v);
    return true;
}

bool json_get_string(const json_t *o, const char *key, const char **ret, struct error *err)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_string(v))
        return wrong(err, key, "a string");
    *ret = json_string_value(v);
    return true;
}

int64_t json_int_or(const json_t *o, const char *key, int64_t def)
{
    const json_t *v = json_object_get(o, key);
    return json_is_integer(v) ? json_integer_value(v) : def;
}

double json_real_or(const json_t *o, const char *key, double def)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : def;
}

const char *json_string_or(const json_t *o, const char *key, const char *def)
{
    const json_t *v = json_object_get(o, key);
    return json_is_string(v) ? json_string_value(v) : def;
}

bool json_bool_or(const json_t *o, const char *key, bool def)
{
    const json_t *v = json_object_get(o, key);
    return json_is_boolean(v) ? json_is_true(v) : def;
}
