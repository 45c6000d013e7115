/* Fetching: what is there already, who fetches it, and in what order it becomes there. */
#include "cache/fetch.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/fetch_impl.h"
#include "cache/store_impl.h"
#include <stdlib.h>
#include <string.h>

/* ---- places ---- */

/* The last part of the URL's path, where that can be a file's name. */
static char *url_name(const char *url)
{
    const char *path = strstr(url, "://") + 3;
    AUTO(mem) char *plain = xstrndup(path, strcspn(path, "?"));
    const char *slash = strrchr(plain, '/');
    return xstrdup(slash && origin_name_ok(slash + 1) ? slash + 1 : "file");
}

static void url_place(const struct store *s, const struct digest *d, const char *url, struct fetch_set *ret)
{
    char hex[DIGEST_HEX];
    *ret = (struct fetch_set){.dir = xprintf("%s/fetched/url/%s", store_path(s), digest_hex(d, hex))};
    ret->manifest = xprintf("%s/manifest", ret->dir);
    ret->pinned = xprintf("%s#sha256=%s", url, hex);
}

/* Where what `o` means would be; false: nobody knows without asking. */
static bool find_place(const struct store *s, const struct origin *o, struct fetch_set *ret)
{
    *ret = (struct fetch_set){0};
    if (o->kind == ORIGIN_FILE) {
        if (o->has_digest)
            url_place(s, &o->digest, o->url, ret);
        return o->has_digest;
    }
    AUTO(mem) char *commit = hub_ref(s, o);
    if (commit)
        hub_place(s, o, commit, ret);
    return commit != NULL;
}

/* The folder of a snapshot, or the one file; absolute, malloc'd. */
static char *local_path(const struct origin *o, const struct fetch_set *f, struct error *err)
{
    bool folder = o->kind == ORIGIN_HUB && !o->file;
    AUTO(mem) char *path = folder ? xprintf("%s/files", f->dir) : fetch_file_path(f, &f->file[0]);
    char *real = realpath(path, NULL);
    if (!real)
        error_errno(err, "cannot find '%s'", path);
    return real;
}

/* Files whose stat became another one but whose content is right are known by the new one from now on. */
static void seal_again(struct store *s, struct fetch_set *f)
{
    for (size_t i = 0; i < f->n; i++) {
        AUTO(mem) char *path = fetch_file_path(f, &f->file[i]);
        struct stat st;
        if (lstat(path, &st) != 0)
            return;
        if (f->file[i].inode != (int64_t)st.st_ino ||
            f->file[i].mtime != st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec) {
            (void)!fetch_set_seal(s, f, NULL);
            return;
        }
    }
}

char *fetch_find(struct store *s, const char *url, struct error *err)
{
    AUTO(origin) struct origin o = {0};
    AUTO(fetch_set) struct fetch_set f = {0};
    if (!origin_parse(url, &o, err) || !find_place(s, &o, &f))
        return NULL;
    fetch_set_recall(&f);
    if (!fetch_set_whole(&f, false, err))
        return NULL;
    seal_again(s, &f);
    return local_path(&o, &f, err);
}

/* ---- fetching ---- */

struct errand {
    struct store *store;
    const struct origin *origin;
    const struct fetch_options *o;
    struct fetch_get get;
};

static bool finish(struct errand *e, struct fetch_set *f, struct fetch_result *ret, struct error *err)
{
    *ret = (struct fetch_result){.path = local_path(e->origin, f, err),
                                 .pinned = xstrdup(f->pinned),
                                 .files = (int)f->n,
                                 .fetched = e->get.fetched,
                                 .fetched_bytes = e->get.fetched_bytes};
    for (size_t i = 0; i < f->n; i++)
        ret->bytes += f->file[i].size;
    return ret->path != NULL;
}

/* All that was missing is there now. */
static bool seal(struct errand *e, struct fetch_set *f, struct error *err)
{
    AUTO(mem) char *parts = xprintf("%s/parts", f->dir);
    bool ok = fetch_set_seal(e->store, f, err);
    if (ok)
        fs->rmdir(parts); /* unless a file of another URL is under way there */
    return ok;
}

/* A file whose content is not known beforehand goes to the place of its digest. */
static bool fetch_unknown(struct errand *e, struct fetch_result *ret, struct error *err)
{
    struct digest d;
    char hex[DIGEST_HEX];
    AUTO(fetch_set) struct fetch_set f = {0}, to = {0};
    const struct origin *o = e->origin;
    hash_bytes(o->url, strlen(o->url), &d);
    f.dir = xprintf("%s/fetched/url/new-%s", store_path(e->store), digest_hex(&d, hex));
    AUTO(mem) char *name = url_name(o->url);
    struct fetch_file *file = fetch_set_add(&f, name);
    file->url = xstrdup(o->url);
    if (!fetch_get(&e->get, &f, err))
        return false;
    if (!digest_parse(file->hex, &d))
        return error_set(err, NULL, ERROR_SYSTEM, "'%s' has no digest", o->url);
    url_place(e->store, &d, o->url, &to);
    fetch_set_recall(&to);
    AUTO(mem) char *part = fetch_part_path(&f, file);
    bool ok = true;
    if (!fetch_set_whole(&to, false, NULL)) {
        fetch_set_forget(&to);
        struct fetch_file *same = fetch_set_add(&to, name);
        memcpy(same->hex, file->hex, sizeof same->hex);
        same->size = file->size;
        AUTO(mem) char *path = fetch_file_path(&to, same);
        ok = store_rename(part, path, err) && fetch_set_seal(e->store, &to, err);
    }
    return fs_remove_tree(f.dir, ok ? err : NULL) && ok && finish(e, &to, ret, err);
}

