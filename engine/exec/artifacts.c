#include "engine/exec/artifacts.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/hot.h"
#include <errno.h>
#include <string.h>

struct folder { /* one artifact that lies ready */
    struct digest digest;
    char *path;
    struct record_file *file; /* a copy of the record's list */
    size_t n;
    int users;  /* attempts at work with it */
    char *made; /* what it looked like when it was made: `look` */
};
struct artifacts {
    struct store *store;
    char *temp; /* the run's folder */
    char *dir;  /* in it: holds one folder an artifact, named by its digest */
    struct folder *item;
    size_t n, cap;
    unsigned long made;
    struct digest *spoilt; /* folders and plain files that were changed and left, in this order */
    size_t n_spoilt, cap_spoilt;
};

struct artifacts *artifacts_new(struct store *store, const char *dir)
{
    struct artifacts *a = xcalloc(1, sizeof *a);
    a->store = store;
    a->temp = xstrdup(dir);
    a->dir = xprintf("%s/artifacts", dir);
    return a;
}

static void folder_done(struct store *s, struct folder *f)
{
    for (size_t k = 0; k < f->n; k++) {
        if (!f->file[k].source)
            store_hot_drop(s, &f->file[k].digest);
        free(f->file[k].name);
        free(f->file[k].source);
    }
    free(f->file);
    free(f->path);
    free(f->made);
}

void artifacts_free(struct artifacts *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->n; i++)
        folder_done(a->store, &a->item[i]);
    free(a->item);
    free(a->spoilt);
    free(a->temp);
    free(a->dir);
    free(a);
}

static struct record_file file_copy(const char *name, const struct record_file *f)
{
    return (struct record_file){xstrdup(name), f->digest, f->size, f->source ? xstrdup(f->source) : NULL};
}

/* ---- out of the store ---- */

static bool copy_file(const char *from, const char *to, struct error *err)
{
    AUTO(map) struct map m = {0};
    return map_open(&m, from, err) && fs_write_file(to, m.data, m.size, err);
}

static bool make_parents(const char *dir, const char *name, struct error *err)
{
    const char *slash = strrchr(name, '/');
    if (!slash)
        return true;
    AUTO(mem) char *parent = xprintf("%s/%.*s", dir, (int)(slash - name), name);
    return fs_mkdirs(parent, err);
}

static bool copy_tree(const char *from, const char *to, struct error *err)
{
    char **list;
    size_t n;
    if (!fs_is_dir(from))
        return copy_file(from, to, err);
    if (!fs_mkdirs(to, err) || !fs_list_tree(from, &list, &n, err))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        AUTO(mem) char *source = xprintf("%s/%s", from, list[i]);
        AUTO(mem) char *target = xprintf("%s/%s", to, list[i]);
        ok = make_parents(to, list[i], err) && copy_file(source, target, err);
    }
    fs_list_free(list, n);
    return ok;
}

static bool write_one(struct store *s, const struct record_file *f, const char *dir, bool copy_imports,
                      struct error *err)
{
    AUTO(mem) char *to = xprintf("%s/%s", dir, f->name);
    if (!make_parents(dir, f->name, err))
        return false;
    if (!f->source)
        return store_hot_clone(s, &f->digest, f->size, to) || store_get_file(s, &f->digest, f->size, to, err);
    AUTO(mem) char *found = store_import_find(s, &f->digest);
    if (!found)
        return error_set(err, NULL, ERROR_DAMAGE, "outside data changed or is gone: '%s'", f->source);
    if (copy_imports)
        return copy_tree(found, to, err);
    return fs->symlink(found, to) == 0 || error_errno(err, "cannot link '%s'", to);
}

