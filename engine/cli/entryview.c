#include "engine/cli/entryview.h"
#include "engine/cli/units.h"
#include <stdlib.h>
#include <string.h>

const char *entry_state(const struct entry *e)
{
    return e->state == STORE_HIT ? "whole" : e->state == STORE_FREED ? "freed" : "lost";
}

json_t *entry_json(const struct entry *e)
{
    char hex[DIGEST_HEX], used[UNITS_MAX];
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:f, s:i, s:f, s:s, s:f}", "key",
                     digest_hex(e->m.key, hex), "task", e->m.task, "stage", e->m.stage, "state",
                     entry_state(e), "made", e->m.when, "stored", (json_int_t)e->stored, "content",
                     (json_int_t)e->content, "seconds", e->m.seconds, "threads", e->m.threads, "core_seconds",
                     entry_core_seconds(&e->m), "used", time_text(e->used, used), "value", e->value);
}

void entry_task(const struct entry *e, struct buf *out)
{
    for (const char *c = e->m.task; *c; c++)
        buf_putc(out, (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c);
}

/* ---- orders: what is most first; then by key, so that there is one order ---- */

static int same(const struct entry *a, const struct entry *b)
{
    return memcmp(a->m.key, b->m.key, sizeof *a->m.key);
}

static int most_first(double a, double b)
{
    return (a < b) - (a > b);
}

static int by_value(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int c = most_first(x->value, y->value);
    return c ? c : same(x, y);
}

static int by_time(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int c = most_first(entry_core_seconds(&x->m), entry_core_seconds(&y->m));
    return c ? c : same(x, y);
}

static int by_size(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int c = most_first((double)x->stored, (double)y->stored);
    return c ? c : same(x, y);
}

static int by_use(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int c = most_first((double)x->used, (double)y->used);
    return c ? c : same(x, y);
}

static int by_task(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int c = strcmp(x->m.task, y->m.task);
    return c ? c : same(x, y);
}

static const struct {
    const char *name;
    int (*compare)(const void *a, const void *b);
} orders[] = {{"value", by_value}, {"time", by_time}, {"size", by_size}, {"used", by_use}, {"task", by_task}};

void entries_sort(struct entries *e, const char *order)
{
    for (size_t i = 0; e->n && i < sizeof orders / sizeof *orders; i++)
        if (strcmp(orders[i].name, order) == 0)
            qsort(e->item, e->n, sizeof *e->item, orders[i].compare);
}
