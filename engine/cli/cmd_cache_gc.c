/* weft cache gc: make room. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/size.h"
#include "cache/gc.h"
#include "engine/cli/cmd.h"
#include "engine/cli/entryview.h"
#include "engine/cli/resultname.h"
#include "engine/cli/units.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct opt opts[] = {
    {"max-size", 0, OPT_STRING, "SIZE", "come down to this, 20GiB or 500MB; default: the store's max_size"},
    {"keep-run", 0, OPT_LIST, "RUN", "what this run's tasks had stays; repeatable"},
    {"dry-run", 0, OPT_FLAG, NULL, "say what would go"},
    OPT_ROW_STORE,
    OPT_ROW_JSON,
    {0}};

struct collection {
    struct store *store;
    struct arena arena;
    struct digest *keep;
    size_t n_keep, cap;
    json_t *list; /* NULL: entries are printed as they go */
    bool person;
    struct gc_report report;
};

/* When it was last of use; when it was made, where the record is gone already. 0: not known. */
static time_t last_use(const struct store *s, const struct record_summary *m)
{
    char hex[DIGEST_HEX];
    struct stat st;
    struct tm made = {0};
    digest_hex(m->key, hex);
    AUTO(mem) char *path = xprintf("%s/records/%.2s/%s", store_path(s), hex, hex + 2);
    if (stat(path, &st) == 0)
        return st.st_atime;
    return strptime(m->when, "%Y-%m-%dT%H:%M:%SZ", &made) ? timegm(&made) : 0;
}

/* "freed" when its objects go, "removed" when its record does. */
static void see(void *arg, const struct record_summary *m, int64_t bytes)
{
    struct collection *c = arg;
    char hex[DIGEST_HEX], size[UNITS_MAX], spent[UNITS_MAX], used[UNITS_MAX], age[UNITS_MAX];
    const char *what = m->freed ? "removed" : "freed";
    AUTO(buf) struct buf task = {0};
    entry_task(&(struct entry){.m = *m}, &task);
    digest_hex(m->key, hex);
    time_t last = last_use(c->store, m);
    time_text(last, used);
    if (c->list)
        json_array_append_new(c->list, json_pack("{s:s, s:s, s:s, s:s, s:I, s:f, s:s}", "key", hex, "task",
                                                 m->task, "stage", m->stage, "what", what, "bytes",
                                                 (json_int_t)bytes, "seconds", m->seconds, "used", used));
    else if (c->person)
        printf("%-7s  %10s  %9s  %7s  %-12s  %s\n", what, bytes_text(bytes, size),
               seconds_text(m->seconds, spent), age_text(difftime(time(NULL), last), age), m->stage,
               buf_str(&task));
    else
        printf("%s\t%s\t%lld\t%.17g\t%s\t%s\t%s\n", hex, what, (long long)bytes, m->seconds, used, m->stage,
               buf_str(&task));
}

static bool find_kept(struct collection *c, const struct cmd_args *a, struct error *err)
{
    const struct opt_value *runs = cmd_opt(a, "keep-run");
    for (int i = 0; i < runs->n; i++) {
        struct resultname r;
        if (!resultname_run(c->store, runs->list[i], &c->arena, &r, err))
            return error_context(err, "--keep-run");
        c->keep = xgrow(c->keep, &c->cap, c->n_keep + r.n + 1, sizeof *c->keep);
        for (size_t k = 0; k < r.n; k++)
            c->keep[c->n_keep++] = r.key[k];
    }
    return true;
}

