/* Transfers of the files that are missing. Each grows in a file of its own below parts/, where a later try
 * goes on, and gets its name when it is whole, right and on the disk. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/fetch_impl.h"
#include "cache/store_impl.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define PARALLEL 4
#define LOOK     0.25 /* seconds between two looks at whether it is to go on */

struct transfer {
    struct work *work;
    struct fetch_file *file;
    char *part;
    int64_t at;   /* bytes that it has */
    bool resumed; /* it began with what an earlier try had left */
};
struct work {
    struct fetch_get *get;
    struct fetch_set *set;
    struct http *http;
    struct transfer *transfer;
    size_t n;
    int64_t done, total;
    struct error error; /* the first */
};

struct http *fetch_http(const struct store *s, const char *bearer, struct error *err)
{
    const struct store_config *c = store_config(s);
    const char *ca = getenv("SSL_CERT_FILE");
    const struct http_options o = {.parallel = PARALLEL,
                                   .tries = (int)c->fetch_tries,
                                   .silence_timeout = (double)c->fetch_silence,
                                   .ca_file = ca && *ca ? ca : NULL,
                                   .bearer = bearer};
    return http_new(&o, err);
}

bool fetch_go_on(const struct fetch_options *o, double seconds, struct error *err)
{
    struct pollfd p = {.fd = o->interrupts > 0 ? o->interrupts : -1, .events = POLLIN};
    return poll(&p, 1, (int)(seconds * 1000)) <= 0 ||
           error_set(err, NULL, ERROR_INTERRUPT, "interrupted; what came so far is kept");
}

bool fetch_wait(struct http *h, const struct fetch_options *o, const struct error *failed, struct error *err)
{
    int wake = o->interrupts > 0 ? o->interrupts : -1;
    while (!(failed && failed->code) && http_run(h, LOOK, wake) > 0)
        if (!fetch_go_on(o, 0, err))
            return false;
    return true;
}

static void tell(struct work *w, const struct fetch_file *file, bool complete)
{
    const struct fetch_progress p = {
        .file = file->name, .size = file->size, .complete = complete, .done = w->done, .total = w->total};
    if (w->get->o->progress)
        w->get->o->progress(w->get->o->arg, &p);
}

static bool sync_file(const char *path, struct error *err)
{
    int fd = fs_open(path, O_RDONLY, 0);
    bool ok = fd >= 0 && fs_sync(fd) == 0;
    if (!ok)
        error_errno(err, "cannot sync '%s'", path);
    if (fd >= 0 && fs_close(fd) != 0 && ok)
        ok = error_errno(err, "cannot close '%s'", path);
    return ok;
}

/* Whatever the content is, it is the one that is meant from now on. */
static bool take_digest(struct transfer *t, struct error *err)
{
    struct digest d;
    if (!hash_file(t->part, &d, &t->file->size, err))
        return false;
    digest_hex(&d, t->file->hex);
    return true;
}

/* The part is whole: is it right? Then it gets its name. False without a code in err: no, and it is gone. */
static bool place(struct work *w, struct transfer *t, struct error *err)
{
    struct error why = {0};
    if (!*t->file->hex) /* it gets its name by whoever asked */
        return sync_file(t->part, err) && take_digest(t, err);
    AUTO(mem) char *path = fetch_file_path(w->set, t->file);
    if (!fetch_file_right(t->file, t->part, &why)) {
        if (!why.code)
            fs->unlink(t->part);
        if (why.code)
            *err = why;
        return false;
    }
    return sync_file(t->part, err) && store_rename(t->part, path, err);
}

static void fail(struct work *w, const struct error *err, const struct fetch_file *file)
{
    if (w->error.code)
        return;
    w->error = *err;
    error_context(&w->error, "'%s'", file->name);
}

static void begin(struct work *w, struct transfer *t);

/* A transfer that ended well. */
static void arrived(struct work *w, struct transfer *t)
{
    struct error err = {0};
    if (place(w, t, &err)) {
        t->file->there = true;
        w->done += t->file->size - t->at;
        t->at = t->file->size;
        w->get->fetched++;
        w->get->fetched_bytes += t->file->size;
        tell(w, t->file, true);
        return;
    }
    w->done -= t->at;
    t->at = 0;
    if (!err.code && t->resumed) { /* the earlier try's bytes were those of something else */
        t->resumed = false;
        begin(w, t);
        return;
    }
    if (!err.code)
        error_set(&err, NULL, ERROR_DAMAGE, "what the server sends is not the content with %s %s",
                  t->file->git ? "git's SHA-1" : "SHA-256", t->file->hex);
    fail(w, &err, t->file);
}

