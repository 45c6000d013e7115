#include "engine/cli/keydiff.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include <string.h>

struct line {
    const char *field, *value;
};
struct lines {
    struct line *line;
    int n;
};

/* "stage merge 2": the version is the value; "param x = 3", "input p[0] = DIGEST": what is right of " = ". */
static struct line split(struct arena *a, const char *s, size_t n)
{
    char *copy = arena_alloc(a, n + 1);
    memcpy(copy, s, n);
    char *at = strstr(copy, " = ");
    size_t skip = 3;
    if (!at) {
        at = strrchr(copy, ' ');
        skip = 1;
    }
    if (!at)
        return (struct line){copy, ""};
    *at = '\0';
    return (struct line){copy, at + skip};
}

static struct lines split_all(struct arena *a, const char *text)
{
    size_t count = 1;
    for (const char *c = text; *c; c++)
        count += *c == '\n';
    struct lines l = {.line = arena_alloc(a, count * sizeof *l.line)};
    for (const char *c = text; *c;) {
        size_t n = strcspn(c, "\n");
        l.line[l.n++] = split(a, c, n);
        c += n + (c[n] == '\n');
    }
    return l;
}

static const char *value_of(const struct lines *l, const char *field)
{
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->line[i].field, field) == 0)
            return l->line[i].value;
    return NULL;
}

void keydiff(const char *before, const char *now, struct arena *a, struct key_diff *ret)
{
    const struct lines old = split_all(a, before), new = split_all(a, now);
    *ret = (struct key_diff){.change = arena_alloc(a, (size_t)(old.n + new.n + 1) * sizeof *ret->change)};
    for (int i = 0; i < new.n; i++) {
        const char *was = value_of(&old, new.line[i].field);
        if (!was || strcmp(was, new.line[i].value) != 0)
            ret->change[ret->n++] = (struct key_change){new.line[i].field, was, new.line[i].value};
    }
    for (int i = 0; i < old.n; i++)
        if (!value_of(&new, old.line[i].field))
            ret->change[ret->n++] = (struct key_change){old.line[i].field, old.line[i].value, NULL};
}

struct search {
    struct key_query *query;
    size_t n;
    struct arena *arena;
};

/* May r be nearer than the best so far, whatever it changes? One of the same task beats all others. */
static bool may_be_nearer(const struct key_query *q, const struct record *r)
{
    if (strcmp(r->stage, q->stage) != 0 || (q->until && strcmp(r->when, q->until) > 0) ||
        strcmp(r->text, q->text) == 0)
        return false;
    return !q->near.text || strcmp(q->near.task, q->task) != 0 || strcmp(r->task, q->task) == 0;
}

/* Is r, with n changes, nearer than the best so far? */
static bool nearer(const struct key_query *q, const struct record *r, int n)
{
    const struct key_near *b = &q->near;
    if (!b->text)
        return true;
    bool same = strcmp(r->task, q->task) == 0, best_same = strcmp(b->task, q->task) == 0;
    if (same != best_same)
        return same;
    if (n != b->diff.n)
        return n < b->diff.n;
    return strcmp(r->when, b->when) > 0;
}

static void compare(struct key_query *q, const struct record *r, struct arena *a)
{
    AUTO(arena) struct arena scratch;
    arena_init(&scratch);
    struct key_diff diff;
    keydiff(r->text, q->text, &scratch, &diff);
    if (!nearer(q, r, diff.n))
        return;
    q->near = (struct key_near){.text = arena_strdup(a, r->text),
                                .task = arena_strdup(a, r->task),
                                .when = arena_strdup(a, r->when),
                                .host = arena_strdup(a, r->host),
                                .seconds = r->seconds};
    keydiff(q->near.text, q->text, a, &q->near.diff);
}

static bool see(void *arg, const struct record *r)
{
    const struct search *s = arg;
    for (size_t i = 0; i < s->n; i++)
        if (may_be_nearer(&s->query[i], r))
            compare(&s->query[i], r, s->arena);
    return true;
}

bool keydiff_nearest_all(struct store *store, struct key_query *q, size_t n, struct arena *a,
                         struct error *err)
{
    struct search s = {.query = q, .n = n, .arena = a};
    for (size_t i = 0; i < n; i++)
        q[i].near = (struct key_near){0};
    return n == 0 || store_each_record(store, see, &s, err);
}

bool keydiff_nearest(struct store *store, const char *stage, const char *task, const char *text,
                     const char *until, struct arena *a, struct key_near *ret, struct error *err)
{
    struct key_query q = {.stage = stage, .task = task, .text = text, .until = until};
    bool ok = keydiff_nearest_all(store, &q, 1, a, err);
    *ret = q.near;
    return ok;
}