/* The same as links to plain files that lie ready, each in use from then on. How many of them are done. */
static size_t link_files(struct artifacts *a, const struct record_output *o, const char *dir,
                         struct error *err)
{
    size_t i = 0;
    for (bool ok = true; ok && i < o->n; i += ok) {
        const struct record_file *f = &o->file[i];
        if (f->source) {
            ok = write_one(a->store, f, dir, false, err);
            continue;
        }
        AUTO(mem) char *to = xprintf("%s/%s", dir, f->name);
        AUTO(mem) char *hot = store_hot(a->store, &f->digest, f->size, err);
        ok = hot != NULL;
        if (ok && (!make_parents(dir, f->name, err) ||
                   (fs->symlink(hot, to) != 0 && !error_errno(err, "cannot link '%s'", to)))) {
            store_hot_drop(a->store, &f->digest);
            ok = false;
        }
    }
    if (i < o->n)
        error_context(err, "output '%s'", o->port);
    return i;
}

static void drop_files(struct artifacts *a, const struct record_output *o, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!o->file[i].source)
            store_hot_drop(a->store, &o->file[i].digest);
}

bool artifacts_write(struct store *store, const struct record_output *o, const char *dir, bool copy_imports,
                     struct error *err)
{
    for (size_t i = 0; i < o->n; i++)
        if (!write_one(store, &o->file[i], dir, copy_imports, err))
            return error_context(err, "output '%s'", o->port);
    return true;
}

static struct folder *find(const struct artifacts *a, const struct digest *d)
{
    for (size_t i = 0; i < a->n; i++)
        if (digest_equal(&a->item[i].digest, d))
            return &a->item[i];
    return NULL;
}

/* Names, sizes, times and numbers of all files: a change of one shows. malloc'd; "" when it cannot be read.
 */
static char *look(const char *dir)
{
    AUTO(buf) struct buf b = {0};
    char **list;
    size_t n;
    if (!fs_list_tree(dir, &list, &n, NULL))
        return xstrdup("");
    for (size_t i = 0; i < n; i++) {
        AUTO(mem) char *path = xprintf("%s/%s", dir, list[i]);
        struct stat st = {0};
        if (lstat(path, &st) == 0)
            buf_printf(&b, "%s %lld %lld.%09ld %lld\n", list[i], (long long)st.st_size,
                       (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long long)st.st_ino);
    }
    fs_list_free(list, n);
    return buf_take(&b);
}

size_t artifacts_spoilt(const struct artifacts *a)
{
    return a->n_spoilt;
}

static bool was_spoilt(const struct artifacts *a, const struct digest *d, size_t since)
{
    for (size_t i = since; i < a->n_spoilt; i++)
        if (digest_equal(&a->spoilt[i], d))
            return true;
    return false;
}

static void note_spoilt(struct artifacts *a, const struct digest *d)
{
    a->spoilt = xgrow(a->spoilt, &a->cap_spoilt, a->n_spoilt + 1, sizeof *a->spoilt);
    a->spoilt[a->n_spoilt++] = *d;
}

/* Its plain files, which other folders may have too. */
static bool files_unchanged(struct artifacts *a, const struct folder *f)
{
    bool same = true;
    for (size_t i = 0; i < f->n; i++)
        if (!f->file[i].source && !store_hot_unchanged(a->store, &f->file[i].digest)) {
            note_spoilt(a, &f->file[i].digest);
            same = false;
        }
    return same;
}

bool artifacts_unchanged(struct artifacts *a, const struct record_output *o, size_t since)
{
    if (was_spoilt(a, &o->digest, since))
        return false;
    for (size_t i = 0; i < o->n; i++)
        if (was_spoilt(a, &o->file[i].digest, since))
            return false;
    struct folder *f = find(a, &o->digest);
    AUTO(mem) char *now = f ? look(f->path) : NULL;
    if (!f || (files_unchanged(a, f) && strcmp(now, f->made) == 0))
        return true;
    AUTO(mem) char *aside = xprintf("%s/spoilt.%lu", a->dir, a->made++);
    if (fs->rename(f->path, aside) == 0) { /* else every task that needs it fails, which is right */
        note_spoilt(a, &o->digest);
        folder_done(a->store, f);
        *f = a->item[--a->n];
    }
    return false;
}

