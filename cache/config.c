#include "cache/config.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
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

static bool take(const json_t *j, struct arena *a, struct store_config *ret, struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)j, name, value)
    {
        const struct param *row = param_find(store_config_rows, name);
        if (!row) {
            const char *near = param_nearest(store_config_rows, name);
            return error_set(err, NULL, ERROR_INPUT, "a store has no setting '%s'%s%s%s", name,
                             near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        }
        if (!param_set(row, ret, value, a, err))
            return false;
    }
    return !*ret->hot || *ret->hot == '/' ||
           error_set(err, NULL, ERROR_INPUT, "'hot' must be an absolute path, not '%s'", ret->hot);
}

bool config_read(const char *path, struct arena *a, struct store_config *ret, struct error *err)
{
    param_defaults(store_config_rows, ret, a);
    if (!fs_exists(path))
        return true;
    AUTO_JSON j = json_read(path, err);
    if (!j)
        return false;
    if (!json_is_object(j))
        return error_set(err, NULL, ERROR_INPUT, "'%s' is not a JSON object", path);
    return take(j, a, ret, err) || error_context(err, "'%s'", path);
}
