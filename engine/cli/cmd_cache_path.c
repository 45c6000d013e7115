/* weft cache path: where the store is, and where a result lies in it. */
#include "base/cleanup.h"
#include "engine/cli/cmd.h"
#include "engine/cli/lastrun.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct opt opts[] = {
    {"run", 'r', OPT_STRING, "RUN", "of that run instead of the last that has the task"}, OPT_ROW_STORE, {0}};

static void print_path(const struct store *s, const char *kind, const struct digest *d, const char *name)
{
    char hex[DIGEST_HEX];
    digest_hex(d, hex);
    printf("%s/%s/%.2s/%s%s%s\n", store_path(s), kind, hex, hex + 2, name ? "\t" : "", name ? name : "");
}

/* Of an output the files that hold it: objects, or what was taken by reference. */
static void print_output(const struct store *s, const struct record_output *o)
{
    for (size_t i = 0; i < o->n; i++)
        if (o->file[i].source)
            printf("%s\t%s\n", o->file[i].source, o->file[i].name);
        else
            print_path(s, "objects", &o->file[i].digest, o->file[i].name);
}

static bool print_task(const struct cmd_args *a, struct store *s, struct error *err)
{
    AUTO(arena) struct arena mem;
    struct record *r;
    const char *port;
    arena_init(&mem);
    if (!lastrun_record(s, cmd_opt(a, "run")->string, a->arg[0], &mem, &r, &port, NULL, err))
        return false;
    if (!port)
        print_path(s, "records", &r->key, NULL);
    for (size_t i = 0; port && i < r->n; i++)
        if (strcmp(r->output[i].port, port) == 0)
            print_output(s, &r->output[i]);
    record_free(r);
    return true;
}

static int run(const struct cmd_args *a)
{
    AUTO(store) struct store *s = NULL;
    struct error err = {0};
    if (a->n == 0) { /* it need not be there yet */
        AUTO(mem) char *path = cmd_store_path(a);
        AUTO(mem) char *absolute = realpath(path, NULL);
        printf("%s\n", absolute ? absolute : path);
        return 0;
    }
    return cmd_open_store(a, &s, &err) && print_task(a, s, &err) ? 0 : cmd_fail(&err);
}

const struct cmd cmd_cache_path = {
    .name = "cache path",
    .group = "The store",
    .doc = "Print where the store is, or where a result lies in it.",
    .details =
        "Without a task: the store's folder, whether it is there yet or not. Of a task: the file of its "
        "record. Of an output: the files that hold it, each with a tab and its name in the result; "
        "'zstd -d' reads them (docs/store-format.md), 'weft export' copies them as they were.",
    .args =
        (const struct arg[]){
            {.name = "TASK[.OUTPUT]", .doc = "a task's name, or one of its outputs", .optional = true}, {0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft cache path", "the store's folder"},
                                         {"weft cache path unified.model", "the objects of a result"},
                                         {0}},
    .run = run};
