/* What lies below a store, told by its name and place alone: what the store makes there, and what it does
 * not. Folders that it does not know are one thing, not many. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/pin.h"
#include "cache/verify_impl.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum content {
    DIGESTS,     /* ab/cdef...: files */
    IMPORTS,     /* the same, and once more below by-content/ */
    CHECKPOINTS, /* ab/cdef.../STEP */
    PINS,        /* NAME */
    TEMPORARY,   /* folders of processes, and a lock */
    OWN          /* whatever: others look after it */
};
static const struct folder {
    const char *name;
    enum content content;
    int place; /* of its files; -1: they need no look */
} folders[] = {
    {"objects", DIGESTS, PLACE_OBJECT},
    {"records", DIGESTS, PLACE_RECORD},
    {"checkpoints", CHECKPOINTS, PLACE_CHECKPOINT},
    {"imports", IMPORTS, -1},
    {"tmp", TEMPORARY, -1},
    {"locks", OWN, -1},
    {"runs", OWN, -1},
    {"quarantine", OWN, -1},
    {"pins", PINS, PLACE_PIN},
    {"fetched", OWN, -1},
    {"hot", OWN, -1},
};
/* Files directly below the store: by the whole name, or its beginning. */
static const struct {
    const char *name;
    bool whole;
} files[] = {{"config", true},   {"index", true},      {"usage", true},
             {"verified", true}, {"verified.", false}, {".publish.", false} /* fs_publish, under way */};

static const struct folder *folder_named(const char *name)
{
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (strcmp(folders[i].name, name) == 0)
            return &folders[i];
    return NULL;
}

static bool is_own_file(const char *name)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i].whole ? strcmp(files[i].name, name) == 0
                           : strncmp(files[i].name, name, strlen(files[i].name)) == 0)
            return true;
    return false;
}

static bool is_hex(const char *s, size_t n)
{
    return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

static bool parse_step(const char *name, int64_t *ret)
{
    char *end;
    errno = 0;
    *ret = *name >= '1' && *name <= '9' ? strtoll(name, &end, 10) : 0;
    return *ret && !errno && !*end;
}

static void add(struct verify *v, int place, const char *rel, const struct digest *d, int64_t step,
                int64_t size)
{
    struct verify_list *l = &v->list[place];
    l->item = xgrow(l->item, &l->cap, l->n + 1, sizeof *l->item);
    l->item[l->n++] = (struct verify_item){xstrdup(rel), *d, step, size};
}

static void add_foreign(struct verify *v, const char *rel)
{
    struct digest d; /* of its path: names it in quarantine */
    hash_bytes(rel, strlen(rel), &d);
    add(v, PLACE_FOREIGN, rel, &d, 0, 0);
}

struct visit { /* one name in a folder */
    const char *rel, *name;
    bool folder, file; /* neither: a link, a pipe... */
    int64_t size;
};
typedef bool see_fn(struct verify *v, void *arg, const struct visit *e, struct error *err);

/* Call see() for each name in the folder `rel`, unless the folder is gone. */
static bool each_name(struct verify *v, const char *rel, see_fn *see, void *arg, struct error *err)
{
    AUTO(mem) char *path = xprintf("%s/%s", v->s->path, rel);
    DIR *d = fs_opendir(path);
    if (!d)
        return errno == ENOENT || error_errno(err, "cannot open folder '%s'", path);
    bool ok = true;
    const struct dirent *e;
    while (ok && (errno = 0, e = readdir(d))) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) /* gone */
            continue;
        AUTO(mem) char *below = *rel ? xprintf("%s/%s", rel, e->d_name) : xstrdup(e->d_name);
        ok =
            see(v, arg,
                &(struct visit){below, e->d_name, S_ISDIR(st.st_mode), S_ISREG(st.st_mode), st.st_size}, err);
    }
    if (ok && errno)
        ok = error_errno(err, "cannot read folder '%s'", path);
    closedir(d);
    return ok;
}

struct digests { /* a folder of digests that is read */
    const struct folder *folder;
    const char *part; /* "ab" */
    struct digest digest;
};

static bool see_step(struct verify *v, void *arg, const struct visit *e, struct error *err)
{
    const struct digests *g = arg;
    int64_t step;
    if (e->file && parse_step(e->name, &step))
        add(v, g->folder->place, e->rel, &g->digest, step, e->size);
    else
        add_foreign(v, e->rel);
    return true;
}

static bool see_rest(struct verify *v, void *arg, const struct visit *e, struct error *err)
{
    struct digests *g = arg;
    AUTO(mem) char *hex = xprintf("%s%s", g->part, e->name);
    bool deeper = g->folder->content == CHECKPOINTS;
    if ((deeper ? !e->folder : !e->file) || !is_hex(e->name, DIGEST_HEX - 3) ||
        !digest_parse(hex, &g->digest))
        add_foreign(v, e->rel);
    else if (deeper)
        return each_name(v, e->rel, see_step, g, err);
    else if (g->folder->place >= 0)
        add(v, g->folder->place, e->rel, &g->digest, 0, e->size);
    return true;
}

static bool see_part(struct verify *v, void *arg, const struct visit *e, struct error *err)
{
    const struct folder *f = arg;
    struct digests g = {.folder = f, .part = e->name};
    static const struct folder by_content = {"imports/by-content", DIGESTS, -1};
    if (e->folder && f->content == IMPORTS && strcmp(e->name, "by-content") == 0)
        return each_name(v, e->rel, see_part, (void *)&by_content, err);
    if (e->folder && is_hex(e->name, 2))
        return each_name(v, e->rel, see_rest, &g, err);
    add_foreign(v, e->rel);
    return true;
}

static bool see_pin(struct verify *v, void *arg, const struct visit *e, struct error *err)
{
    struct digest d; /* of its path: names it in quarantine */
    hash_bytes(e->rel, strlen(e->rel), &d);
    if (e->file && pin_name_valid(e->name))
        add(v, PLACE_PIN, e->rel, &d, 0, e->size);
    else
        add_foreign(v, e->rel);
    return true;
}

/* Folders there are swept when their process is gone. */
static bool see_temporary(struct verify *v, void *arg, const struct visit *e, struct error *err)
{
    if (!e->folder && strcmp(e->name, ".lock") != 0)
        add_foreign(v, e->rel);
    return true;
}

static bool see_top(struct verify *v, void *arg, const struct visit *e, struct error *err)
{
    const struct folder *f = folder_named(e->name);
    AUTO(mem) char *path = xprintf("%s/%s", v->s->path, e->rel);
    if (f && fs_is_dir(path)) /* a link to a folder on another disk is as good */
        return f->content == OWN         ? true
               : f->content == PINS      ? each_name(v, e->rel, see_pin, NULL, err)
               : f->content == TEMPORARY ? each_name(v, e->rel, see_temporary, NULL, err)
                                         : each_name(v, e->rel, see_part, (void *)f, err);
    if (!e->file || !is_own_file(e->name))
        add_foreign(v, e->rel);
    return true;
}

bool verify_walk(struct verify *v, struct error *err)
{
    return each_name(v, "", see_top, NULL, err);
}