static void on_done(void *arg, struct http_reply *r)
{
    struct transfer *t = arg;
    struct work *w = t->work;
    if (r->ok) {
        arrived(w, t);
        return;
    }
    struct error err = r->err;
    if (w->get->explain)
        w->get->explain(w->get->arg, r, &err);
    fail(w, &err, t->file);
}

static void on_progress(void *arg, int64_t done, int64_t total)
{
    struct transfer *t = arg;
    t->work->done += done - t->at;
    t->at = done;
    if (t->file->size < 0 && t->work->n == 1)
        t->work->total = total;
    tell(t->work, t->file, false);
}

static void begin(struct work *w, struct transfer *t)
{
    const struct http_request q = {.method = "GET",
                                   .url = t->file->url,
                                   .to_file = t->part,
                                   .max = t->file->size > 0 ? t->file->size : 0,
                                   .progress = on_progress,
                                   .done = on_done,
                                   .arg = t};
    http_add(w->http, &q);
}

/* What earlier tries left of a file. True: nothing is to be transferred, or err has a code. */
static bool at_hand(struct work *w, struct transfer *t, struct error *err)
{
    struct stat st;
    bool exists = lstat(t->part, &st) == 0;
    if (exists &&
        (!*t->file->hex || !S_ISREG(st.st_mode) || (t->file->size >= 0 && st.st_size > t->file->size))) {
        fs->unlink(t->part); /* of no use, or nobody could tell */
        exists = false;
    }
    if (t->file->size == 0 && !exists) { /* no server has to be asked for nothing */
        if (!fs_write_file(t->part, "", 0, err))
            return true;
        exists = true;
        st.st_size = 0;
    }
    if (!exists)
        return false;
    t->at = st.st_size;
    t->resumed = t->at > 0;
    if (st.st_size != t->file->size)
        return false;
    if (place(w, t, err))
        return t->file->there = true;
    t->at = 0;
    t->resumed = false;
    return err->code != ERROR_NONE;
}

/* In files/ without a manifest that vouches for it: a fetch was cut short, or it was written to. */
static bool stands(const struct work *w, struct fetch_file *file, struct error *err)
{
    struct error why = {0};
    AUTO(mem) char *path = fetch_file_path(w->set, file);
    if (!*file->hex || !fs_exists(path))
        return false;
    file->there = fetch_file_right(file, path, &why);
    if (why.code)
        *err = why;
    else if (!file->there)
        fs->unlink(path);
    return file->there;
}

/* Add what has to be transferred. */
static bool collect(struct work *w, struct error *err)
{
    AUTO(mem) char *parts = xprintf("%s/parts", w->set->dir);
    err->code = ERROR_NONE;
    if (!fs_mkdirs(parts, err))
        return false;
    for (size_t i = 0; i < w->set->n; i++) {
        struct fetch_file *file = &w->set->file[i];
        struct transfer *t = &w->transfer[w->n];
        if (file->there || stands(w, file, err))
            continue;
        if (err->code)
            return false;
        *t = (struct transfer){.work = w, .file = file, .part = fetch_part_path(w->set, file)};
        w->n++;
        if (at_hand(w, t, err)) {
            if (err->code)
                return false;
            continue;
        }
        w->done += t->at;
        w->total = file->size < 0 ? -1 : w->total + file->size;
    }
    for (size_t i = 0; i < w->n; i++)
        if (!w->transfer[i].file->there)
            begin(w, &w->transfer[i]);
    return true;
}

bool fetch_get(struct fetch_get *g, struct fetch_set *f, struct error *err)
{
    struct error why = {0};
    struct work w = {.get = g, .set = f, .http = fetch_http(g->store, g->bearer, err)};
    if (!w.http)
        return false;
    w.transfer = xcalloc(f->n + 1, sizeof *w.transfer);
    if (!collect(&w, &why) || !fetch_wait(w.http, g->o, &w.error, &why))
        w.error = why;
    http_free(w.http);
    for (size_t i = 0; i < w.n; i++)
        free(w.transfer[i].part);
    free(w.transfer);
    if (w.error.code && err)
        *err = w.error;
    return w.error.code == ERROR_NONE;
}
