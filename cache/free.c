/* Letting results go: their objects are removed, their records stay and say so. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/store_impl.h"
#include <errno.h>
#include <string.h>

struct candidate {
    struct digest digest;
    bool needed;
};
struct candidates {
    struct candidate *item; /* sorted by digest once complete */
    size_t n, cap;
    const struct digest *key; /* whose they are */
    size_t keys;
};

static int by_digest(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest)); /* a candidate begins with its digest */
}

static void candidates_auto(struct candidates *c)
{
    free(c->item);
}

static bool is_ours(const struct candidates *c, const struct digest *key)
{
    for (size_t i = 0; i < c->keys; i++)
        if (digest_equal(&c->key[i], key))
            return true;
    return false;
}

/* What another record names stays. */
static bool see_other(void *arg, const struct record_summary *m)
{
    struct candidates *c = arg;
    bool other = !m->freed && !is_ours(c, m->key);
    for (size_t i = 0; other && i < m->objects; i++) {
        struct candidate *found = bsearch(&m->object[i], c->item, c->n, sizeof *c->item, by_digest);
        if (found)
            found->needed = true;
    }
    return true;
}

/* The record says that its objects are gone before they are. */
static bool mark_freed(struct store *s, const struct digest *key, struct candidates *c, struct error *err)
{
    struct record *r;
    if (!store_get_record(s, key, &r, err))
        return false;
    bool ok = true;
    if (r && !r->freed) {
        for (size_t i = 0; i < r->n; i++)
            for (size_t k = 0; k < r->output[i].n; k++)
                if (!r->output[i].file[k].source) {
                    c->item = xgrow(c->item, &c->cap, c->n + 1, sizeof *c->item);
                    c->item[c->n++] = (struct candidate){r->output[i].file[k].digest, false};
                }
        r->freed = true;
        ok = store_put_record(s, r, err);
    }
    record_free(r);
    return ok;
}

/* By nobody but this process, which knows what it does. */
static void remove_unused(struct store *s, const struct digest *d)
{
    if (lock_take(s->locks, LOCK_USE, d, true, NULL) != LOCK_MINE)
        return;
    AUTO(mem) char *file = store_file(s, "objects", d);
    fs->unlink(file); /* what stays is found by the next gc */
    lock_drop(s->locks, LOCK_USE, d);
}

bool store_free(struct store *s, const struct digest *key, size_t n, struct error *err)
{
    __attribute__((cleanup(candidates_auto))) struct candidates c = {.key = key, .keys = n};
    for (size_t i = 0; i < n; i++)
        if (!mark_freed(s, &key[i], &c, err))
            return false;
    if (!c.n)
        return true;
    qsort(c.item, c.n, sizeof *c.item, by_digest);
    if (!store_each_summary(s, see_other, &c, err))
        return false;
    for (size_t i = 0; i < c.n; i++)
        if (!c.item[i].needed && (i == 0 || !digest_equal(&c.item[i].digest, &c.item[i - 1].digest)))
            remove_unused(s, &c.item[i].digest);
    return true;
}