static bool fetch_file(struct errand *e, struct fetch_result *ret, struct error *err)
{
    const struct origin *o = e->origin;
    AUTO(fetch_set) struct fetch_set f = {0};
    if (!o->has_digest)
        return fetch_unknown(e, ret, err);
    url_place(e->store, &o->digest, o->url, &f);
    fetch_set_recall(&f);
    struct error why = {0};
    if (fetch_set_whole(&f, e->o->verify, &why)) {
        seal_again(e->store, &f);
        return finish(e, &f, ret, err);
    }
    if (why.code) {
        *err = why;
        return false;
    }
    if (f.n != 1) {
        AUTO(mem) char *name = url_name(o->url);
        fetch_set_forget(&f);
        digest_hex(&o->digest, fetch_set_add(&f, name)->hex);
    }
    f.file[0].url = xstrdup(o->url);
    return fetch_get(&e->get, &f, err) && seal(e, &f, err) && finish(e, &f, ret, err);
}

/* What o's URL means at a commit, as far as a manifest says that: then it has files. False: see err. */
static bool look(struct errand *e, const char *commit, struct fetch_set *f, bool *whole, struct error *err)
{
    struct error why = {0};
    hub_place(e->store, e->origin, commit, f);
    fetch_set_recall(f);
    *whole = fetch_set_whole(f, e->o->verify, &why);
    if (why.code)
        *err = why;
    return why.code == ERROR_NONE;
}

static bool fetch_hub(struct errand *e, struct fetch_result *ret, struct error *err)
{
    const struct origin *o = e->origin;
    AUTO(fetch_set) struct fetch_set f = {0}, list = {0};
    AUTO(mem) char *known = hub_ref(e->store, o);
    AUTO(mem) char *listed = NULL;
    const char *commit = e->o->update && !o->is_commit ? NULL : known;
    bool whole = false;
    if (commit && !look(e, commit, &f, &whole, err))
        return false;
    if (!f.n) { /* a manifest would say what has to be there */
        if (!hub_list(&e->get, o, commit, &list, &listed, err))
            return false;
        commit = listed;
        fetch_set_done(&f);
        if (!look(e, commit, &f, &whole, err))
            return false;
    }
    struct fetch_set *set = f.n ? &f : &list;
    if (!whole && (!hub_get(&e->get, o, commit, set, err) || !seal(e, set, err)))
        return false;
    if (whole)
        seal_again(e->store, set);
    if ((!known || strcmp(known, commit) != 0) && !hub_set_ref(e->store, o, commit, err))
        return false;
    return finish(e, set, ret, err);
}

/* ---- one at a time ---- */

/* What processes that fetch it wait for each other by: the repository, or the file. */
static void claim_of(const struct origin *o, struct digest *ret)
{
    char hex[DIGEST_HEX] = "";
    if (o->has_digest)
        digest_hex(&o->digest, hex);
    AUTO(mem)
    char *text = o->kind == ORIGIN_HUB
                     ? xprintf("weft-fetch 1\nhub %d %s/%s\n", o->datasets, o->owner, o->name)
                     : xprintf("weft-fetch 1\nurl %s\n", o->has_digest ? hex : o->url);
    hash_bytes(text, strlen(text), ret);
}

static bool claim(struct store *s, const struct digest *d, const struct fetch_options *o, struct error *err)
{
    const struct fetch_progress waits = {.size = -1, .done = 0, .total = -1};
    struct error why = {0};
    for (bool told = false; !store_claim(s, d, &why); told = true) {
        if (why.code) {
            *err = why;
            return false;
        }
        if (!told && o->progress)
            o->progress(o->arg, &waits);
        if (!fetch_go_on(o, 0.05, err))
            return false;
    }
    return true;
}

bool fetch_url(struct store *s, const char *url, const struct fetch_options *o, struct fetch_result *ret,
               struct error *err)
{
    AUTO(origin) struct origin origin = {0};
    struct error why = {0};
    *ret = (struct fetch_result){0};
    struct digest d;
    bool ok = origin_parse(url, &origin, &why); /* names the URL itself, and no password */
    if (ok) {
        struct errand e = {.store = s, .origin = &origin, .o = o, .get = {.store = s, .o = o}};
        claim_of(&origin, &d);
        ok = claim(s, &d, o, &why);
        if (ok) {
            ok = origin.kind == ORIGIN_HUB ? fetch_hub(&e, ret, &why) : fetch_file(&e, ret, &why);
            store_unclaim(s, &d);
        }
        if (!ok)
            error_context(&why, "fetch of '%s'", url);
    }
    if (!ok)
        fetch_result_done(ret);
    if (!ok && err)
        *err = why;
    return ok;
}

void fetch_result_done(struct fetch_result *r)
{
    free(r->path);
    free(r->pinned);
    *r = (struct fetch_result){0};
}
