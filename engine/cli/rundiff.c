#include "engine/cli/rundiff.h"
#include "base/cleanup.h"
#include "base/json.h"
#include <stdlib.h>
#include <string.h>

/* Names of a run's tasks -> index. */
static json_t *index_of(const struct runview *r)
{
    json_t *o = json_object();
    for (int i = 0; i < r->n; i++)
        json_object_set_new(o, r->task[i].name, json_integer(i));
    return o;
}

static const struct run_task *find(const struct runview *r, const json_t *index, const char *name)
{
    const json_t *at = json_object_get(index, name);
    return at ? &r->task[json_integer_value(at)] : NULL;
}

/* The key text behind a task of a run, in the arena; NULL: it has no record any more, or never had one. */
static bool key_text(struct store *store, const struct run_task *t, struct arena *a, const char **ret,
                     struct error *err)
{
    struct record *r = NULL;
    *ret = NULL;
    if (!t->has_key)
        return true;
    if (!store_get_record(store, &t->key, &r, err))
        return false;
    *ret = r ? arena_strdup(a, r->text) : NULL;
    record_free(r);
    return true;
}

bool rundiff_follows(const struct key_change *c)
{
    bool input = strncmp(c->field, "input ", 6) == 0 || strncmp(c->field, "also ", 5) == 0;
    return input && c->before && c->now;
}

static bool all_follow(const struct key_diff *d)
{
    for (int i = 0; i < d->n; i++)
        if (!rundiff_follows(&d->change[i]))
            return false;
    return true;
}

static bool compare(struct store *store, struct rundiff_task *t, struct arena *a, struct error *err)
{
    const char *before, *now;
    t->kind = RUNDIFF_SAME;
    if (t->before->has_key && t->now->has_key && digest_equal(&t->before->key, &t->now->key))
        return true;
    t->kind = RUNDIFF_UNKNOWN;
    if (!key_text(store, t->before, a, &before, err) || !key_text(store, t->now, a, &now, err))
        return false;
    if (!before || !now)
        return true;
    keydiff(before, now, a, &t->diff);
    t->kind = all_follow(&t->diff) ? RUNDIFF_CONSEQUENCE : RUNDIFF_CHANGED;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct rundiff_task *)a)->name, ((const struct rundiff_task *)b)->name);
}

bool rundiff_make(struct store *store, const struct runview *before, const struct runview *now,
                  struct arena *a, struct rundiff *ret, struct error *err)
{
    AUTO_JSON old = index_of(before);
    AUTO_JSON new = index_of(now);
    *ret = (struct rundiff){.task = arena_alloc(a, ((size_t)(before->n + now->n) + 1) * sizeof *ret->task)};
    for (int i = 0; i < now->n; i++) {
        struct rundiff_task *t = &ret->task[ret->n++];
        *t = (struct rundiff_task){.name = now->task[i].name,
                                   .now = &now->task[i],
                                   .before = find(before, old, now->task[i].name),
                                   .kind = RUNDIFF_NOW};
        if (t->before && !compare(store, t, a, err))
            return false;
    }
    for (int i = 0; i < before->n; i++)
        if (!find(now, new, before->task[i].name))
            ret->task[ret->n++] = (struct rundiff_task){
                .name = before->task[i].name, .before = &before->task[i], .kind = RUNDIFF_BEFORE};
    if (ret->n) /* a run's log has them as they ended, which differs from run to run */
        qsort(ret->task, (size_t)ret->n, sizeof *ret->task, by_name);
    for (int i = 0; i < ret->n; i++)
        ret->count[ret->task[i].kind]++;
    return true;
}
