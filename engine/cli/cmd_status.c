/* weft status: the runs at work in the store, or the newest one that ended. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "cache/store.h"
#include "engine/cli/cmd.h"
#include "engine/cli/runview.h"
#include "engine/cli/units.h"
#include "engine/exec/runlog.h"
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EVERY 1 /* seconds between two looks of --watch */

static const struct opt opts[] = {
    {"watch", 'w', OPT_FLAG, NULL, "look again every second until no run is at work"},
    OPT_ROW_STORE,
    OPT_ROW_JSON,
    {0}};

static bool see_begin(void *arg, const json_t *event)
{
    json_t **ret = arg;
    if (strcmp(json_string_or(event, "event", ""), "begin") == 0)
        *ret = json_incref((json_t *)(uintptr_t)event);
    return !*ret;
}

static double seconds_since(const char *iso)
{
    struct tm tm = {0};
    return strptime(iso, "%Y-%m-%dT%H:%M:%SZ", &tm) ? difftime(time(NULL), timegm(&tm)) : 0;
}

static const char *const counts[] = {"hit", "ran", "failed"};
#define COUNTS (sizeof counts / sizeof *counts)

/* Before there is a status.json: as far as the events tell. */
static void from_events(const char *store, const char *id, const json_t *begin, json_t *ret)
{
    AUTO(arena) struct arena mem;
    struct runview r;
    arena_init(&mem);
    if (!runview_read(store, id, &mem, &r, NULL))
        return;
    json_object_update_new(ret, json_pack("{s:i, s:I, s:[]}", "finished", r.n, "count",
                                          (json_int_t)json_int_or(begin, "tasks", 0), "tasks"));
    for (size_t i = 0; i < COUNTS; i++)
        json_object_set_new(ret, counts[i], json_integer(runview_count(&r, counts[i])));
}

/* A run at work, as the JSON has it; NULL: it wrote nothing yet. */
static json_t *run_json(const char *store, const char *id)
{
    AUTO(mem) char *path = runlog_status_path(store, id);
    AUTO_JSON begin = NULL;
    if (!runlog_read(store, id, see_begin, &begin, NULL) || !begin)
        return NULL;
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:f}", "run", id, "experiment",
                          json_string_or(begin, "experiment", ""), "file", json_string_or(begin, "file", ""),
                          "time", json_string_or(begin, "time", ""), "pid",
                          (json_int_t)json_int_or(begin, "pid", 0), "host", json_string_or(begin, "host", ""),
                          "seconds", seconds_since(json_string_or(begin, "time", "")));
    AUTO_JSON status = fs_exists(path) ? json_read(path, NULL) : NULL;
    if (status)
        json_object_update(o, status);
    else
        from_events(store, id, begin, o);
    return o;
}

static json_t *newest_json(const char *store, const char *id)
{
    AUTO(arena) struct arena mem;
    struct runview r;
    arena_init(&mem);
    if (!runview_read(store, id, &mem, &r, NULL))
        return json_null();
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:i, s:i, s:i, s:i}", "run", r.id, "experiment",
                     r.experiment, "file", r.file, "time", r.begin, "state", r.state, "seconds", r.seconds,
                     "hit", runview_count(&r, "hit"), "ran", runview_count(&r, "ran"), "failed",
                     runview_count(&r, "failed"), "skipped", runview_count(&r, "skipped"));
}

/* {"runs": [...], "newest": {...} or null}; newest only when no run is at work. */
static bool look(const char *store, json_t **ret, struct error *err)
{
    char **list;
    size_t n;
    json_t *runs = json_array(), *newest = NULL;
    if (!runlog_list(store, &list, &n, err)) {
        json_decref(runs);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        json_t *o = runlog_alive(store, list[i]) ? run_json(store, list[i]) : NULL;
        if (o)
            json_array_append_new(runs, o);
    }
    for (size_t i = 0; i < n && json_array_size(runs) == 0 && !json_is_object(newest); i++)
        newest = newest_json(store, list[i]);
    fs_list_free(list, n);
    *ret = json_pack("{s:o, s:o}", "runs", runs, "newest", newest ? newest : json_null());
    return true;
}

