#include "engine/cli/resultname.h"
#include "engine/cli/lastrun.h"
#include "engine/cli/runname.h"
#include "engine/cli/runview.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

static bool run_keys(struct store *s, const char *id, struct arena *a, struct resultname *ret,
                     struct error *err)
{
    struct runview r;
    if (!runview_read(store_path(s), id, a, &r, err))
        return false;
    struct digest *key = arena_alloc(a, ((size_t)r.n + 1) * sizeof *key);
    size_t n = 0, one = 0;
    for (int i = 0; i < r.n; i++) {
        const char *state = r.task[i].state;
        if (r.task[i].has_key && (strcmp(state, "hit") == 0 || strcmp(state, "ran") == 0))
            key[n++] = r.task[i].key;
    }
    if (n)
        qsort(key, n, sizeof *key, by_key);
    for (size_t i = 0; i < n; i++)
        if (!one || !digest_equal(&key[one - 1], &key[i]))
            key[one++] = key[i];
    *ret = (struct resultname){"run", id, key, one};
    return true;
}

bool resultname_run(struct store *s, const char *text, struct arena *a, struct resultname *ret,
                    struct error *err)
{
    const char *id;
    return runname_find(store_path(s), text, a, &id, err) && run_keys(s, id, a, ret, err);
}

static bool task_key_of(const struct lastrun *l, struct arena *a, struct resultname *ret, struct error *err)
{
    if (strcmp(l->state, "failed") == 0 || !l->has_key)
        return error_set(err, NULL, ERROR_INPUT, "task '%s' failed in run %s: it has no result", l->task,
                         l->run);
    struct digest *key = arena_alloc(a, sizeof *key);
    *key = l->key;
    *ret = (struct resultname){"task", l->task, key, 1};
    return true;
}

/* A run's id begins with its date: "2026...". */
static bool looks_like_run(const char *text)
{
    return isdigit((unsigned char)text[0]) || strcmp(text, "last") == 0;
}

bool resultname_find(struct store *s, const char *text, struct arena *a, struct resultname *ret,
                     struct error *err)
{
    struct lastrun l;
    struct error run = {0}, task = {0};
    if (resultname_run(s, text, a, ret, &run))
        return true;
    if (lastrun_find(s, NULL, text, false, a, &l, &task))
        return task_key_of(&l, a, ret, err);
    if (err)
        *err = looks_like_run(text) ? run : task;
    return false;
}
