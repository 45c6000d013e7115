/* Up: the objects that the server has not, then the record. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/remote_impl.h"
#include "cache/store_impl.h"

/* HEAD says that it is not there; some servers do not know HEAD. */
static bool is_absent(const struct http_reply *reply)
{
    return reply->status == 404 || reply->status == 405 || reply->status == 501;
}

/* ---- objects ---- */

static void on_put_object(void *arg, struct http_reply *reply)
{
    struct remote_object *o = arg;
    if (reply->ok) {
        remote_count(o->r, 0, o->stored);
        remote_went_well(o->r, REMOTE_UP, true);
        remote_is_right(o->r, &o->digest);
        o->moved = true;
    } else
        remote_trouble(o->r, REMOTE_UP, reply);
    remote_object_ended(o, reply->ok);
}

static void put_object(struct remote_object *o)
{
    if (remote_is_off(o->r, REMOTE_UP))
        remote_object_ended(o, false);
    else
        remote_send(o->r, "PUT", "cas", &o->digest,
                    (struct http_request){.body_file = o->path, .done = on_put_object, .arg = o});
}

static void on_head_object(void *arg, struct http_reply *reply)
{
    struct remote_object *o = arg;
    if (is_absent(reply)) {
        remote_went_well(o->r, REMOTE_UP, false);
        put_object(o);
        return;
    }
    if (!reply->ok)
        remote_trouble(o->r, REMOTE_UP, reply);
    remote_object_ended(o, reply->ok);
}

static bool begin_object(struct remote_job *j, const struct record_file *f)
{
    struct remote *r = j->r;
    struct stat st;
    bool is_new;
    store_use(r->store, &f->digest);
    if (!store_stat(r->store->objects, &f->digest, &st))
        return false; /* lost: who wants it computes it anew */
    struct remote_object *o = remote_job_waits(j, f, &is_new);
    if (!is_new)
        return true;
    o->path = store_file(r->store, "objects", &f->digest);
    o->stored = st.st_size;
    if (remote_was_wrong(r, &f->digest))
        put_object(o);
    else if (remote_is_off(r, REMOTE_UP))
        remote_object_ended(o, false);
    else
        remote_send(r, "HEAD", "cas", &f->digest, (struct http_request){.done = on_head_object, .arg = o});
    return true;
}

/* ---- records ---- */

static void on_put_record(void *arg, struct http_reply *reply)
{
    struct remote_job *j = arg;
    if (reply->ok) {
        remote_count(j->r, 0, (int64_t)j->text_n);
        remote_went_well(j->r, REMOTE_UP, true);
        remote_is_right(j->r, &j->key);
    } else
        remote_trouble(j->r, REMOTE_UP, reply);
    remote_end(j, reply->ok);
}

static void put_text(struct remote_job *j)
{
    if (remote_is_off(j->r, REMOTE_UP))
        remote_end(j, false);
    else
        remote_send(
            j->r, "PUT", "ac", &j->key,
            (struct http_request){.body = j->text, .body_n = j->text_n, .done = on_put_record, .arg = j});
}

static void on_head_record(void *arg, struct http_reply *reply)
{
    struct remote_job *j = arg;
    if (is_absent(reply)) {
        remote_went_well(j->r, REMOTE_UP, false);
        put_text(j);
        return;
    }
    if (!reply->ok)
        remote_trouble(j->r, REMOTE_UP, reply);
    remote_end(j, reply->ok);
}

/* A record of the server whose objects it had not all may name others: ours takes its place. */
void remote_put_record(struct remote_job *j)
{
    struct remote *r = j->r;
    bool sent = remote_was_wrong(r, &j->key);
    for (size_t i = 0; i < j->n; i++)
        sent = sent || j->object[i]->moved;
    if (j->failed || remote_is_off(r, REMOTE_UP))
        remote_end(j, false);
    else if (sent)
        put_text(j);
    else
        remote_send(r, "HEAD", "ac", &j->key, (struct http_request){.done = on_head_record, .arg = j});
}

/* The text of a record of ours, exactly; NULL: there is none that may be offered. */
static char *read_record(struct store *s, const struct digest *key, size_t *ret_n, struct record **ret)
{
    AUTO(mem) char *path = store_file(s, "records", key);
    char *text = NULL;
    const char *why;
    *ret = NULL;
    if ((commit_waits(s->commit, COMMIT_RECORD, key) && !store_flush(s, NULL)) ||
        !fs_read_file(path, &text, ret_n, NULL))
        return NULL;
    if (*ret_n <= (size_t)REMOTE_RECORD_MAX)
        *ret = remote_record(text, *ret_n, key, &why);
    if (*ret)
        return text;
    free(text);
    return NULL;
}

void remote_put(struct remote *r, const struct digest *key)
{
    struct remote_job *j = remote_job_new(r, REMOTE_UP, key);
    store_use(r->store, key);
    if (!remote_is_off(r, REMOTE_UP))
        j->text = read_record(r->store, key, &j->text_n, &j->record);
    if (!j->text) {
        remote_end(j, false);
        return;
    }
    remote_job_files(j);
    remote_job_begin(j, begin_object);
}
