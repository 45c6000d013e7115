/* Down: a record, then what it names and is not here, each verified; then all of it is published. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/commit.h"
#include "cache/pack.h"
#include "cache/remote_impl.h"
#include "cache/store_impl.h"
#include "cache/verified.h"
#include <fcntl.h>
#include <string.h>

#define BLOCK_MIN   ((int64_t)64 << 10) /* of the store's setting */
#define BLOCK_MAX   ((int64_t)64 << 20) /* a block is unpacked in memory */
#define CONTENT_MAX ((int64_t)1 << 56)  /* bytes: bounds stay far from overflow */

/* ---- what is right ---- */

static const char *wrong_with(const struct record *r, const char *text, size_t n, const struct digest *key)
{
    int64_t left = CONTENT_MAX;
    if (!digest_equal(&r->key, key))
        return "it is the record of another key";
    if (r->freed)
        return "its objects were let go";
    for (size_t i = 0; i < r->n; i++) {
        for (size_t k = 0; k < r->output[i].n; k++) {
            const struct record_file *f = &r->output[i].file[k];
            if (f->source)
                return "it names files of another machine";
            if (f->size > left)
                return "it names more than there can be";
            left -= f->size;
        }
    }
    const char *names = record_names_wrong(r);
    return names ? names : record_as_written(text, n) ? NULL : "it is not as weft writes it";
}

struct record *remote_record(const char *text, size_t n, const struct digest *key, const char **why)
{
    struct record *r = record_parse(text, n);
    *why = r ? wrong_with(r, text, n, key) : "it is no intact record";
    if (!*why)
        return r;
    record_free(r);
    return NULL;
}

static bool check(struct store *s, const struct frame_file *f, const struct digest *d, int64_t size,
                  const char **why, struct error *err)
{
    struct pack_info i;
    struct stat st;
    if (fstat(f->fd, &st) != 0)
        return error_errno(err, "cannot stat '%s'", f->path);
    if (!pack_open(f, &i, why, err))
        return false;
    if (i.block > BLOCK_MAX)
        *why = "its blocks are larger than any store's";
    if (*why || !pack_read(f, NULL, size, d, (int)s->config.threads, why, err))
        return false;
    verified_mark(s, d, &st);
    return true;
}

bool remote_object_check(struct store *s, const char *path, const struct digest *d, int64_t size,
                         const char **why, struct error *err)
{
    struct frame_file f = {fs_open(path, O_RDONLY, 0), path};
    *why = NULL;
    if (f.fd < 0)
        return error_errno(err, "cannot open '%s'", path);
    bool ok = check(s, &f, d, size, why, err);
    fs->close(f.fd);
    return ok;
}

/* ---- what is here ---- */

static bool is_here(struct store *s, const struct digest *key)
{
    struct record *r = NULL;
    bool here = store_get_record(s, key, &r, NULL) && r && !r->freed && store_record_complete(s, r);
    record_free(r);
    return here;
}

enum have { HAVE_NOT, HAVE, HAVE_OTHER };
/* One whose header is spoilt is not there: it will be replaced. */
static enum have have_object(struct store *s, const struct digest *d, int64_t size)
{
    struct pack_info i;
    const char *why;
    if (commit_waits(s->commit, COMMIT_OBJECT, d) && !store_flush(s, NULL))
        return HAVE_NOT;
    AUTO(mem) char *path = store_file(s, "objects", d);
    AUTO(fd) int fd = fs_open(path, O_RDONLY, 0);
    if (fd < 0 || !pack_open(&(struct frame_file){fd, path}, &i, &why, NULL) || !digest_equal(&i.digest, d))
        return HAVE_NOT;
    return i.size == size ? HAVE : HAVE_OTHER;
}

/* ---- transfers ---- */

/* What a file of that much content has at most, whatever its store was set to. */
static int64_t most(int64_t size)
{
    return pack_most(size, BLOCK_MIN);
}

static void on_object(void *arg, struct http_reply *reply)
{
    struct remote_object *o = arg;
    struct remote *r = o->r;
    struct error err = {0};
    const char *why = NULL;
    bool too_long = !reply->ok && reply->status / 100 == 2 && reply->err.code == ERROR_INPUT;
    bool ok = reply->ok && remote_object_check(r->store, o->path, &o->digest, o->size, &why, &err);
    remote_count(r, reply->ok ? reply->size : 0, 0);
    if (why || too_long)
        remote_is_wrong(r, "cas", &o->digest, why ? why : "longer than the object can be");
    else if (reply->status == 404)
        remote_went_well(r, REMOTE_DOWN, false);
    else if (!reply->ok)
        remote_trouble(r, REMOTE_DOWN, reply);
    else if (!ok)
        remote_warn_here(r, &err);
    else
        remote_went_well(r, REMOTE_DOWN, false);
    o->stored = ok ? reply->size : 0;
    for (size_t i = 0; !ok && i < o->n; i++)
        remote_replace(r, &o->job[i]->key);
    remote_object_ended(o, ok);
}

