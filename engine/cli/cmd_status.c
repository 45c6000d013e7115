/* weft status: the runs at work in the store, or the newest one that ended. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "cache/store.h"
#include "engine/cli/cmd.h"
#include "engine/cli/runview.h"
#include "engine/cli/screen.h"
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

/* "  seed  0:12 on cores 0-1 of n1, asks for 2.0 GiB,  41% (1200/3000 samples), last progress 2 s ago" */
static void put_task(const json_t *t, const char *host, struct buf *out)
{
    char spent[UNITS_MAX], silent[UNITS_MAX], memory[UNITS_MAX];
    double total = json_real_or(t, "total", 0), done = json_real_or(t, "done", 0);
    const char *node = json_string_or(t, "node", ""), *cpuset = json_string_or(t, "cpuset", "");
    int cores = (int)json_int_or(t, "cores", 0);
    buf_printf(out, "  %-24s %9s on ", json_string_or(t, "task", ""),
               seconds_text(json_real_or(t, "seconds", 0), spent));
    if (*cpuset)
        buf_printf(out, "cores %s", cpuset);
    else
        buf_printf(out, "%d core%s", cores, cores == 1 ? "" : "s");
    if (*node && strcmp(node, host) != 0)
        buf_printf(out, " of %s", node);
    if (json_int_or(t, "memory", 0) > 0)
        buf_printf(out, ", asks for %s", bytes_text(json_int_or(t, "memory", 0), memory));
    if (total > 0)
        buf_printf(out, ", %3.0f%% (%.0f/%.0f %s), last progress %s ago", 100 * done / total, done, total,
                   json_string_or(t, "unit", ""), seconds_text(json_real_or(t, "silent", 0), silent));
    buf_putc(out, '\n');
}

/* ", 3 of 8 cores in use" */
static void put_cores(const json_t *r, struct buf *out)
{
    size_t i;
    const json_t *t;
    long long used = 0, all = json_int_or(r, "cores", 0);
    json_array_foreach(json_object_get(r, "tasks"), i, t) used += json_int_or(t, "cores", 0);
    if (all > 0)
        buf_printf(out, ", %lld of %lld core%s in use", used, all, all == 1 ? "" : "s");
}

static void put_run(const json_t *r, struct buf *out)
{
    char spent[UNITS_MAX], left[UNITS_MAX];
    size_t i;
    json_t *t;
    const char *host = json_string_or(r, "host", "");
    buf_printf(out, "%s  %s  at work for %s (pid %lld on %s): %lld of %lld tasks",
               json_string_or(r, "run", ""), json_string_or(r, "experiment", ""),
               seconds_text(json_real_or(r, "seconds", 0), spent), (long long)json_int_or(r, "pid", 0), host,
               (long long)json_int_or(r, "finished", 0), (long long)json_int_or(r, "count", 0));
    for (size_t k = 0; k < COUNTS; k++)
        if (json_int_or(r, counts[k], 0))
            buf_printf(out, ", %lld %s", (long long)json_int_or(r, counts[k], 0), counts[k]);
    put_cores(r, out);
    if (json_real_or(r, "left", -1) >= 0)
        buf_printf(out, ", about %s left", seconds_text(json_real_or(r, "left", 0), left));
    buf_putc(out, '\n');
    json_array_foreach(json_object_get(r, "tasks"), i, t) put_task(t, host, out);
}

static void put_newest(const json_t *r, struct buf *out)
{
    char spent[UNITS_MAX];
    buf_puts(out, "no run is at work");
    if (json_is_object(r))
        buf_printf(out, "; the newest, %s of %s, %s: %s in %s", json_string_or(r, "run", ""),
                   json_string_or(r, "experiment", ""), json_string_or(r, "time", ""),
                   json_string_or(r, "state", ""), seconds_text(json_real_or(r, "seconds", 0), spent));
    buf_putc(out, '\n');
}

/* Lines that are too long go on in the next one, after a comma. */
static void wrap(const char *text, int columns, struct buf *out)
{
    int used = 0;
    for (const char *at = text; *at;) {
        int n = (int)strcspn(at, ",\n");
        n += at[n] != '\0';
        if (used > 4 && used + n > columns) {
            buf_puts(out, "\n   ");
            used = 3;
        }
        buf_add(out, at, (size_t)n);
        used = at[n - 1] == '\n' ? 0 : used + n;
        at += n;
    }
}

/* In place of what stands there. */
static void draw(struct screen *screen, const char *text)
{
    size_t n = 0, cap = 0;
    AUTO(buf) struct buf wrapped = {0};
    AUTO(mem) const char **line = NULL;
    screen_measure(screen);
    wrap(text, screen->columns - 1, &wrapped);
    for (char *at = wrapped.data, *end; at && (end = strchr(at, '\n')); at = end + 1) {
        *end = '\0';
        line = xgrow(line, &cap, n + 1, sizeof *line);
        line[n++] = at;
    }
    screen_draw(screen, line, (int)n);
}

/* The last look stays; those before are drawn over, where a terminal watches. */
static int print(const struct cmd_args *a, const json_t *all, struct screen *screen, bool last)
{
    size_t i;
    json_t *r;
    AUTO(buf) struct buf out = {0};
    const json_t *runs = json_object_get(all, "runs");
    if (cmd_opt(a, "json")->set)
        return cmd_print_json(json_incref((json_t *)(uintptr_t)all));
    json_array_foreach(runs, i, r) put_run(r, &out);
    if (json_array_size(runs) == 0)
        put_newest(json_object_get(all, "newest"), &out);
    if (screen && last)
        screen_draw(screen, NULL, 0);
    if (screen && !last)
        draw(screen, buf_str(&out));
    else
        fputs(buf_str(&out), stdout);
    return 0;
}

static int watch(const struct cmd_args *a, const char *store, struct screen *screen)
{
    bool watched = cmd_opt(a, "watch")->set;
    struct error err = {0};
    for (;;) {
        AUTO_JSON all = NULL;
        if (!look(store, &all, &err))
            return cmd_fail(&err);
        bool last = !watched || json_array_size(json_object_get(all, "runs")) == 0;
        int status = print(a, all, screen, last);
        if (status || last || fflush(stdout) != 0)
            return status;
        sleep(EVERY);
    }
}

static int run(const struct cmd_args *a)
{
    AUTO(store) struct store *store = NULL;
    struct error err = {0};
    struct screen screen;
    if (!cmd_open_store(a, &store, &err))
        return cmd_fail(&err);
    bool live = cmd_opt(a, "watch")->set && !cmd_opt(a, "json")->set && isatty(STDOUT_FILENO);
    if (live)
        screen_init(&screen, STDOUT_FILENO);
    int status = watch(a, store_path(store), live ? &screen : NULL);
    if (live)
        screen_done(&screen);
    return status;
}

const struct cmd cmd_status = {
    .name = "status",
    .group = "Look at results",
    .doc = "Tell what the runs at work are doing, or how the newest run ended.",
    .details =
        "Of each run at work in the store, whoever started it: its tasks at work with their "
        "progress, cores and memory asked for, how many are done, since when, and about how long it still "
        "takes.",
    .args = (const struct arg[]){{0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft status --watch", "look on until they end"},
                                         {"weft status --json", "for programs"},
                                         {0}},
    .run = run};
