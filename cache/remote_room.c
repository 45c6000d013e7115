/* The store's limit: its counts, and the index that collecting needs, belong to the thread that uses the
 * store. So room is made and given back when that thread calls remote_next. */
#include "base/mem.h"
#include "cache/config.h"
#include "cache/gc.h"
#include "cache/remote_impl.h"

static void push(struct remote_rooms *q, const struct remote_room *x)
{
    if (q->first == q->n)
        q->first = q->n = 0;
    q->item = xgrow(q->item, &q->cap, q->n + 1, sizeof *q->item);
    q->item[q->n++] = *x;
}

static bool pop(struct remote_rooms *q, struct remote_room *ret)
{
    if (q->first == q->n)
        return false;
    *ret = q->item[q->first++];
    return true;
}

/* ---- the thread ---- */

void remote_room_ask(struct remote_job *j, int64_t bytes)
{
    struct remote *r = j->r;
    if (store_config(r->store)->max_size <= 0) {
        remote_get_begin(j, true, NULL);
        return;
    }
    pthread_mutex_lock(&r->mutex);
    push(&r->ask, &(struct remote_room){.job = j->id, .bytes = bytes});
    pthread_mutex_unlock(&r->mutex);
    remote_call(r);
}

void remote_room_give_back(struct remote *r, int64_t n)
{
    r->give_back += n;
}

static bool next_told(struct remote *r, struct remote_room *ret)
{
    pthread_mutex_lock(&r->mutex);
    bool any = pop(&r->told, ret);
    pthread_mutex_unlock(&r->mutex);
    return any;
}

void remote_room_told(struct remote *r)
{
    struct remote_room x;
    while (next_told(r, &x)) {
        struct remote_job *j = r->job;
        while (j && j->id != x.job)
            j = j->next;
        if (j) {
            j->reserved = x.granted ? x.bytes : 0;
            remote_get_begin(j, x.granted, &x.err);
        } else if (x.granted) { /* nobody waits for it any more */
            pthread_mutex_lock(&r->mutex);
            remote_room_give_back(r, x.bytes);
            pthread_mutex_unlock(&r->mutex);
        }
    }
}

/* ---- the caller ---- */

void remote_room_make(struct remote *r)
{
    struct remote_room x;
    while (r->give_back || r->ask.first < r->ask.n) {
        int64_t back = r->give_back;
        r->give_back = 0;
        bool asked = pop(&r->ask, &x);
        pthread_mutex_unlock(&r->mutex);
        store_unreserve(r->store, back);
        if (asked)
            x.granted = store_reserve(r->store, x.bytes, &x.err);
        pthread_mutex_lock(&r->mutex);
        if (asked) {
            push(&r->told, &x);
            remote_wake(r);
        }
    }
}

void remote_room_end(struct remote *r)
{
    struct remote_room x;
    int64_t back = r->give_back;
    while (pop(&r->told, &x))
        back += x.granted ? x.bytes : 0;
    store_unreserve(r->store, back);
    free(r->ask.item);
    free(r->told.item);
}
