#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/cli/cmd.h"
#include "engine/cli/lastrun.h"
#include "engine/cli/reference.h"
#include "engine/cli/units.h"
#include "engine/exec/artifacts.h"
#include "stages/command.h"
#include "stages/io/safetensors.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LINES_MAX 40 /* of one file, for people */

static const struct opt opts[] = {
    {"run", 'r', OPT_STRING, "RUN", "of that run instead of the last that has the task"},
    OPT_ROW_JSON,
    OPT_ROW_STORE,
    {0}};

/* Artifacts that one file sums up: for people, for programs. */
static const struct summary {
    enum artifact type;
    const char *text, *json;
} summaries[] = {
    {ARTIFACT_TABLE, "table.md", "table.json"},
    {ARTIFACT_METRICS, NULL, "metrics.json"},
    {ARTIFACT_SELECTION, NULL, "selection.json"},
    {ARTIFACT_IMAGES, NULL, "dataset.json"},
};

static enum artifact type_of(const struct record *r, const char *port)
{
    const struct stage *s = stage_find(r->stage);
    if (s && s->command)
        return command_output_type(r->text, port);
    int p = s ? stage_port_index(s->outputs, port) : -1;
    return p >= 0 ? s->outputs[p].type : ARTIFACT_NONE;
}

static const struct summary *summary_of(enum artifact type)
{
    for (size_t i = 0; i < sizeof summaries / sizeof *summaries; i++)
        if (summaries[i].type == type)
            return &summaries[i];
    return NULL;
}

static bool ends(const char *name, const char *tail)
{
    size_t n = strlen(name), t = strlen(tail);
    return n >= t && strcmp(name + n - t, tail) == 0;
}

/* ---- for programs ---- */

static json_t *tensors_json(const char *path, struct error *err)
{
    AUTO(safetensors) struct safetensors *s = NULL;
    if (!safetensors_open(path, &s, err))
        return NULL;
    json_t *all = json_object();
    for (int i = 0; i < safetensors_count(s); i++) {
        const struct tensor *t = safetensors_at(s, i);
        json_t *shape = json_array();
        for (int k = 0; k < t->rank; k++)
            json_array_append_new(shape, json_integer(t->shape[k]));
        json_object_set_new(all, t->name,
                            json_pack("{s:s, s:o}", "dtype", dtype_name(t->dtype), "shape", shape));
    }
    return all;
}

/* Content where it is JSON, names and shapes of tensors, else the size. */
static json_t *file_json(const struct record_file *f, const char *dir, struct error *err)
{
    AUTO(mem) char *path = xprintf("%s/%s", dir, f->name);
    if (ends(f->name, ".json"))
        return json_read(path, err);
    if (ends(f->name, ".safetensors"))
        return tensors_json(path, err);
    json_t *o = json_pack("{s:I}", "size", (json_int_t)f->size);
    if (f->source)
        json_object_set_new(o, "source", json_string(f->source));
    return o;
}

static json_t *output_json(const struct record *r, const struct record_output *o, const char *dir,
                           const json_t *reference, struct error *err)
{
    enum artifact type = type_of(r, o->port);
    const struct summary *sum = summary_of(type);
    if (sum) {
        AUTO(mem) char *path = xprintf("%s/%s", dir, sum->json);
        json_t *j = json_read(path, err);
        if (j && type == ARTIFACT_TABLE && json_array_size(reference) > 0)
            json_object_set_new(j, "reference", reference_compare(reference, j));
        return j;
    }
    json_t *files = json_object();
    for (size_t i = 0; i < o->n; i++) {
        json_t *j = file_json(&o->file[i], dir, err);
        if (!j) {
            json_decref(files);
            return NULL;
        }
        json_object_set_new(files, o->file[i].name, j);
    }
    return files;
}

/* ---- for people ---- */

static void print_lines(const char *text)
{
    int lines = 0, more = 0;
    for (const char *c = text; *c;) {
        size_t n = strcspn(c, "\n");
        if (lines++ < LINES_MAX)
            printf("  %.*s\n", (int)n, c);
        else
            more++;
        c += n + (c[n] == '\n');
    }
    if (more)
        printf("  ... %d more lines\n", more);
}

static bool print_tensors(const char *path, struct error *err)
{
    AUTO(safetensors) struct safetensors *s = NULL;
    AUTO(buf) struct buf out = {0};
    if (!safetensors_open(path, &s, err))
        return false;
    for (int i = 0; i < safetensors_count(s); i++) {
        const struct tensor *t = safetensors_at(s, i);
        buf_printf(&out, "%-60s %-5s [", t->name, dtype_name(t->dtype));
        for (int k = 0; k < t->rank; k++)
            buf_printf(&out, "%s%" PRId64, k ? ", " : "", t->shape[k]);
        buf_puts(&out, "]\n");
    }
    print_lines(buf_str(&out));
    return true;
}