/* ---- for people ---- */

/* "  seed  41%  1200/3000 samples, 0:12 on cores 0-1, silent for 2 s" */
static void print_task(const json_t *t)
{
    char spent[UNITS_MAX], silent[UNITS_MAX];
    double total = json_real_or(t, "total", 0), done = json_real_or(t, "done", 0);
    const char *where = json_string_or(t, "cpuset", "");
    printf("  %-24s %9s on %s%s", json_string_or(t, "task", ""),
           seconds_text(json_real_or(t, "seconds", 0), spent), where_word(where), where);
    if (total > 0)
        printf(", %3.0f%% (%.0f/%.0f %s), last progress %s ago", 100 * done / total, done, total,
               json_string_or(t, "unit", ""), seconds_text(json_real_or(t, "silent", 0), silent));
    printf("\n");
}

static void print_run(const json_t *r)
{
    char spent[UNITS_MAX], left[UNITS_MAX];
    size_t i;
    json_t *t;
    printf("%s  %s  at work for %s (pid %lld on %s): %lld of %lld tasks", json_string_or(r, "run", ""),
           json_string_or(r, "experiment", ""), seconds_text(json_real_or(r, "seconds", 0), spent),
           (long long)json_int_or(r, "pid", 0), json_string_or(r, "host", ""),
           (long long)json_int_or(r, "finished", 0), (long long)json_int_or(r, "count", 0));
    for (size_t k = 0; k < COUNTS; k++)
        if (json_int_or(r, counts[k], 0))
            printf(", %lld %s", (long long)json_int_or(r, counts[k], 0), counts[k]);
    if (json_real_or(r, "left", -1) >= 0)
        printf(", about %s left", seconds_text(json_real_or(r, "left", 0), left));
    printf("\n");
    json_array_foreach(json_object_get(r, "tasks"), i, t) print_task(t);
}

static void print_newest(const json_t *r)
{
    char spent[UNITS_MAX];
    printf("no run is at work");
    if (json_is_object(r))
        printf("; the newest, %s of %s, %s: %s in %s", json_string_or(r, "run", ""),
               json_string_or(r, "experiment", ""), json_string_or(r, "time", ""),
               json_string_or(r, "state", ""), seconds_text(json_real_or(r, "seconds", 0), spent));
    printf("\n");
}

static int print(const struct cmd_args *a, const json_t *all)
{
    size_t i;
    json_t *r;
    const json_t *runs = json_object_get(all, "runs");
    if (cmd_opt(a, "json")->set)
        return cmd_print_json(json_incref((json_t *)(uintptr_t)all));
    if (cmd_opt(a, "watch")->set && isatty(STDOUT_FILENO))
        fputs("\033[H\033[2J", stdout);
    json_array_foreach(runs, i, r) print_run(r);
    if (json_array_size(runs) == 0)
        print_newest(json_object_get(all, "newest"));
    return 0;
}

static int run(const struct cmd_args *a)
{
    AUTO(store) struct store *store = NULL;
    struct error err = {0};
    int status = 0;
    if (!cmd_open_store(a, &store, &err))
        return cmd_fail(&err);
    for (bool more = true; more && !status;) {
        AUTO_JSON all = NULL;
        if (!look(store_path(store), &all, &err))
            return cmd_fail(&err);
        status = print(a, all);
        more = cmd_opt(a, "watch")->set && json_array_size(json_object_get(all, "runs"));
        if (more && (fflush(stdout) != 0 || sleep(EVERY) != 0))
            break;
    }
    return status;
}

const struct cmd cmd_status = {
    .name = "status",
    .group = "Look at results",
    .doc = "Tell what the runs at work are doing, or how the newest run ended.",
    .details = "Of each run at work in the store, whoever started it: its tasks at work with their "
               "progress, how many are done, since when, and about how long it still takes.",
    .args = (const struct arg[]){{0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft status --watch", "look on until they end"},
                                         {"weft status --json", "for programs"},
                                         {0}},
    .run = run};
