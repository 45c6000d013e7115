/* A bundle coming in. Nothing in it is believed: an object is what its content's digest says, a record what
 * its seal and its key say, and it comes behind its objects. What is whole comes in, whatever the rest is. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "cache/bundle.h"
#include "cache/gc.h"
#include "cache/pack.h"
#include "cache/store_impl.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define CHUNK     ((size_t)1 << 20)
#define TEXT_MOST ((int64_t)256 << 20) /* of a record or the list: more than any is */
#define NAMED     3                    /* of what did not come in, in the message */

struct reader {
    struct store *s;
    const struct frame_file *from;
    const struct bundle_watch *watch;
    struct bundle_report *report;
    struct archive *tar;
    char *chunk;
    struct error failure; /* of reading `from` */
    json_t *missing;      /* key -> task: listed, and not come in */
    bool listed;
    int64_t bytes, of;
    struct record **waiting; /* for objects */
    size_t n_waiting, cap_waiting;
    char damage[256]; /* the first; "": none */
};

static void reader_done(struct reader *r)
{
    for (size_t i = 0; i < r->n_waiting; i++)
        record_free(r->waiting[i]);
    free(r->waiting);
    free(r->chunk);
    json_decref(r->missing);
    if (r->tar)
        archive_read_free(r->tar);
}

static void damaged(struct reader *r, const char *name, const char *why)
{
    if (!*r->damage)
        snprintf(r->damage, sizeof r->damage, "'%.100s': %s", name, why);
}

static la_ssize_t read_some(struct archive *a, void *arg, const void **ret)
{
    struct reader *r = arg;
    ssize_t n;
    while ((n = fs->read(r->from->fd, r->chunk, CHUNK)) < 0 && errno == EINTR)
        ;
    *ret = r->chunk;
    if (n < 0) {
        error_errno(&r->failure, "cannot read '%s'", r->from->path);
        archive_set_error(a, EIO, "cannot read");
    }
    return n;
}

/* ---- records ---- */

static bool references(const struct record *r)
{
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < r->output[i].n; k++)
            if (r->output[i].file[k].source)
                return true;
    return false;
}

static bool objects_are_here(struct store *s, const struct record *r)
{
    for (size_t i = 0; !r->freed && i < r->n; i++)
        for (size_t k = 0; k < r->output[i].n; k++)
            if (!r->output[i].file[k].source && !store_has(s, &r->output[i].file[k].digest))
                return false;
    return true;
}

/* In use before they are looked for: nobody removes them until the record names them. */
static void use_objects(struct store *s, const struct record *r)
{
    for (size_t i = 0; !r->freed && i < r->n; i++)
        for (size_t k = 0; k < r->output[i].n; k++)
            if (!r->output[i].file[k].source)
                store_use(s, &r->output[i].file[k].digest);
}

/* The one that is here says as much: r tells nothing new. */
static bool is_known(struct store *s, const struct record *r, bool *ret, struct error *err)
{
    struct record *own;
    if (!store_get_record(s, &r->key, &own, err))
        return false;
    *ret = own && (r->freed || !own->freed) && objects_are_here(s, own);
    record_free(own);
    return true;
}

/* A record whose objects are here. */
static bool take_record(struct reader *r, const struct record *rec, struct error *err)
{
    char hex[DIGEST_HEX];
    bool known;
    if (!is_known(r->s, rec, &known, err) || (!known && !store_put_record_soon(r->s, rec, err)))
        return false;
    r->report->known += known;
    r->report->records += !known;
    r->report->references += !known && references(rec);
    json_object_del(r->missing, digest_hex(&rec->key, hex));
    return true;
}

static bool see_record(struct reader *r, const char *name, const struct digest *key, const char *text,
                       size_t n, struct error *err)
{
    struct record *rec = record_parse(text, n);
    const char *why = !rec                            ? "its seal, key or text does not fit"
                      : !digest_equal(&rec->key, key) ? "of another key"
                                                      : record_names_wrong(rec);
    if (!why)
        use_objects(r->s, rec);
    bool ok = true, wait = !why && !objects_are_here(r->s, rec);
    if (why)
        damaged(r, name, why);
    else if (!wait)
        ok = take_record(r, rec, err);
    if (wait) {
        r->waiting = xgrow(r->waiting, &r->cap_waiting, r->n_waiting + 1, sizeof *r->waiting);
        r->waiting[r->n_waiting++] = rec;
    } else {
        record_free(rec);
    }
    return ok;
}

/* Their objects may have come behind them. */
static bool take_waiting(struct reader *r, struct error *err)
{
    for (size_t i = 0; i < r->n_waiting; i++) {
        const struct record *rec = r->waiting[i];
        if (objects_are_here(r->s, rec) && !take_record(r, rec, err))
            return false;
    }
    return true;
}