static struct folder *add(struct artifacts *a, const struct record_output *o)
{
    char hex[DIGEST_HEX];
    a->item = xgrow(a->item, &a->cap, a->n + 1, sizeof *a->item);
    struct folder *f = &a->item[a->n++];
    *f = (struct folder){.digest = o->digest, .path = xprintf("%s/%s", a->dir, digest_hex(&o->digest, hex))};
    f->file = xcalloc(o->n, sizeof *f->file);
    for (; f->n < o->n; f->n++)
        f->file[f->n] = file_copy(o->file[f->n].name, &o->file[f->n]);
    f->made = look(f->path);
    return f;
}

/* A plain file that somebody wrote to was removed; what needs it now gets it anew, in its place. */
static bool restore_files(struct artifacts *a, const struct record_output *o, struct error *err)
{
    for (size_t i = 0; i < o->n; i++) {
        if (o->file[i].source)
            continue;
        AUTO(mem) char *hot = store_hot(a->store, &o->file[i].digest, o->file[i].size, err);
        if (!hot)
            return false;
        store_hot_drop(a->store, &o->file[i].digest);
    }
    return true;
}

void artifacts_release(struct artifacts *a, const struct digest *d)
{
    struct folder *f = find(a, d);
    if (f && f->users > 0)
        f->users--;
}

static void remove_folder(struct artifacts *a, struct folder *f)
{
    fs_remove_tree(f->path, NULL);
    folder_done(a->store, f);
    *f = a->item[--a->n];
}

void artifacts_forget(struct artifacts *a, const struct digest *d)
{
    struct folder *f = find(a, d);
    if (f && !f->users)
        remove_folder(a, f);
}

/* Folders that nobody works with let their files go, then the store may remove those unused for longest. */
static void make_room(struct artifacts *a)
{
    int64_t bytes;
    size_t files;
    if (!store_hot_full(a->store))
        return;
    for (size_t i = a->n; i-- > 0;)
        if (!a->item[i].users)
            remove_folder(a, &a->item[i]);
    store_hot_trim(a->store, -1, &bytes, &files);
}

bool artifacts_folder(struct artifacts *a, const struct record_output *o, const char **ret, struct error *err)
{
    struct folder *there = find(a, &o->digest);
    if (there) {
        there->users++;
        *ret = there->path;
        return restore_files(a, o, err);
    }
    char hex[DIGEST_HEX];
    AUTO(mem) char *temp = xprintf("%s/new.%lu", a->dir, a->made++);
    AUTO(mem) char *path = xprintf("%s/%s", a->dir, digest_hex(&o->digest, hex));
    size_t done = 0;
    if (!fs_mkdirs(temp, err) || (done = link_files(a, o, temp, err)) < o->n ||
        (fs->rename(temp, path) != 0 && !error_errno(err, "cannot rename to '%s'", path))) {
        drop_files(a, o, done);
        fs_remove_tree(temp, NULL);
        return false;
    }
    struct folder *f = add(a, o);
    f->users = 1;
    make_room(a);
    *ret = f->path;
    return true;
}

/* ---- into the store ---- */

