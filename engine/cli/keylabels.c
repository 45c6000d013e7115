#include "engine/cli/keylabels.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/runlog.h"
#include <stdlib.h>
#include <string.h>

static bool see(void *arg, const json_t *o)
{
    struct keylabels *k = arg;
    const char *event = json_string_or(o, "event", "");
    struct digest key;
    if ((strcmp(event, "hit") == 0 || strcmp(event, "ran") == 0) &&
        digest_parse(json_string_or(o, "key", ""), &key)) {
        k->item = xgrow(k->item, &k->cap, k->n + 1, sizeof *k->item);
        k->item[k->n++] = (struct keylabel_item){key, json_object_size(json_object_get(o, "private")) > 0};
    }
    return true;
}

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

/* One of each key, private if any is. */
static void merge(struct keylabels *k)
{
    size_t n = 0;
    if (k->n)
        qsort(k->item, k->n, sizeof *k->item, by_key);
    for (size_t i = 0; i < k->n; i++)
        if (n && digest_equal(&k->item[n - 1].key, &k->item[i].key))
            k->item[n - 1].private |= k->item[i].private;
        else
            k->item[n++] = k->item[i];
    k->n = n;
}

bool keylabels_read(const struct store *s, struct keylabels *ret, struct error *err)
{
    char **list;
    size_t n;
    *ret = (struct keylabels){0};
    if (!runlog_list(store_path(s), &list, &n, err))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        AUTO(mem) char *events = xprintf("%s/runs/%s/events.jsonl", store_path(s), list[i]);
        /* None: what it made is not known. One that cannot be read may say what is private. */
        ok = !fs_exists(events) || runlog_read(store_path(s), list[i], see, ret, err);
    }
    fs_list_free(list, n);
    merge(ret);
    if (!ok)
        keylabels_done(ret);
    return ok;
}

void keylabels_done(struct keylabels *k)
{
    free(k->item);
    *k = (struct keylabels){0};
}

enum keylabel keylabel_of(const struct keylabels *k, const struct digest *key)
{
    const struct keylabel_item *i = k->n ? bsearch(key, k->item, k->n, sizeof *k->item, by_key) : NULL;
    return !i ? KEYLABEL_UNKNOWN : i->private ? KEYLABEL_PRIVATE : KEYLABEL_PUBLIC;
}
