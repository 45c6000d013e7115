#include "engine/cli/resultdiff.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/artifacts.h"
#include "engine/exec/resolve.h"
#include "stages/stage.h"
#include <string.h>

static const char *const names[] = {"system", "domain", "metric", "replicate"}; /* what names a row */
#define NAMES (sizeof names / sizeof *names)

/* The file with the rows of an output; NULL: it has none. */
static const char *rows_file(const struct record *r, const char *port)
{
    const struct stage *s = stage_find(r->stage);
    int p = s ? stage_port_index(s->outputs, port) : -1;
    enum artifact type = p >= 0 ? s->outputs[p].type : ARTIFACT_NONE;
    return type == ARTIFACT_METRICS ? "metrics.json" : type == ARTIFACT_TABLE ? "table.json" : NULL;
}

/* The rows of an output as a new reference: an object from names to rows; empty for none. */
static bool read_rows(struct store *store, const struct record *r, const char *port, json_t **ret,
                      struct error *err)
{
    const struct record_output *o = r ? record_find_output(r, port) : NULL;
    const char *file = o ? rows_file(r, port) : NULL;
    AUTO(mem) char *dir = NULL;
    size_t i;
    json_t *row;
    *ret = json_object();
    if (!file || !store_record_complete(store, r))
        return true;
    if (!store_temp_dir(store, &dir, err) || !artifacts_write(store, o, dir, false, err))
        return false;
    AUTO(mem) char *path = xprintf("%s/%s", dir, file);
    AUTO_JSON all = json_read(path, err);
    if (!all)
        return false;
    json_array_foreach(json_object_get(all, "rows"), i, row)
    {
        AUTO(buf) struct buf name = {0};
        for (size_t k = 0; k < NAMES; k++)
            buf_printf(&name, "%s\n", json_string_or(row, names[k], ""));
        json_object_set(*ret, buf_str(&name), row);
    }
    return true;
}

static json_t *number(const json_t *row)
{
    const json_t *v = json_object_get(row, "value");
    return json_is_number(v) ? json_real(json_number_value(v)) : json_null();
}

static void add(json_t *list, const char *task, const char *port, const json_t *before, const json_t *now)
{
    json_t *o = json_pack("{s:s, s:s, s:o, s:o}", "task", task, "output", port, "before", number(before),
                          "now", number(now));
    const json_t *was = json_object_get(o, "before"), *is = json_object_get(o, "now");
    for (size_t k = 0; k < NAMES; k++)
        json_object_set_new(o, names[k], json_string(json_string_or(now ? now : before, names[k], "")));
    json_object_set_new(o, "difference",
                        json_is_number(was) && json_is_number(is)
                            ? json_real(json_number_value(is) - json_number_value(was))
                            : json_null());
    json_array_append_new(list, o);
}

static bool diff_output(struct store *store, const char *task, const char *port, const struct record *before,
                        const struct record *now, json_t *list, int *same, struct error *err)
{
    AUTO_JSON was = NULL;
    AUTO_JSON is = NULL;
    const char *name;
    json_t *row;
    if (!read_rows(store, before, port, &was, err) || !read_rows(store, now, port, &is, err))
        return false;
    json_object_foreach(is, name, row)
    {
        const json_t *old = json_object_get(was, name);
        if (old && json_number_value(json_object_get(old, "value")) ==
                       json_number_value(json_object_get(row, "value")))
            ++*same;
        else
            add(list, task, port, old, row);
    }
    json_object_foreach(was, name, row) if (!json_object_get(is, name)) add(list, task, port, row, NULL);
    return true;
}

bool resultdiff(struct store *store, const char *task, const struct digest *before, const struct digest *now,
                json_t *list, int *same, struct error *err)
{
    struct record *was = NULL, *is = NULL;
    bool ok = (!before || store_get_record(store, before, &was, err)) &&
              (!now || store_get_record(store, now, &is, err));
    const struct record *any = is ? is : was; /* the outputs of a stage are always the same ones */
    for (size_t i = 0; ok && any && i < any->n; i++)
        if (rows_file(any, any->output[i].port))
            ok = diff_output(store, task, any->output[i].port, was, is, list, same, err);
    record_free(was);
    record_free(is);
    return ok;
}