static bool below(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* A link to a file of an artifact that lies ready: what that file is. */
static const struct record_file *linked_file(const struct artifacts *a, const char *target)
{
    size_t n = strlen(a->dir);
    struct digest d;
    if (!below(target, a->dir) || strlen(target) < n + 2 + DIGEST_HEX)
        return NULL;
    AUTO(mem) char *hex = xstrndup(target + n + 1, DIGEST_HEX - 1);
    const struct folder *f = digest_parse(hex, &d) ? find(a, &d) : NULL;
    const char *name = target + n + 1 + DIGEST_HEX;
    for (size_t i = 0; f && i < f->n; i++)
        if (strcmp(f->file[i].name, name) == 0)
            return &f->file[i];
    return NULL;
}

/* It is the content of an object, which must be there when the record is: the plain file may have outlived
 * it. */
static bool collect_known(struct artifacts *a, const char *real, const char *name,
                          const struct record_file *known, struct record_file *ret, struct error *err)
{
    struct record_file f = *known;
    if (!f.source) {
        store_use(a->store, &f.digest); /* before it is looked for */
        if (!store_has(a->store, &f.digest) && !store_put_file(a->store, real, &f.digest, &f.size, err))
            return false;
    }
    *ret = file_copy(name, &f);
    return true;
}

/* The link itself first: it may lead to a link, that of an artifact's file to outside data. */
static bool collect_link(struct artifacts *a, const char *path, const char *name, struct record_file *ret,
                         struct error *err)
{
    char target[4096];
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n < 0)
        return error_errno(err, "cannot read the link '%s'", path);
    target[n] = '\0';
    AUTO(mem) char *real = realpath(path, NULL);
    if (!real)
        return error_errno(err, "the link '%s' leads nowhere", path);
    const struct record_file *known = linked_file(a, target);
    if (!known)
        known = linked_file(a, real);
    if (known)
        return collect_known(a, real, name, known, ret, err);
    struct record_file hot = {0};
    if (store_hot_digest(a->store, real, &hot.digest, &hot.size))
        return collect_known(a, real, name, &hot, ret, err);
    if (below(real, a->temp)) /* a record would outlive it */
        return error_set(err, NULL, ERROR_TASK, "'%s' links to a temporary file, '%s'", name, real);
    struct record_file f = {.source = real};
    if (!store_import(a->store, real, &f.digest, &f.size, err))
        return false;
    *ret = file_copy(name, &f);
    return true;
}

static bool collect_one(struct artifacts *a, const char *path, const char *name, struct record_file *ret,
                        bool *ret_plain, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return error_errno(err, "cannot look at '%s'", path);
    if (S_ISLNK(st.st_mode))
        return collect_link(a, path, name, ret, err);
    if (!S_ISREG(st.st_mode))
        return error_set(err, NULL, ERROR_TASK, "'%s' is neither a file nor a link", name);
    struct record_file f = {0};
    *ret_plain = true;
    if (!store_put_file(a->store, path, &f.digest, &f.size, err))
        return false;
    *ret = file_copy(name, &f);
    return true;
}

/* Its plain files stay, for those who need them. Not possible: they are unpacked when needed. */
static void keep(struct artifacts *a, const char *dir, const struct record_output *o, const bool *plain)
{
    for (size_t i = 0; i < o->n; i++) {
        AUTO(mem) char *path = xprintf("%s/%s", dir, o->file[i].name);
        AUTO(mem)
        char *hot = plain[i] ? store_hot_adopt(a->store, &o->file[i].digest, o->file[i].size, path) : NULL;
        if (hot)
            store_hot_drop(a->store, &o->file[i].digest);
    }
    make_room(a);
}

bool artifacts_collect(struct artifacts *a, const char *dir, const char *port, bool ready,
                       struct record_output *ret, struct error *err)
{
    char **list;
    size_t n;
    if (!fs_list_tree(dir, &list, &n, err))
        return error_context(err, "output '%s'", port);
    *ret = (struct record_output){.port = xstrdup(port), .file = xcalloc(n, sizeof *ret->file)};
    AUTO(mem) bool *plain = xcalloc(n + 1, sizeof *plain); /* in the order of names, as the record's */
    bool ok = n > 0 || error_set(err, NULL, ERROR_TASK, "nothing was written");
    for (size_t i = 0; ok && i < n; i++) {
        AUTO(mem) char *path = xprintf("%s/%s", dir, list[i]);
        ok = collect_one(a, path, list[i], &ret->file[ret->n], &plain[i], err);
        ret->n += ok;
    }
    fs_list_free(list, n);
    if (!ok)
        return error_context(err, "output '%s'", port);
    record_tree_digest(ret);
    if (ready)
        keep(a, dir, ret, plain);
    return true;
}
