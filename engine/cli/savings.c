#include "engine/cli/savings.h"
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/cli/runview.h"
#include "engine/exec/runlog.h"
#include <stdlib.h>
#include <string.h>

struct worth { /* begins with its key */
    struct digest key;
    double core_seconds;
};

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

static void add_run(struct savings *sum, const struct runview *r, const struct worth *w, size_t n)
{
    sum->runs++;
    for (int i = 0; i < r->n; i++) {
        const struct run_task *t = &r->task[i];
        bool hit = strcmp(t->state, "hit") == 0;
        sum->hits += hit;
        sum->ran += strcmp(t->state, "ran") == 0;
        sum->failed += strcmp(t->state, "failed") == 0;
        const struct worth *found = hit && t->has_key ? bsearch(&t->key, w, n, sizeof *w, by_key) : NULL;
        sum->unknown += hit && !found;
        sum->core_seconds += found ? found->core_seconds : 0;
    }
}

bool savings_read(const struct store *s, const struct entries *e, struct savings *ret, struct error *err)
{
    char **list;
    size_t n;
    *ret = (struct savings){0};
    if (!runlog_list(store_path(s), &list, &n, err))
        return false;
    AUTO(mem) struct worth *w = xcalloc(e->n + 1, sizeof *w);
    for (size_t i = 0; i < e->n; i++)
        w[i] = (struct worth){*e->item[i].m.key, entry_core_seconds(&e->item[i].m)};
    if (e->n)
        qsort(w, e->n, sizeof *w, by_key);
    for (size_t i = 0; i < n; i++) {
        AUTO(arena) struct arena mem;
        struct runview r;
        arena_init(&mem);
        if (runview_read(store_path(s), list[i], &mem, &r, NULL))
            add_run(ret, &r, w, e->n);
    }
    fs_list_free(list, n);
    return true;
}

double savings_rate(const struct savings *s)
{
    size_t all = s->hits + s->ran + s->failed;
    return all ? (double)s->hits / (double)all : 0;
}
