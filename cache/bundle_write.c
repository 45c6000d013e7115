/* A bundle going out: first everything is looked at, so that the list in front says what follows. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "cache/bundle.h"
#include "cache/pack.h"
#include "cache/store_impl.h"
#include "cache/verified.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define CHUNK ((size_t)1 << 20)

struct out_object {
    struct digest digest;
    int64_t stored; /* below 0: it is missing or damaged */
    bool counted, written;
};
struct out_record {
    struct digest key;
    char *text; /* of its file */
    size_t n;
    size_t *object, objects, cap; /* that it needs, by index */
};
struct writer {
    struct store *s;
    const struct frame_file *to;
    const struct bundle_watch *watch;
    struct bundle_report *report;
    json_t *seen; /* digest -> index in object[] */
    struct out_object *object;
    struct out_record *record;
    size_t objects, cap_objects, records, cap_records;
    int64_t of;
    struct archive *tar;
    struct error failure; /* of writing to `to` */
};

static void out_record_done(struct out_record *o)
{
    free(o->text);
    free(o->object);
}

static void writer_done(struct writer *w)
{
    for (size_t i = 0; i < w->records; i++)
        out_record_done(&w->record[i]);
    free(w->record);
    free(w->object);
    json_decref(w->seen);
    if (w->tar)
        archive_write_free(w->tar);
}

/* ---- what goes ---- */

/* *ret_stored -1: it is not there, or damaged, in which case whoever wants it next finds that out. */
static bool check_object(struct store *s, const struct digest *d, int64_t *ret_stored, struct error *err)
{
    AUTO(mem) char *path = store_file(s, "objects", d);
    AUTO(fd) int fd = fs_open(path, O_RDONLY, 0);
    struct frame_file f = {fd, path};
    struct pack_info i;
    struct stat st;
    const char *why;
    *ret_stored = -1;
    if (fd < 0)
        return errno == ENOENT || error_errno(err, "cannot open '%s'", path);
    if (fstat(fd, &st) != 0)
        return error_errno(err, "cannot stat '%s'", path);
    if (!pack_open(&f, &i, &why, err))
        return why;
    if (!digest_equal(&i.digest, d))
        return true;
    if (!verified_is(s, d, &st)) {
        if (!pack_read(&f, NULL, i.size, d, (int)s->config.threads, &why, err))
            return why;
        verified_mark(s, d, &st);
    }
    *ret_stored = st.st_size;
    return true;
}

/* The object's place in the list, where it is put when it is not there yet. */
static bool find_object(struct writer *w, const struct digest *d, size_t *ret, struct error *err)
{
    char hex[DIGEST_HEX];
    const json_t *known = json_object_get(w->seen, digest_hex(d, hex));
    *ret = known ? (size_t)json_integer_value(known) : w->objects;
    if (known)
        return true;
    struct out_object o = {.digest = *d};
    store_use(w->s, d);
    if (!check_object(w->s, d, &o.stored, err))
        return false;
    json_object_set_new(w->seen, hex, json_integer((json_int_t)w->objects));
    w->object = xgrow(w->object, &w->cap_objects, w->objects + 1, sizeof *w->object);
    w->object[w->objects++] = o;
    return true;
}

/* *ret: it can go: what it names is there. */
static bool find_objects(struct writer *w, const struct record *r, struct out_record *o, bool *ret,
                         bool *ret_references, struct error *err)
{
    *ret = true;
    *ret_references = false;
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < r->output[i].n; k++) {
            const struct record_file *f = &r->output[i].file[k];
            size_t at;
            *ret_references |= f->source != NULL;
            if (f->source)
                continue;
            if (!find_object(w, &f->digest, &at, err))
                return false;
            *ret = *ret && w->object[at].stored >= 0;
            o->object = xgrow(o->object, &o->cap, o->objects + 1, sizeof *o->object);
            o->object[o->objects++] = at;
        }
    if (!*ret && r->freed) { /* what it says of them holds without them */
        o->objects = 0;
        *ret = true;
    }
    return true;
}

static void count_object(struct writer *w, struct out_object *o)
{
    w->of += o->counted ? 0 : o->stored;
    o->counted = true;
}

static bool add_record(struct writer *w, const struct digest *key, json_t *list, struct error *err)
{
    AUTO(mem) char *path = store_file(w->s, "records", key);
    struct record *r;
    struct out_record o = {.key = *key};
    char hex[DIGEST_HEX];
    bool whole = false, references;
    store_use(w->s, key);
    if (!store_get_record(w->s, key, &r, err))
        return false;
    bool ok = !r || find_objects(w, r, &o, &whole, &references, err);
    ok = ok && (!whole || fs_read_file(path, &o.text, &o.n, err));
    if (ok && whole) {
        for (size_t i = 0; i < o.objects; i++)
            count_object(w, &w->object[o.object[i]]);
        w->record = xgrow(w->record, &w->cap_records, w->records + 1, sizeof *w->record);
        w->record[w->records++] = o;
        w->report->references += references;
        json_object_set_new(list, digest_hex(key, hex), json_string(r->task));
    } else {
        out_record_done(&o);
        w->report->left_out++;
    }
    record_free(r);
    return ok;
}

