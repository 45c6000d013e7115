#include "engine/cli/runconf.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "engine/exec/runlog.h"
#include <string.h>

static bool see(void *arg, const json_t *event)
{
    if (strcmp(json_string_or(event, "event", ""), "begin") == 0)
        *(json_t **)arg = json_incref((json_t *)(uintptr_t)event);
    return *(json_t **)arg == NULL;
}

/* The event "begin" of a run; a new reference. */
static bool begin(const char *store, const char *id, json_t **ret, struct error *err)
{
    *ret = NULL;
    return runlog_read(store, id, see, ret, err) &&
           (*ret || error_set(err, NULL, ERROR_INPUT, "run '%s' wrote nothing", id));
}

/* A real as short as it can be and still the same, as keys have it. */
static const char *real_text(double x, char out[32])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, x);
        if (strtod(out, NULL) == x)
            break;
    }
    return out;
}

/* One line, whatever the value: strings as they are where nothing in them needs an escape. */
static void add(struct buf *out, const char *kind, const char *name, const json_t *value)
{
    AUTO(mem) char *json = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    char real[32];
    const char *text =
        json_is_real(value) ? real_text(json_real_value(value), real) : json_string_value(value);
    bool plain = text && json && (json_is_real(value) || strlen(json) == strlen(text) + 2);
    buf_printf(out, "%s%s%s = %s\n", kind, *name ? " " : "", name, plain ? text : json ? json : "");
}

static void add_variables(struct arena *a, struct buf *out, const char *prefix, const json_t *map)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, key, value)
    {
        const char *name = arena_printf(a, "%s%s%s", prefix, *prefix ? "." : "", key);
        if (json_is_object(value) && json_object_size(value))
            add_variables(a, out, name, value);
        else
            add(out, "variable", name, value);
    }
}

static void lines(struct arena *a, const json_t *o, bool variables, bool files, struct buf *out)
{
    static const char *const plain[] = {"experiment", "file", "set", "vars", "cores"};
    size_t i;
    json_t *f;
    for (size_t k = 0; k < sizeof plain / sizeof *plain; k++) {
        const json_t *value = json_object_get(o, plain[k]);
        if (value && !(json_is_array(value) && json_array_size(value) == 0))
            add(out, plain[k], "", value);
    }
    json_array_foreach(files ? json_object_get(o, "files") : NULL, i, f)
        add(out, "text of", json_string_or(f, "file", ""), json_object_get(f, "sha256"));
    if (variables)
        add_variables(a, out, "", json_object_get(o, "variables"));
}

bool runconf_diff(const char *store, const char *before, const char *now, struct arena *a,
                  struct key_diff *ret, struct error *err)
{
    AUTO_JSON old = NULL;
    AUTO_JSON new = NULL;
    AUTO(buf) struct buf was = {0};
    AUTO(buf) struct buf is = {0};
    *ret = (struct key_diff){0};
    if (!begin(store, before, &old, err) || !begin(store, now, &new, err))
        return false;
    bool variables = json_object_get(old, "variables") && json_object_get(new, "variables");
    bool files = json_object_get(old, "files") && json_object_get(new, "files");
    lines(a, old, variables, files, &was);
    lines(a, new, variables, files, &is);
    keydiff(arena_strdup(a, buf_str(&was)), arena_strdup(a, buf_str(&is)), a, ret);
    return true;
}
