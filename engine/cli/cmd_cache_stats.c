/* weft cache stats: what the store holds, and what it saved. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "cache/config.h"
#include "engine/cli/cmd.h"
#include "engine/cli/entryview.h"
#include "engine/cli/savings.h"
#include "engine/cli/units.h"
#include <stdio.h>
#include <string.h>

#define DEAREST 5

static const struct opt opts[] = {OPT_ROW_STORE, OPT_ROW_JSON, {0}};

struct stats {
    const char *path;
    struct entries e; /* the dearest first */
    size_t freed, lost;
    double core_seconds; /* that all of it took */
    struct amount hot, quarantine, checkpoints;
    int64_t limit, hot_limit; /* limit 0: none */
    struct savings saved;
};

static struct amount below(const struct store *s, const char *name)
{
    AUTO(mem) char *path = xprintf("%s/%s", store_path(s), name);
    return amount_below(path);
}

static bool gather(struct store *s, struct stats *t, struct error *err)
{
    const struct store_config *c = store_config(s);
    if (!entries_read(s, &t->e, err) || !savings_read(s, &t->e, &t->saved, err))
        return false;
    entries_sort(&t->e, "time");
    for (size_t i = 0; i < t->e.n; i++) {
        t->freed += t->e.item[i].state == STORE_FREED;
        t->lost += t->e.item[i].state == STORE_LOST;
        t->core_seconds += entry_core_seconds(&t->e.item[i].m);
    }
    t->path = store_path(s);
    t->hot = *c->hot ? amount_below(c->hot) : below(s, "hot");
    t->quarantine = below(s, "quarantine");
    t->checkpoints = below(s, "checkpoints");
    t->limit = c->max_size;
    t->hot_limit = c->hot_size;
    return true;
}

static double ratio(const struct stats *t)
{
    return t->e.stored ? (double)t->e.content / (double)t->e.stored : 1;
}

/* ---- for programs ---- */

static json_t *amount_json(struct amount a)
{
    return json_pack("{s:I, s:I}", "files", (json_int_t)a.n, "bytes", (json_int_t)a.bytes);
}

static json_t *dearest_json(const struct stats *t)
{
    json_t *list = json_array();
    for (size_t i = 0; i < t->e.n && i < DEAREST; i++)
        json_array_append_new(list, entry_json(&t->e.item[i]));
    return list;
}

static json_t *stats_json(const struct stats *t)
{
    const struct savings *v = &t->saved;
    json_t *o =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I}", "store", t->path, "records",
                  (json_int_t)t->e.n, "freed", (json_int_t)t->freed, "lost", (json_int_t)t->lost, "objects",
                  (json_int_t)t->e.objects, "stored", (json_int_t)t->e.stored, "content",
                  (json_int_t)t->e.content, "ratio", ratio(t), "record_bytes", (json_int_t)t->e.records);
    json_object_update_new(o, json_pack("{s:o, s:o, s:o, s:o, s:I, s:I}", "orphans",
                                        amount_json((struct amount){t->e.orphans, t->e.orphan_bytes}), "hot",
                                        amount_json(t->hot), "quarantine", amount_json(t->quarantine),
                                        "checkpoints", amount_json(t->checkpoints), "limit",
                                        (json_int_t)t->limit, "hot_limit", (json_int_t)t->hot_limit));
    json_object_update_new(o, json_pack("{s:f, s:{s:I, s:I, s:I, s:I, s:I, s:f, s:f}, s:o}", "core_seconds",
                                        t->core_seconds, "saved", "runs", (json_int_t)v->runs, "hits",
                                        (json_int_t)v->hits, "ran", (json_int_t)v->ran, "failed",
                                        (json_int_t)v->failed, "unknown", (json_int_t)v->unknown, "hit_rate",
                                        savings_rate(v), "core_seconds", v->core_seconds, "dearest",
                                        dearest_json(t)));
    return o;
}

/* ---- for people ---- */

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void print_amount(const char *name, struct amount a, const char *note)
{
    char size[UNITS_MAX];
    printf("%-12s %s in %zu file%s%s\n", name, bytes_text(a.bytes, size), a.n, plural(a.n), note);
}