/* ---- the tar ---- */

static la_ssize_t write_some(struct archive *a, void *arg, const void *p, size_t n)
{
    struct writer *w = arg;
    if (fs_write_all(w->to->fd, p, n, w->to->path, &w->failure))
        return (la_ssize_t)n;
    archive_set_error(a, EIO, "cannot write");
    return -1;
}

static bool failed(const struct writer *w, struct error *err)
{
    const char *why = archive_error_string(w->tar);
    if (w->failure.code != ERROR_NONE && err)
        *err = w->failure;
    return w->failure.code == ERROR_NONE &&
           error_set(err, NULL, ERROR_SYSTEM, "cannot write '%s': %s", w->to->path, why ? why : "no reason");
}

/* The same bundle has the same bytes: no times, no owners. */
static bool begin_entry(struct writer *w, const char *name, int64_t size, struct error *err)
{
    struct archive_entry *e = archive_entry_new();
    if (!e)
        return error_set(err, NULL, ERROR_SYSTEM, "out of memory");
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0444);
    archive_entry_set_mtime(e, 0, 0);
    archive_entry_set_size(e, size);
    bool ok = archive_write_header(w->tar, e) == ARCHIVE_OK;
    archive_entry_free(e);
    return ok || failed(w, err);
}

static bool put(struct writer *w, const void *p, size_t n, struct error *err)
{
    return archive_write_data(w->tar, p, n) == (la_ssize_t)n || failed(w, err);
}

static bool put_text(struct writer *w, const char *name, const char *text, size_t n, struct error *err)
{
    return begin_entry(w, name, (int64_t)n, err) && put(w, text, n, err);
}

static char *entry_name(const char *kind, const struct digest *d)
{
    char hex[DIGEST_HEX];
    digest_hex(d, hex);
    return xprintf("%s/%.2s/%s", kind, hex, hex + 2);
}

static bool put_object(struct writer *w, const struct out_object *o, struct error *err)
{
    AUTO(mem) char *path = store_file(w->s, "objects", &o->digest);
    AUTO(mem) char *name = entry_name("objects", &o->digest);
    AUTO(mem) char *chunk = xmalloc(CHUNK);
    AUTO(fd) int fd = fs_open(path, O_RDONLY, 0);
    if (fd < 0)
        return error_errno(err, "cannot open '%s'", path);
    if (!begin_entry(w, name, o->stored, err))
        return false;
    for (int64_t at = 0; at < o->stored;) {
        size_t n = o->stored - at < (int64_t)CHUNK ? (size_t)(o->stored - at) : CHUNK;
        if (!fs_pread_all(fd, chunk, n, at, path, err) || !put(w, chunk, n, err))
            return false;
        at += (int64_t)n;
        w->report->bytes += (int64_t)n;
        if (w->watch && w->watch->progress)
            w->watch->progress(w->watch->arg, w->report->bytes, w->of);
    }
    w->report->objects++;
    return true;
}

static bool put_record(struct writer *w, const struct out_record *r, struct error *err)
{
    for (size_t i = 0; i < r->objects; i++) {
        struct out_object *o = &w->object[r->object[i]];
        if (!o->written && !put_object(w, o, err))
            return false;
        o->written = true;
    }
    AUTO(mem) char *name = entry_name("records", &r->key);
    w->report->records++;
    return put_text(w, name, r->text, r->n, err);
}

static bool put_list(struct writer *w, json_t *records, struct error *err)
{
    AUTO_JSON list = json_pack("{s:i, s:O, s:I}", "version", BUNDLE_VERSION, "records", records, "bytes",
                               (json_int_t)w->of);
    store_seal(list);
    AUTO(mem) char *text = json_text(list, true);
    return put_text(w, BUNDLE_LIST, text, strlen(text), err);
}

static bool put_all(struct writer *w, json_t *list, struct error *err)
{
    w->tar = archive_write_new();
    if (!w->tar)
        return error_set(err, NULL, ERROR_SYSTEM, "out of memory");
    if (archive_write_set_format_pax_restricted(w->tar) != ARCHIVE_OK ||
        archive_write_open(w->tar, w, NULL, write_some, NULL) != ARCHIVE_OK)
        return failed(w, err);
    if (!put_list(w, list, err))
        return false;
    for (size_t i = 0; i < w->records; i++)
        if (!put_record(w, &w->record[i], err))
            return false;
    return archive_write_close(w->tar) == ARCHIVE_OK || failed(w, err);
}

bool bundle_write(struct store *s, const struct digest *key, size_t n, const struct frame_file *to,
                  const struct bundle_watch *watch, struct bundle_report *ret, struct error *err)
{
    __attribute__((cleanup(writer_done))) struct writer w = {
        .s = s, .to = to, .watch = watch, .report = ret, .seen = json_object()};
    AUTO_JSON list = json_object();
    *ret = (struct bundle_report){0};
    for (size_t i = 0; i < n; i++)
        if (!add_record(&w, &key[i], list, err))
            return false;
    return put_all(&w, list, err);
}