static bool print_file(const struct record_file *f, const char *dir, struct error *err)
{
    AUTO(mem) char *path = xprintf("%s/%s", dir, f->name);
    AUTO(mem) char *text = NULL;
    char size[UNITS_MAX];
    printf("%s, %s%s%s\n", f->name, bytes_text(f->size, size), f->source ? ", at " : "",
           f->source ? f->source : "");
    if (ends(f->name, ".safetensors"))
        return print_tensors(path, err);
    if (!ends(f->name, ".json") && !ends(f->name, ".jsonl") && !ends(f->name, ".md"))
        return true;
    if (!fs_read_file(path, &text, NULL, err))
        return false;
    print_lines(text);
    return true;
}

static bool print_reference(const json_t *reference, const char *dir, struct error *err)
{
    AUTO(mem) char *path = xprintf("%s/table.json", dir);
    AUTO_JSON table = json_array_size(reference) > 0 ? json_read(path, err) : json_null();
    if (json_is_object(table))
        reference_print(reference, table);
    return table;
}

static bool print_output(const struct record *r, const struct record_output *o, const char *dir,
                         const json_t *reference, struct error *err)
{
    enum artifact type = type_of(r, o->port);
    const struct summary *sum = summary_of(type);
    char hex[DIGEST_HEX], spent[UNITS_MAX];
    AUTO(mem) char *text = NULL;
    if (sum && sum->text) {
        AUTO(mem) char *path = xprintf("%s/%s", dir, sum->text);
        if (!fs_read_file(path, &text, NULL, err))
            return false;
        fputs(text, stdout);
        return type != ARTIFACT_TABLE || print_reference(reference, dir, err);
    }
    printf("%s.%s: %s, made by %s in %s, digest %.12s\n", r->task, o->port, artifact_name(type), r->stage,
           seconds_text(r->seconds, spent), digest_hex(&o->digest, hex));
    for (size_t i = 0; i < o->n; i++)
        if ((!sum || strcmp(o->file[i].name, sum->json) == 0) && !print_file(&o->file[i], dir, err))
            return false;
    return true;
}

/* ---- both ---- */

/* For people: prints. For programs: *ret_json, a new reference. */
static bool show(struct store *store, const struct record *r, const char *port, const json_t *reference,
                 bool json, json_t **ret_json, struct error *err)
{
    AUTO(mem) char *temp = NULL;
    AUTO_JSON all = json_object();
    if (!store_temp_dir(store, &temp, err))
        return false;
    for (size_t i = 0; i < r->n; i++) {
        const struct record_output *o = &r->output[i];
        AUTO(mem) char *dir = xprintf("%s/%s", temp, o->port);
        if (port && strcmp(port, o->port) != 0)
            continue;
        if (!fs_mkdirs(dir, err) || !artifacts_write(store, o, dir, false, err))
            return false;
        json_t *j = json ? output_json(r, o, dir, reference, err) : NULL;
        if (json ? !j : !print_output(r, o, dir, reference, err))
            return error_context(err, "output '%s'", o->port);
        if (json)
            json_object_set_new(all, o->port, j);
    }
    bool alone = json_object_size(all) == 1; /* one output needs no name */
    *ret_json = json_incref(alone ? json_object_iter_value(json_object_iter(all)) : all);
    return true;
}

static bool show_task(const struct cmd_args *a, json_t **ret_json, struct error *err)
{
    AUTO(store) struct store *store = NULL;
    AUTO(arena) struct arena mem;
    struct record *r;
    const char *port;
    arena_init(&mem);
    if (!cmd_open_store(a, &store, err) ||
        !lastrun_record(store, cmd_opt(a, "run")->string, a->arg[0], &mem, &r, &port, NULL, err))
        return false;
    AUTO_JSON reference = NULL;
    struct lastrun found;
    if (lastrun_find(store, cmd_opt(a, "run")->string, r->task, false, &mem, &found, NULL))
        reference = json_parse(found.reference, strlen(found.reference), "reference", NULL);
    bool ok = show(store, r, port, reference, cmd_opt(a, "json")->set, ret_json, err);
    record_free(r);
    return ok;
}

static int run(const struct cmd_args *a)
{
    struct error err = {0};
    AUTO_JSON j = NULL;
    if (!show_task(a, &j, &err))
        return cmd_fail(&err);
    return cmd_opt(a, "json")->set ? cmd_print_json(json_incref(j)) : 0;
}

const struct cmd cmd_show = {
    .name = "show",
    .group = "Look at results",
    .doc = "Print a task's result.",
    .details = "A table is printed as such; of other results the files, with names and shapes of "
               "their tensors. The task is that of the newest run of the store that has it.",
    .args =
        (const struct arg[]){{.name = "TASK[.OUTPUT]", .doc = "a task's name; one of its outputs, else all"},
                             {0}},
    .opts = opts,
    .examples =
        (const struct example[]){
            {"weft show table", "the numbers"},
            {"weft show 'proxy[rings].selection' --json", "one output, for programs"},
            {"weft show table --run 20261125T031608Z-000", "as it was in an earlier run"},
            {0}},
    .run = run};
