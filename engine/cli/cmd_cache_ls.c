/* weft cache ls: the store's entries. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/cli/cmd.h"
#include "engine/cli/entryview.h"
#include "engine/cli/units.h"
#include "stages/stage.h"
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {
    {"sort", 0, OPT_STRING, ENTRY_ORDERS, "what is most first; default value: what gc takes is last"},
    {"stage", 0, OPT_LIST, "STAGE", "of this stage only; repeatable"},
    {"task", 't', OPT_LIST, "TASK", "made by this task only; * and ? stand for any text; repeatable"},
    {"limit", 'n', OPT_INT, "N", "the first N only"},
    OPT_ROW_STORE,
    OPT_ROW_JSON,
    {0}};

/* Names hold brackets, which are no pattern here. */
static bool matches(const char *pattern, const char *name)
{
    AUTO(buf) struct buf plain = {0};
    for (; *pattern; pattern++)
        buf_printf(&plain, "%s%c", strchr("[]\\", *pattern) ? "\\" : "", *pattern);
    return fnmatch(buf_str(&plain), name, 0) == 0;
}

static bool wanted(const struct cmd_args *a, const struct entry *e)
{
    const struct opt_value *stage = cmd_opt(a, "stage"), *task = cmd_opt(a, "task");
    bool by_stage = !stage->n, by_task = !task->n;
    for (int i = 0; i < stage->n; i++)
        by_stage = by_stage || strcmp(stage->list[i], e->m.stage) == 0;
    for (int i = 0; i < task->n; i++)
        by_task = by_task || matches(task->list[i], e->m.task);
    return by_stage && by_task;
}

/* A program reads tabs and whole numbers, a person columns. */
static void print_entry(const struct entry *e, bool person)
{
    char hex[DIGEST_HEX], size[UNITS_MAX], spent[UNITS_MAX], used[UNITS_MAX];
    AUTO(buf) struct buf task = {0};
    entry_task(e, &task);
    digest_hex(e->m.key, hex);
    time_text(e->used, used);
    if (person)
        printf("%.12s  %-5s  %10s  %9s  %-20s  %-12s  %s\n", hex, entry_state(e), bytes_text(e->stored, size),
               seconds_text(e->m.seconds, spent), used, e->m.stage, buf_str(&task));
    else
        printf("%s\t%s\t%lld\t%.17g\t%s\t%s\t%s\n", hex, entry_state(e), (long long)e->stored, e->m.seconds,
               used, e->m.stage, buf_str(&task));
}

static int print_all(const struct cmd_args *a, const struct entries *e, long limit)
{
    bool json = cmd_opt(a, "json")->set, person = isatty(STDOUT_FILENO);
    json_t *list = json ? json_array() : NULL;
    if (!json && person && e->n)
        printf("%-12s  %-5s  %10s  %9s  %-20s  %-12s  %s\n", "key", "state", "stored", "time", "last use",
               "stage", "task");
    for (size_t i = 0; i < e->n && limit; i++) {
        if (!wanted(a, &e->item[i]))
            continue;
        limit--;
        if (json)
            json_array_append_new(list, entry_json(&e->item[i]));
        else
            print_entry(&e->item[i], person);
    }
    return json ? cmd_print_json(json_pack("{s:o}", "entries", list)) : 0;
}

/* A stage that there is not has no entries by mistake: say so. */
static bool check_stages(const struct cmd_args *a, struct error *err)
{
    const struct opt_value *stage = cmd_opt(a, "stage");
    const char *names[256];
    size_t n = 0;
    for (; stage_registry[n] && n < 256; n++)
        names[n] = stage_registry[n]->name;
    for (int i = 0; i < stage->n; i++) {
        const char *near = stage_find(stage->list[i]) ? NULL : nearest_name(names, n, stage->list[i]);
        if (!stage_find(stage->list[i]))
            return error_set(err, NULL, ERROR_INPUT, "there is no stage '%s'%s%s%s", stage->list[i],
                             near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return true;
}

static int run(const struct cmd_args *a)
{
    AUTO(store) struct store *s = NULL;
    struct error err = {0};
    struct entries e;
    const struct opt_value *limit = cmd_opt(a, "limit"), *sort = cmd_opt(a, "sort");
    if (limit->set && limit->number < 1) {
        error_set(&err, NULL, ERROR_INPUT, "--limit takes a number of entries, 1 or more, not %ld",
                  limit->number);
        return cmd_fail(&err);
    }
    if (!check_stages(a, &err) || !cmd_open_store(a, &s, &err) || !entries_read(s, &e, &err))
        return cmd_fail(&err);
    entries_sort(&e, sort->set ? sort->string : "value");
    int status = print_all(a, &e, limit->set ? limit->number : -1);
    entries_free(&e);
    return status;
}

const struct cmd cmd_cache_ls = {
    .name = "cache ls",
    .group = "The store",
    .doc = "List the store's entries: key, state, size, time, last use, stage, task.",
    .details =
        "An entry is a record with the objects it names. whole: all of it is there. freed: its objects were "
        "let go to make room, but what it produced is still known. lost: objects, or outside data that it "
        "took by reference, are missing. stored is the size of its record and of all its objects, also those "
        "that others share; the time is that of the run that made it, the task the one that made it "
        "first.\n\n"
        "On a terminal the columns are for people. In a pipe they are separated by tabs: sizes in bytes, "
        "times in seconds.",
    .args = (const struct arg[]){{0}},
    .opts = opts,
    .examples =
        (const struct example[]){{"weft cache ls --sort size -n 20", "what takes most room"},
                                 {"weft cache ls --stage expert", "the results of one stage"},
                                 {"weft cache ls | cut -f 3 | paste -sd+ | bc", "for programs: all sizes"},
                                 {0}},
    .run = run};