static bool collect(struct collection *c, const struct cmd_args *a, struct error *err)
{
    const struct opt_value *size = cmd_opt(a, "max-size");
    struct gc_options o = {.max_size = -1, .dry_run = cmd_opt(a, "dry-run")->set, .see = see, .arg = c};
    if ((size->set && !size_parse("--max-size", size->string, &o.max_size, err)) ||
        !cmd_open_store(a, &c->store, err) || !find_kept(c, a, err))
        return false;
    o.keep = c->keep;
    o.n_keep = c->n_keep;
    return store_gc(c->store, &o, &c->report, err);
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

/* "freed 12 results, removed 3 records, 4 orphans, 7 strays (1.2 MiB); 120.0 MiB became 80.0 MiB" */
static void print_summary(const struct gc_report *r, bool dry_run)
{
    char size[UNITS_MAX], before[UNITS_MAX], after[UNITS_MAX], limit[UNITS_MAX];
    if (r->busy) {
        fprintf(stderr, "another gc is at work on this store: nothing was done\n");
        return;
    }
    fprintf(stderr, "%s %zu result%s, %zu record%s, %zu object%s that no record needs, %zu stray%s (%s)\n",
            dry_run ? "would free" : "freed", r->freed, plural(r->freed), r->removed, plural(r->removed),
            r->orphans, plural(r->orphans), r->strays, plural(r->strays),
            bytes_text(r->before - r->after + r->stray_bytes, size));
    fprintf(stderr, "%s of objects and records %s %s", bytes_text(r->before, before),
            dry_run ? "would be" : "are now", bytes_text(r->after, after));
    if (r->limit)
        fprintf(stderr, "; the limit is %s\n", bytes_text(r->limit, limit));
    else
        fprintf(stderr, "; there is no limit\n");
    if (r->limit && r->after > r->limit)
        fprintf(stderr, "that is above the limit: %zu pinned or kept, %zu in use\n", r->pinned, r->used);
}

static json_t *summary_json(const struct collection *c)
{
    const struct gc_report *r = &c->report;
    json_t *o = json_pack("{s:O, s:I, s:I, s:I, s:I, s:I, s:b}", "entries", c->list, "before",
                          (json_int_t)r->before, "after", (json_int_t)r->after, "limit", (json_int_t)r->limit,
                          "freed", (json_int_t)r->freed, "removed", (json_int_t)r->removed, "busy", r->busy);
    json_object_update_new(o, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "orphans", (json_int_t)r->orphans,
                                        "orphan_bytes", (json_int_t)r->orphan_bytes, "strays",
                                        (json_int_t)r->strays, "stray_bytes", (json_int_t)r->stray_bytes,
                                        "pinned", (json_int_t)r->pinned, "used", (json_int_t)r->used));
    return o;
}

static int run(const struct cmd_args *a)
{
    struct collection c = {.list = cmd_opt(a, "json")->set ? json_array() : NULL,
                           .person = isatty(STDOUT_FILENO)};
    struct error err = {0};
    int status = 0;
    arena_init(&c.arena);
    if (!collect(&c, a, &err))
        status = cmd_fail(&err);
    else if (c.list)
        status = cmd_print_json(summary_json(&c));
    else
        print_summary(&c.report, cmd_opt(a, "dry-run")->set);
    store_close(c.store);
    json_decref(c.list);
    free(c.keep);
    arena_done(&c.arena);
    return status;
}

const struct cmd cmd_cache_gc = {
    .name = "cache gc",
    .group = "The store",
    .doc = "Make room: what is least worth goes first, down to a size.",
    .details =
        "The least seconds of work a byte, discounted by the time since it was last of use, goes first. The "
        "objects of a result go and its record stays, freed, so that tasks which need only its digests still "
        "hit; when that is not enough, freed records go. What is pinned or in use by any process stays. "
        "Objects that no record needs, and what lies about, go whatever the size.\n\n"
        "A line for each entry that goes: freed or removed, bytes, the time that it took, how long it was of "
        "no use, stage, task. In a pipe they are separated by tabs, behind the key, with seconds and the "
        "time "
        "of the last use.",
    .args = (const struct arg[]){{0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft cache gc --max-size 100GiB --dry-run", "what would go"},
                                         {"weft cache gc --max-size 100GiB --keep-run last",
                                          "all but what the newest run had"},
                                         {0}},
    .run = run};