static bool begin_object(struct remote_job *j, const struct record_file *f)
{
    struct remote *r = j->r;
    struct error err = {0};
    bool is_new;
    struct remote_object *o = remote_job_waits(j, f, &is_new);
    if (!is_new)
        return o->size == f->size;
    o->path = store_scratch(r->store, &err);
    if (!o->path)
        remote_warn_here(r, &err);
    if (!o->path || remote_is_off(r, REMOTE_DOWN)) {
        remote_object_ended(o, false);
        return false;
    }
    remote_send(r, "GET", "cas", &f->digest,
                (struct http_request){.to_file = o->path, .max = most(f->size), .done = on_object, .arg = o});
    return true;
}

void remote_get_begin(struct remote_job *j, bool room, const struct error *err)
{
    if (!room)
        remote_warn_here(j->r, err);
    j->failed = !room;
    remote_job_begin(j, begin_object);
}

/* Leave the files that are not here; the bytes that they take at most. False: the record lies. */
static bool find_missing(struct remote_job *j, int64_t *ret_bytes)
{
    struct remote *r = j->r;
    size_t n = 0;
    *ret_bytes = (int64_t)j->text_n;
    for (size_t i = 0; i < j->files; i++) {
        const struct record_file *f = j->file[i];
        store_use(r->store, &f->digest);
        enum have have = have_object(r->store, &f->digest, f->size);
        if (have == HAVE_OTHER) {
            remote_is_wrong(r, "ac", &j->key, "it says another size of an object than there is");
            return false;
        }
        if (have == HAVE_NOT) {
            j->file[n++] = f;
            *ret_bytes += most(f->size);
        }
    }
    j->files = n;
    return true;
}

static void on_record(void *arg, struct http_reply *reply)
{
    struct remote_job *j = arg;
    struct remote *r = j->r;
    const char *why = NULL;
    int64_t bytes;
    if (!reply->ok) {
        bool too_long = reply->status / 100 == 2 && reply->err.code == ERROR_INPUT;
        if (reply->status == 404)
            remote_went_well(r, REMOTE_DOWN, false);
        else if (too_long)
            remote_is_wrong(r, "ac", &j->key, "longer than a record can be");
        else
            remote_trouble(r, REMOTE_DOWN, reply);
    } else {
        remote_count(r, (int64_t)reply->n, 0);
        j->record = remote_record(reply->body, reply->n, &j->key, &why);
        if (!j->record)
            remote_is_wrong(r, "ac", &j->key, why);
    }
    if (!j->record) {
        remote_end(j, false);
        return;
    }
    remote_went_well(r, REMOTE_DOWN, false);
    j->text = reply->body;
    j->text_n = reply->n;
    reply->body = NULL;
    remote_job_files(j);
    if (find_missing(j, &bytes))
        remote_room_ask(j, bytes);
    else
        remote_end(j, false);
}

void remote_get(struct remote *r, const struct digest *key)
{
    struct remote_job *j = remote_job_new(r, REMOTE_DOWN, key);
    store_use(r->store, key);
    bool here = is_here(r->store, key);
    if (here || remote_is_off(r, REMOTE_DOWN) || !(r->mode & REMOTE_READ))
        remote_end(j, here);
    else
        remote_send(r, "GET", "ac", key,
                    (struct http_request){.max = REMOTE_RECORD_MAX, .done = on_record, .arg = j});
}

/* ---- into the store ---- */

static bool publish_object(struct remote_job *j, struct remote_object *o, struct error *err)
{
    int64_t reserved = j->reserved ? o->stored : 0;
    if (o->moved)
        return true;
    o->moved = commit_add(j->r->store->commit, COMMIT_OBJECT, &o->digest, -1, o->path, reserved, false, err);
    j->kept += o->moved ? reserved : 0;
    return o->moved;
}

static bool publish(struct remote_job *j, struct error *err)
{
    struct store *s = j->r->store;
    int64_t reserved = j->reserved ? (int64_t)j->text_n : 0;
    struct stat st;
    if (is_here(s, &j->key)) /* another process was faster */
        return true;
    for (size_t i = 0; i < j->n; i++)
        if (!publish_object(j, j->object[i], err))
            return false;
    bool ok = store_commit_record(s, &j->key, j->text, reserved, false, &st, err);
    j->kept += ok ? reserved : 0;
    return ok;
}

void remote_get_finish(struct remote *r, struct remote_job *done)
{
    struct error err = {0};
    bool ok = true;
    for (struct remote_job *j = done; ok && j; j = j->next_done)
        if (!j->failed)
            ok = publish(j, &err);
    ok = ok && (!done || store_flush(r->store, &err));
    if (!ok)
        remote_warn_here(r, &err);
    for (struct remote_job *next; done; done = next) {
        next = done->next_done;
        if (ok && !done->failed)
            remote_went_well(r, REMOTE_DOWN, true);
        remote_end(done, ok && !done->failed);
    }
}
