#include "cache/config.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/size.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct param store_config_rows[] = {
    PARAM(struct store_config, level, .def = "3", .min = 1, .max = 19,
          .doc = "zstd level of objects; the digits that no level can press are stored as they are"),
    PARAM(struct store_config, threads, .def = "0", .min = 0, .max = 1024,
          .doc = "threads that compress and decompress; 0: as many as the process has cores"),
    PARAM(struct store_config, block, .def = "1048576", .min = 65536, .max = 67108864, .unit = "bytes",
          .doc = "content that is compressed as one, and read as one"),
    PARAM(struct store_config, max_size, .def = "0", .min = 0, .max = 1e18, .unit = "bytes",
          .doc = "objects and records together take no more than this; 0: no limit"),
    PARAM(struct store_config, hot_size, .def = "34359738368", .min = 0, .max = 1e18, .unit = "bytes",
          .doc = "plain files that lie ready for workers; those in use may exceed it"),
    PARAM(struct store_config, hot, .def = "", .doc = "their folder, absolute; empty: below the store"),
    PARAM(struct store_config, locks, .def = "true",
          .doc = "the file system's locks can be relied on; false: docs/store-format.md, Locks"),
    PARAM(struct store_config, fetch_tries, .def = "8", .min = 1, .max = 1000,
          .doc = "tries of each transfer of outside data; one that brought a MiB is not counted"),
    PARAM(struct store_config, fetch_silence, .def = "60", .min = 1, .max = 86400, .unit = "seconds",
          .doc = "how long a server of outside data may say nothing before it is tried again"),
    PARAM(struct store_config, remote, .def = "",
          .doc = "URL of the remote tier (http, https, s3); empty: none"),
    PARAM(struct store_config, remote_mode, .def = "read-write", .choices = "read-write|read|write",
          .doc = "what the remote tier is used for"),
    PARAM(struct store_config, remote_timeout, .def = "15", .min = 1, .max = 3600, .unit = "seconds",
          .doc = "without a word from the server, after which a transfer is tried again"),
    {0}};

const struct param *config_row(const char *name, struct error *err)
{
    const struct param *row = param_find(store_config_rows, name);
    const char *near = row ? NULL : param_nearest(store_config_rows, name);
    if (!row)
        error_set(err, NULL, ERROR_INPUT, "a store has no setting '%s'%s%s%s", name,
                  near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return row;
}

static bool take(const json_t *j, struct arena *a, struct store_config *ret, struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)j, name, value)
    {
        const struct param *row = config_row(name, err);
        if (!row || !param_set(row, ret, value, a, err))
            return false;
    }
    return !*ret->hot || *ret->hot == '/' ||
           error_set(err, NULL, ERROR_INPUT, "'hot' must be an absolute path, not '%s'", ret->hot);
}

/* The file's object, an empty one where there is no file; NULL: failed. */
static json_t *read_file(const char *path, struct error *err)
{
    json_t *j = fs_exists(path) ? json_read(path, err) : json_object();
    if (!j || json_is_object(j))
        return j;
    json_decref(j);
    error_set(err, NULL, ERROR_INPUT, "'%s' is not a JSON object", path);
    return NULL;
}

bool config_read(const char *path, struct arena *a, struct store_config *ret, struct error *err)
{
    param_defaults(store_config_rows, ret, a);
    AUTO_JSON j = read_file(path, err);
    return j && (take(j, a, ret, err) || error_context(err, "'%s'", path));
}

/* What a text means for a row; NULL: nothing. */
static json_t *value_of(const struct param *row, const char *text, struct error *err)
{
    char *end;
    int64_t bytes;
    if (row->type == PARAM_STRING)
        return json_string(text);
    if (row->unit && strcmp(row->unit, "bytes") == 0) {
        AUTO(mem) char *what = xprintf("'%s'", row->name);
        return size_parse(what, text, &bytes, err) ? json_integer(bytes) : NULL;
    }
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return json_boolean(*text == 't');
    errno = 0;
    long long n = strtoll(text, &end, 10);
    return *end || errno ? json_string(text) : json_integer(n); /* the row says what is wrong with it */
}

bool config_write(const char *path, const char *name, const char *text, struct error *err)
{
    AUTO(arena) struct arena a;
    struct store_config all;
    arena_init(&a);
    const struct param *row = config_row(name, err);
    AUTO_JSON j = row ? read_file(path, err) : NULL;
    json_t *value = j && *text ? value_of(row, text, err) : NULL;
    if (!j || (*text && !value))
        return false;
    if (value)
        json_object_set_new(j, name, value);
    else
        json_object_del(j, name);
    param_defaults(store_config_rows, &all, &a);
    if (!take(j, &a, &all, err))
        return error_context(err, "'%s'", path);
    AUTO(mem) char *whole = json_text(j, true);
    AUTO(mem) char *line = xprintf("%s\n", whole);
    return fs_publish(path, line, strlen(line), true, err);
}
