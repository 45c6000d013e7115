/* weft cache config: what the store is set to. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/config.h"
#include "engine/cli/cmd.h"
#include "engine/cli/units.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct opt opts[] = {OPT_ROW_STORE, OPT_ROW_JSON, {0}};

/* A value as it can be given again: texts bare. */
static char *value_text(const struct param *row, const struct store_config *c)
{
    AUTO(buf) struct buf text = {0};
    if (row->type == PARAM_STRING)
        return xstrdup(*(const char *const *)((const char *)c + row->offset));
    param_text(row, c, &text);
    return buf_take(&text);
}

/* " (1.5 GiB)" behind bytes that are many. */
static const char *size_note(const struct param *row, const char *value, char out[UNITS_MAX + 4])
{
    char size[UNITS_MAX];
    long long n = row->unit && strcmp(row->unit, "bytes") == 0 ? strtoll(value, NULL, 10) : 0;
    *out = '\0';
    if (n >= 1024)
        snprintf(out, UNITS_MAX + 4, " (%s)", bytes_text(n, size));
    return out;
}

/* "max_size = 1610612736 (1.5 GiB)", and below it the default where it is another, and what it is. */
static void print_setting(const struct param *row, const struct store_config *c)
{
    AUTO(buf) struct buf about = {0};
    AUTO(mem) char *value = value_text(row, c);
    char note[UNITS_MAX + 4];
    param_describe(row, &about);
    printf("%s = %s%s\n    %s\n    %s\n", row->name, value, size_note(row, value, note), row->doc,
           buf_str(&about));
}

static json_t *setting_json(const struct param *row, const json_t *values)
{
    json_t *schema = param_schema(row);
    json_t *o = json_pack("{s:O, s:O, s:s}", "value", json_object_get(values, row->name), "default",
                          json_object_get(schema, "default"), "doc", row->doc);
    json_decref(schema);
    return o;
}

static int show(const struct cmd_args *a, const struct store_config *c, const struct param *only)
{
    if (!cmd_opt(a, "json")->set) {
        if (only) {
            AUTO(mem) char *value = value_text(only, c);
            printf("%s\n", value);
        }
        for (const struct param *row = store_config_rows; !only && row->name; row++)
            print_setting(row, c);
        return 0;
    }
    json_t *values = param_json(store_config_rows, c), *all = json_object();
    for (const struct param *row = store_config_rows; row->name; row++)
        if (!only || row == only)
            json_object_set_new(all, row->name, setting_json(row, values));
    json_decref(values);
    return cmd_print_json(all);
}

static bool set(const char *store, const char *path, const char *name, const char *text, struct error *err)
{
    return config_row(name, err) && fs_mkdirs(store, err) && config_write(path, name, text, err);
}

/* The store is not opened: settings that are wrong could not be put right then. */
static int run(const struct cmd_args *a)
{
    AUTO(mem) char *store = cmd_store_path(a);
    AUTO(mem) char *path = xprintf("%s/config", store);
    AUTO(mem) char *name = a->n ? xstrdup(a->arg[0]) : NULL;
    AUTO(arena) struct arena mem;
    struct store_config c;
    struct error err = {0};
    char *value = name ? strchr(name, '=') : NULL;
    if (value)
        *value++ = '\0';
    arena_init(&mem);
    if (value && !set(store, path, name, value, &err))
        return cmd_fail(&err);
    const struct param *only = name ? config_row(name, &err) : NULL;
    if ((name && !only) || !config_read(path, &mem, &c, &err))
        return cmd_fail(&err);
    return value ? 0 : show(a, &c, only);
}

const struct cmd cmd_cache_config = {
    .name = "cache config",
    .group = "The store",
    .doc = "Show what the store is set to, or set it.",
    .details =
        "Without a name: every setting with its value, its range and default, and what it does. NAME prints "
        "one value. NAME=VALUE sets it, NAME= sets it to the default again; sizes may have a unit, as in "
        "20GiB or 500MB. The settings are the file STORE/config, which is replaced at once or not at all; "
        "runs at work go on with those that they began with.",
    .args =
        (const struct arg[]){
            {.name = "NAME[=VALUE]", .doc = "a setting, and what to set it to", .optional = true}, {0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft cache config", "all settings"},
                                         {"weft cache config max_size=200GiB", "a limit"},
                                         {"weft cache config max_size=", "none again"},
                                         {0}},
    .run = run};