static void see_list(struct reader *r, const char *text, size_t n)
{
    AUTO_JSON j = json_parse(text, n, BUNDLE_LIST, NULL);
    json_t *records;
    if (!j || !store_unseal(j) || json_int_or(j, "version", 0) != BUNDLE_VERSION ||
        !json_is_object(records = json_object_get(j, "records"))) {
        damaged(r, BUNDLE_LIST, "its seal or version does not fit");
        return;
    }
    json_object_update(r->missing, records);
    r->of = json_int_or(j, "bytes", 0);
    r->listed = true;
}

/* ---- objects ---- */

enum copied { COPIED, CUT /* the tar is damaged here */, FAILED };

static enum copied copy_data(struct reader *r, int fd, const char *path, struct error *err)
{
    const void *p;
    size_t n;
    la_int64_t at, want = 0;
    int rc;
    while ((rc = archive_read_data_block(r->tar, &p, &n, &at)) == ARCHIVE_OK) {
        if (n && at != want) /* a hole: no tar of ours */
            return CUT;
        if (!fs_write_all(fd, p, n, path, err))
            return FAILED;
        want = at + (la_int64_t)n;
        r->bytes += (int64_t)n;
        if (r->watch && r->watch->progress)
            r->watch->progress(r->watch->arg, r->bytes, r->of > r->bytes ? r->of : r->bytes);
    }
    return rc == ARCHIVE_EOF ? COPIED : CUT;
}

/* Is what comes next object d, whole? *ret_why or *ret_cut: no. False: it could not be written. */
static bool fill_object(struct reader *r, const struct frame_file *f, const struct digest *d,
                        const char **ret_why, bool *ret_cut, struct error *err)
{
    enum copied copied = copy_data(r, f->fd, f->path, err);
    *ret_why = NULL;
    *ret_cut = copied == CUT;
    return copied == CUT ||
           (copied == COPIED && (pack_check(f, d, (int)r->s->config.threads, ret_why, err) || *ret_why));
}

/* Room is made only now: for what claims to be large, and is not, nothing has to go. */
static bool keep_object(struct reader *r, const struct frame_file *f, const struct digest *d,
                        struct error *err)
{
    struct stat st;
    bool ok = fstat(f->fd, &st) == 0 || error_errno(err, "cannot look at '%s'", f->path);
    int64_t size = ok ? st.st_size : 0;
    ok = ok && store_reserve(r->s, size, err);
    int64_t reserved = ok ? size : 0;
    if (!store_commit_object(r->s, ok, f->fd, f->path, d, reserved, err)) {
        store_unreserve(r->s, reserved);
        return false;
    }
    r->report->objects++;
    r->report->bytes += size;
    return true;
}

static bool see_object(struct reader *r, const char *name, const struct digest *d, int64_t size,
                       bool *ret_cut, struct error *err)
{
    *ret_cut = false;
    store_use(r->s, d); /* before it is looked for: nobody removes it until a record names it */
    if (store_has(r->s, d)) {
        *ret_cut = archive_read_data_skip(r->tar) != ARCHIVE_OK;
        r->bytes += size;
        return true;
    }
    AUTO(mem) char *temp = store_scratch(r->s, err);
    const char *why;
    if (!temp)
        return false;
    struct frame_file f = {fs_open(temp, O_RDWR | O_CREAT | O_TRUNC, 0666), temp};
    if (f.fd < 0)
        return error_errno(err, "cannot create '%s'", temp);
    bool ok = fill_object(r, &f, d, &why, ret_cut, err);
    if (ok && !why && !*ret_cut)
        return keep_object(r, &f, d, err) || error_context(err, "object '%s'", name);
    fs->close(f.fd);
    fs->unlink(temp);
    if (why)
        damaged(r, name, why);
    return ok;
}

/* ---- entries ---- */

static char *read_text(struct reader *r, size_t n, bool *ret_cut)
{
    char *text = xmalloc(n + 1);
    size_t have = 0;
    la_ssize_t got = 1;
    while (have < n && (got = archive_read_data(r->tar, text + have, n - have)) > 0)
        have += (size_t)got;
    *ret_cut = have < n;
    text[have] = '\0';
    return text;
}

/* "objects/ab/cdef..."; false: it is no such name. */
static bool parse_name(const char *name, const char *kind, struct digest *ret)
{
    char hex[DIGEST_HEX + 8];
    size_t n = strlen(kind);
    if (strncmp(name, kind, n) != 0 || strlen(name) != n + DIGEST_HEX || name[n + 2] != '/')
        return false;
    snprintf(hex, sizeof hex, "%.2s%s", name + n, name + n + 3);
    return digest_parse(hex, ret);
}

