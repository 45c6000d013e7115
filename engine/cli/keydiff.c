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
    const char *stage, *task, *text, *until;
    struct arena *arena;
    struct key_near *best;
};

/* Is r, with n changes, nearer than the best so far? */
static bool nearer(const struct search *s, const struct record *r, int n)
{
    const struct key_near *b = s->best;
    if (!b->text)
        return true;
    bool same = strcmp(r->task, s->task) == 0, best_same = strcmp(b->task, s->task) == 0;
    if (same != best_same)
        return same;
    if (n != b->diff.n)
        return n < b->diff.n;
    return strcmp(r->when, b->when) > 0;
}

static bool see(void *arg, const struct record *r)
{
    struct search *s = arg;
    if (strcmp(r->stage, s->stage) != 0 || strcmp(r->text, s->text) == 0 ||
        (s->until && strcmp(r->when, s->until) > 0))
        return true;
    AUTO(arena) struct arena scratch;
    arena_init(&scratch);
    struct key_diff diff;
    keydiff(r->text, s->text, &scratch, &diff);
    if (!nearer(s, r, diff.n))
        return true;
    *s->best = (struct key_near){.text = arena_strdup(s->arena, r->text),
                                 .task = arena_strdup(s->arena, r->task),
                                 .when = arena_strdup(s->arena, r->when),
                                 .host = arena_strdup(s->arena, r->host),
                                 .seconds = r->seconds};
    keydiff(s->best->text, s->text, s->arena, &s->best->diff);
    return true;
}

bool keydiff_nearest(struct store *store, const char *stage, const char *task, const char *text,
                     const char *until, struct arena *a, struct key_near *ret, struct error *err)
{
    *ret = (struct key_near){0};
    struct search s = {.stage = stage, .task = task, .text = text, .until = until, .arena = a, .best = ret};
    return store_each_record(store, see, &s, err);
}
