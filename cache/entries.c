#include "cache/entries.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/pack.h"
#include "cache/store_impl.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct object { /* begins with its digest */
    struct digest digest;
    int64_t stored, content; /* content 0: its header is damaged */
    bool named;
    unsigned live; /* entries not freed that have it */
    size_t last;   /* entry that was looked at last of those that have it, from 1 on */
};
struct reading {
    struct store *s;
    struct entries *ret;
    struct object *object; /* sorted by digest */
    size_t n, cap;
};

/* ---- objects ---- */

/* "ab/cdef..." */
static bool parse_name(const char *name, struct digest *ret)
{
    char hex[DIGEST_HEX + 8];
    snprintf(hex, sizeof hex, "%.2s%.68s", name, strlen(name) > 3 ? name + 3 : "");
    return digest_parse(hex, ret);
}

static bool read_object(const char *path, struct object *o)
{
    AUTO(fd) int fd = fs_open(path, O_RDONLY | O_NOFOLLOW, 0);
    struct pack_info info = {0};
    struct stat st;
    const char *why;
    if (fd < 0 || fstat(fd, &st) != 0) /* gone meanwhile */
        return false;
    bool whole = pack_open(&(struct frame_file){fd, path}, &info, &why, NULL);
    o->stored = st.st_size;
    o->content = whole ? info.size : 0;
    return true;
}

static bool read_objects(struct reading *r, struct error *err)
{
    AUTO(mem) char *root = xprintf("%s/objects", r->s->path);
    char **list;
    size_t n;
    if (!fs_list_tree(root, &list, &n, err))
        return false;
    r->object = xcalloc(n + 1, sizeof *r->object);
    for (size_t i = 0; i < n; i++) { /* in order of their digests */
        AUTO(mem) char *path = xprintf("%s/%s", root, list[i]);
        struct object *o = &r->object[r->n];
        if (!parse_name(list[i], &o->digest) || !read_object(path, o))
            continue;
        r->n++;
        r->ret->stored += o->stored;
        r->ret->content += o->content;
    }
    r->ret->objects = r->n;
    fs_list_free(list, n);
    return true;
}

static int by_digest(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

/* ---- entries ---- */

static bool imports_found(struct store *s, const struct record_summary *m)
{
    for (size_t i = 0; i < m->imports; i++) {
        AUTO(mem) char *found = store_import_find(s, &m->import[i]);
        if (!found)
            return false;
    }
    return true;
}

static bool see(void *arg, const struct record_summary *m)
{
    struct reading *r = arg;
    struct entries *all = r->ret;
    struct entry e = {.m = *m};
    struct stat st;
    bool whole = true;
    if (!store_stat(r->s->records, m->key, &st))
        return true; /* gone meanwhile */
    for (size_t i = 0; i < m->objects; i++) {
        struct object *o = bsearch(&m->object[i], r->object, r->n, sizeof *r->object, by_digest);
        whole = whole && o;
        if (!o)
            continue;
        e.content += o->content;
        if (o->last == all->n + 1) /* two of its files are the same */
            continue;
        o->last = all->n + 1;
        o->named = true;
        o->live += !m->freed;
        e.stored += o->stored;
    }
    e.stored += st.st_size;
    e.used = st.st_atime;
    e.state = whole && imports_found(r->s, m) ? STORE_HIT : m->freed ? STORE_FREED : STORE_LOST;
    all->records += st.st_size;
    all->item = xgrow(all->item, &all->cap, all->n + 1, sizeof *all->item);
    all->item[all->n++] = e;
    return true;
}

/* What two results share counts half for each. */
static double share(const struct reading *r, const struct entry *e)
{
    double bytes = 0;
    for (size_t i = 0; !e->m.freed && i < e->m.objects; i++) {
        const struct object *o = bsearch(&e->m.object[i], r->object, r->n, sizeof *o, by_digest);
        bytes += o ? (double)o->stored / o->live : 0;
    }
    return bytes > 0 ? bytes : (double)e->stored;
}

static void weigh(struct reading *r)
{
    double now = (double)time(NULL);
    for (size_t i = 0; i < r->ret->n; i++) {
        struct entry *e = &r->ret->item[i];
        double days = now > (double)e->used ? (now - (double)e->used) / 86400 : 0;
        e->value = e->m.seconds / share(r, e) / (1 + days);
    }
}

static void count_orphans(struct reading *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (!r->object[i].named) {
            r->ret->orphans++;
            r->ret->orphan_bytes += r->object[i].stored;
        }
}

bool entries_read(struct store *s, struct entries *ret, struct error *err)
{
    struct reading r = {.s = s, .ret = ret};
    *ret = (struct entries){0};
    bool ok = store_flush(s, err) && read_objects(&r, err) && store_each_summary(s, see, &r, err);
    weigh(&r);
    count_orphans(&r);
    free(r.object);
    return ok || (entries_free(ret), false);
}

void entries_free(struct entries *e)
{
    free(e->item);
    *e = (struct entries){0};
}

double entry_core_seconds(const struct record_summary *m)
{
    return m->seconds > 0 ? m->seconds * (m->threads > 1 ? m->threads : 1) : 0;
}

bool store_keys(const struct store *s, struct digest **ret, size_t *ret_n, struct error *err)
{
    AUTO(mem) char *root = xprintf("%s/records", s->path);
    char **list;
    size_t n, found = 0;
    if (!fs_list_tree(root, &list, &n, err))
        return false;
    struct digest *key = xcalloc(n + 1, sizeof *key);
    for (size_t i = 0; i < n; i++)
        found += parse_name(list[i], &key[found]);
    fs_list_free(list, n);
    *ret = key;
    *ret_n = found;
    return true;
}

struct amount amount_below(const char *folder)
{
    struct amount sum = {0};
    char **list;
    size_t n;
    if (!fs_is_dir(folder) || !fs_list_tree(folder, &list, &n, NULL))
        return sum;
    for (size_t i = 0; i < n; i++) {
        AUTO(mem) char *path = xprintf("%s/%s", folder, list[i]);
        struct stat st;
        if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        sum.bytes += st.st_size;
        sum.n++;
    }
    fs_list_free(list, n);
    return sum;
}