static bool see_entry(struct reader *r, struct archive_entry *e, bool *ret_cut, struct error *err)
{
    const char *name = archive_entry_pathname(e);
    struct digest d;
    int64_t size = archive_entry_size(e);
    bool regular = name && archive_entry_filetype(e) == AE_IFREG && !archive_entry_hardlink(e);
    if (regular && parse_name(name, "objects/", &d))
        return see_object(r, name, &d, size, ret_cut, err);
    bool list = regular && strcmp(name, BUNDLE_LIST) == 0;
    if (!list && !(regular && parse_name(name, "records/", &d)))
        return error_set(err, NULL, ERROR_INPUT,
                         "'%s' is no bundle: it holds '%.200s', no record and no object", r->from->path,
                         name ? name : "a file without a name");
    if (size < 0 || size > TEXT_MOST) {
        damaged(r, name, "too long");
        *ret_cut = archive_read_data_skip(r->tar) != ARCHIVE_OK;
        return true;
    }
    AUTO(mem) char *text = read_text(r, (size_t)size, ret_cut);
    if (*ret_cut)
        return true;
    if (list)
        see_list(r, text, (size_t)size);
    return list || see_record(r, name, &d, text, (size_t)size, err);
}

/* Up to the end, or to where it is cut. */
static bool see_entries(struct reader *r, struct error *err)
{
    struct archive_entry *e;
    size_t n = 0;
    bool cut = false;
    int rc = ARCHIVE_EOF;
    while (!cut && ((rc = archive_read_next_header(r->tar, &e)) == ARCHIVE_OK || rc == ARCHIVE_WARN)) {
        n++;
        if (!see_entry(r, e, &cut, err))
            return false;
        if (cut)
            damaged(r, archive_entry_pathname(e), "it is cut short");
    }
    if (r->failure.code != ERROR_NONE) {
        if (err)
            *err = r->failure;
        return false;
    }
    if (!n)
        return error_set(err, NULL, ERROR_INPUT, "'%s' is no bundle: not a tar", r->from->path);
    if (!cut && rc != ARCHIVE_EOF)
        damaged(r, "the tar", "it is damaged");
    return true;
}

/* ---- the end ---- */

static bool tell_missing(const struct reader *r, struct error *err)
{
    AUTO(buf) struct buf names = {0};
    const char *key;
    json_t *task;
    size_t n = 0, all = json_object_size(r->missing);
    json_object_foreach(r->missing, key, task)
    {
        if (n++ < NAMED)
            buf_printf(&names, "%s%.100s (%.12s)", n > 1 ? ", " : ": ",
                       json_is_string(task) ? json_string_value(task) : "?", key);
    }
    if (all > NAMED)
        buf_printf(&names, " and %zu more", all - NAMED);
    if (!all && r->listed && !*r->damage)
        return true;
    if (!all && r->listed)
        return error_set(err, NULL, ERROR_INPUT, "'%s' is damaged (%s), though all its records are here",
                         r->from->path, r->damage);
    if (!r->listed)
        return error_set(
            err, NULL, ERROR_INPUT,
            "'%s' has no list of what should be in it%s%s%s: what is whole came in, there may have "
            "been more",
            r->from->path, *r->damage ? " (" : "", r->damage, *r->damage ? ")" : "");
    return error_set(err, NULL, ERROR_INPUT, "'%s' is %s%s%s: %zu record%s did not come in%s", r->from->path,
                     *r->damage ? "damaged (" : "cut short", r->damage, *r->damage ? ")" : "", all,
                     all == 1 ? "" : "s", buf_str(&names));
}

bool bundle_read(struct store *s, const struct frame_file *from, const struct bundle_watch *watch,
                 struct bundle_report *ret, struct error *err)
{
    __attribute__((cleanup(reader_done))) struct reader r = {
        .s = s, .from = from, .watch = watch, .report = ret, .missing = json_object()};
    *ret = (struct bundle_report){0};
    r.chunk = xmalloc(CHUNK);
    r.tar = archive_read_new();
    if (!r.tar)
        return error_set(err, NULL, ERROR_SYSTEM, "out of memory");
    archive_read_support_format_tar(r.tar);
    if (archive_read_open(r.tar, &r, NULL, read_some, NULL) != ARCHIVE_OK) {
        if (r.failure.code != ERROR_NONE && err)
            *err = r.failure;
        return r.failure.code == ERROR_NONE &&
               error_set(err, NULL, ERROR_INPUT, "'%s' is no bundle: not a tar", from->path);
    }
    bool ok = see_entries(&r, err);
    ok = ok && take_waiting(&r, err);
    /* What came in so far stays, whatever came then. */
    return store_flush(s, ok ? err : NULL) && ok && tell_missing(&r, err);
}