static void print_held(const struct stats *t)
{
    const struct entries *e = &t->e;
    char stored[UNITS_MAX], content[UNITS_MAX], records[UNITS_MAX], spent[UNITS_MAX];
    printf("%-12s %s\n", "store", t->path);
    printf("%-12s %zu, %s", "records", e->n, bytes_text(e->records, records));
    if (t->freed)
        printf("; %zu freed: objects let go, digests known", t->freed);
    if (t->lost)
        printf("; %zu lost: what they name is missing", t->lost);
    printf("\n%-12s %zu, %s of %s content (%.2f to 1)", "objects", e->objects, bytes_text(e->stored, stored),
           bytes_text(e->content, content), ratio(t));
    if (e->orphans)
        printf("; %zu that no record names, %s", e->orphans, bytes_text(e->orphan_bytes, records));
    printf("\n%-12s %s\n", "worth", core_text(t->core_seconds, spent));
}

static void print_limit(const struct stats *t)
{
    char used[UNITS_MAX], limit[UNITS_MAX];
    int64_t bytes = t->e.stored + t->e.records;
    if (t->limit)
        printf("%-12s %s of %s, %.0f%%\n", "limit", bytes_text(bytes, used), bytes_text(t->limit, limit),
               100.0 * (double)bytes / (double)t->limit);
    else
        printf("%-12s none; 'weft cache config max_size=SIZE' sets one\n", "limit");
}

static void print_saved(const struct savings *v)
{
    char spent[UNITS_MAX];
    size_t all = v->hits + v->ran + v->failed;
    printf("%-12s %s by %zu hit%s of %zu task%s in %zu run%s (%.0f%%)", "saved",
           core_text(v->core_seconds, spent), v->hits, plural(v->hits), all, plural(all), v->runs,
           plural(v->runs), 100 * savings_rate(v));
    if (v->unknown)
        printf("; of %zu hit%s the record is gone, not counted", v->unknown, plural(v->unknown));
    printf("\n");
}

static void print_dearest(const struct stats *t)
{
    if (t->e.n)
        printf("dearest\n");
    for (size_t i = 0; i < t->e.n && i < DEAREST; i++) {
        const struct entry *e = &t->e.item[i];
        char spent[UNITS_MAX], size[UNITS_MAX], used[UNITS_MAX];
        AUTO(buf) struct buf task = {0};
        entry_task(e, &task);
        printf("  %-28s %-12s %18s %10s  used %s\n", buf_str(&task), e->m.stage,
               core_text(entry_core_seconds(&e->m), spent), bytes_text(e->stored, size),
               time_text(e->used, used));
    }
}

static void print_stats(const struct stats *t)
{
    char limit[UNITS_MAX];
    AUTO(mem) char *most = xprintf(", at most %s", bytes_text(t->hot_limit, limit));
    print_held(t);
    print_limit(t);
    print_amount("hot", t->hot, most);
    print_amount("checkpoints", t->checkpoints, "");
    print_amount("quarantine", t->quarantine, "");
    print_saved(&t->saved);
    print_dearest(t);
}

static int run(const struct cmd_args *a)
{
    AUTO(store) struct store *s = NULL;
    struct error err = {0};
    struct stats t = {0};
    int status = 0;
    if (!cmd_open_store(a, &s, &err) || !gather(s, &t, &err))
        status = cmd_fail(&err);
    else if (cmd_opt(a, "json")->set)
        status = cmd_print_json(stats_json(&t));
    else
        print_stats(&t);
    entries_free(&t.e);
    return status;
}

const struct cmd cmd_cache_stats = {
    .name = "cache stats",
    .group = "The store",
    .doc = "Show what the store holds, how full it is, and what it saved.",
    .details =
        "records are results by key, objects their content, each once however many results have it; content "
        "is "
        "the size before packing. worth is what it would take to make all of it again. hot are the plain "
        "files that lie ready for workers, quarantine what was damaged. saved adds up, over all hits in the "
        "logs of the store's runs, the time of the record that was hit times its threads.",
    .args = (const struct arg[]){{0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft cache stats", "for people"},
                                         {"weft cache stats --json", "for programs"},
                                         {0}},
    .run = run};
