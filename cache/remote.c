/* The tier's thread, and what passes between it and its caller. */
#include "cache/remote.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/remote_impl.h"
#include "cache/store_impl.h"
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#define JOBS 4 /* under way at once, for each transfer that is: the next has begun when one ends */

/* ---- to the thread and back ---- */

static void poke(int fd)
{
    const uint64_t one = 1;
    (void)!write(fd, &one, sizeof one); /* it cannot be full */
}

static void clear(int fd)
{
    uint64_t n;
    (void)!read(fd, &n, sizeof n); /* nothing to clear is as good */
}

void remote_wake(struct remote *r)
{
    poke(r->wake);
}

void remote_call(struct remote *r)
{
    poke(r->answers);
}

static void push(struct remote_queue *q, const struct digest *d)
{
    if (q->first == q->n)
        q->first = q->n = 0;
    q->item = xgrow(q->item, &q->cap, q->n + 1, sizeof *q->item);
    q->item[q->n++] = *d;
}

static bool pop(struct remote *r, struct remote_queue *q, struct digest *ret)
{
    pthread_mutex_lock(&r->mutex);
    bool any = q->first < q->n;
    if (any)
        *ret = q->item[q->first++];
    pthread_mutex_unlock(&r->mutex);
    return any;
}

void remote_want(struct remote *r, const struct digest *key)
{
    pthread_mutex_lock(&r->mutex);
    push(&r->want, key);
    pthread_mutex_unlock(&r->mutex);
    remote_wake(r);
}

void remote_offer(struct remote *r, const struct digest *key)
{
    if (!(r->mode & REMOTE_WRITE))
        return;
    pthread_mutex_lock(&r->mutex);
    push(&r->offer, key);
    r->stats.waiting++;
    pthread_mutex_unlock(&r->mutex);
    remote_wake(r);
}

static void tell(struct remote *r, const struct remote_answer *a)
{
    struct remote_answers *q = &r->answer;
    if (q->first == q->n)
        q->first = q->n = 0;
    q->item = xgrow(q->item, &q->cap, q->n + 1, sizeof *q->item);
    q->item[q->n++] = *a;
    poke(r->answers);
}

void remote_tell(struct remote *r, const struct remote_answer *a)
{
    pthread_mutex_lock(&r->mutex);
    tell(r, a);
    pthread_mutex_unlock(&r->mutex);
}

bool remote_next(struct remote *r, struct remote_answer *ret)
{
    struct remote_answers *q = &r->answer;
    pthread_mutex_lock(&r->mutex);
    remote_room_make(r);
    bool any = q->first < q->n;
    if (any)
        *ret = q->item[q->first++];
    if (q->first == q->n)
        clear(r->answers);
    pthread_mutex_unlock(&r->mutex);
    return any;
}

void remote_count(struct remote *r, int64_t received, int64_t sent)
{
    pthread_mutex_lock(&r->mutex);
    r->stats.received += received;
    r->stats.sent += sent;
    pthread_mutex_unlock(&r->mutex);
}

void remote_end(struct remote_job *j, bool ok)
{
    struct remote *r = j->r;
    const struct remote_answer answer = {.key = j->key, .hit = ok};
    enum remote_way way = j->way;
    int64_t back = j->reserved - j->kept;
    remote_job_free(j); /* whoever hears of it finds nothing left behind */
    pthread_mutex_lock(&r->mutex);
    if (way == REMOTE_DOWN) {
        remote_room_give_back(r, back);
        r->stats.hits += ok;
        r->stats.misses += !ok;
        tell(r, &answer);
    } else {
        r->stats.uploads += ok;
        r->stats.waiting--;
    }
    pthread_mutex_unlock(&r->mutex);
    remote_wake(r); /* there is room for the next */
}

void remote_stats_of(struct remote *r, struct remote_stats *ret)
{
    pthread_mutex_lock(&r->mutex);
    *ret = r->stats;
    pthread_mutex_unlock(&r->mutex);
}

int remote_fd(const struct remote *r)
{
    return r->answers;
}

const char *remote_url(const struct remote *r)
{
    return r->url;
}

unsigned remote_mode_parse(const char *text)
{
    static const struct {
        const char *text;
        unsigned mode;
    } row[] = {{"read", REMOTE_READ}, {"write", REMOTE_WRITE}, {"read-write", REMOTE_READ | REMOTE_WRITE}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (strcmp(row[i].text, text) == 0)
            return row[i].mode;
    return 0;
}

/* ---- the thread ---- */

/* End all that is under way, as it stands. */
static void abandon(struct remote *r)
{
    http_free(r->http);
    r->http = NULL;
    r->done = NULL;
    while (r->job)
        remote_end(r->job, false);
}

/* Wants first: somebody waits for them. */
static void begin(struct remote *r)
{
    size_t most = (size_t)r->parallel * JOBS;
    struct digest key;
    while (r->jobs[REMOTE_DOWN] < most && pop(r, &r->want, &key))
        remote_get(r, &key);
    while (r->jobs[REMOTE_UP] < most && pop(r, &r->offer, &key))
        remote_put(r, &key);
}

static void finish(struct remote *r)
{
    struct remote_job *down = NULL;
    while (r->done) {
        struct remote_job *j = r->done;
        r->done = j->next_done;
        if (j->way == REMOTE_DOWN) {
            j->next_done = down;
            down = j;
        } else
            remote_put_record(j);
    }
    remote_get_finish(r, down);
}

/* Seconds that it may go on; below 0: no limit. */
static bool goes_on(struct remote *r, double *ret_seconds)
{
    pthread_mutex_lock(&r->mutex);
    bool stop = r->stop, idle = r->stats.waiting == 0;
    *ret_seconds = stop ? fmax(0, r->until - clock_seconds()) : -1;
    pthread_mutex_unlock(&r->mutex);
    return !stop || (!idle && *ret_seconds > 0);
}

static void *work(void *arg)
{
    struct remote *r = arg;
    double seconds;
    while (goes_on(r, &seconds)) {
        begin(r);
        if (r->http && http_run(r->http, seconds, r->wake) > 0)
            clear(r->wake);
        else {
            struct pollfd p = {.fd = r->wake, .events = POLLIN};
            if (!r->done)
                poll(&p, 1, seconds < 0 ? -1 : (int)ceil(seconds * 1000));
            clear(r->wake);
        }
        remote_room_told(r);
        finish(r);
        if (r->off[REMOTE_LINK] && r->http)
            abandon(r);
    }
    abandon(r);
    return NULL;
}

/* ---- begin and end ---- */

static void remote_free(struct remote *r)
{
    http_free(r->http);
    if (r->wake >= 0)
        close(r->wake);
    if (r->answers >= 0)
        close(r->answers);
    pthread_mutex_destroy(&r->mutex);
    free(r->want.item);
    free(r->offer.item);
    free(r->answer.item);
    free(r->wrong);
    free(r->url);
    free(r);
}

/* Signals are for others; a connection that is gone is an error here, not SIGPIPE. */
static bool start_thread(struct remote *r)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = pthread_create(&r->thread, NULL, work, r) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

static bool start(struct remote *r, const struct remote_options *o, struct error *err)
{
    AUTO(arena) struct arena a;
    struct http_options h;
    const char *url;
    arena_init(&a);
    if (!remote_place(o->url, &a, &url, &h, err))
        return false;
    r->url = xstrdup(url);
    h.parallel = r->parallel;
    h.tries = o->tries > 0 ? o->tries : 3;
    h.pause = o->pause;
    h.connect_timeout = o->connect_timeout > 0 ? o->connect_timeout : 5;
    h.silence_timeout = o->silence_timeout > 0 ? o->silence_timeout : 15;
    AUTO(mem) char *scratch = store_scratch(r->store, err); /* its folder: the thread must not make it */
    r->http = scratch ? http_new(&h, err) : NULL;
    if (!r->http)
        return false;
    return (r->wake >= 0 && r->answers >= 0 && start_thread(r)) ||
           error_set(err, NULL, ERROR_SYSTEM, "cannot start a thread for the remote");
}

bool remote_open(struct store *s, const struct remote_options *o, struct remote **ret, struct error *err)
{
    struct remote *r = xcalloc(1, sizeof *r);
    *r = (struct remote){.store = s, .mode = o->mode, .parallel = o->parallel > 0 ? o->parallel : 8};
    r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->answers = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&r->mutex, NULL);
    if (start(r, o, err)) {
        *ret = r;
        return true;
    }
    remote_free(r);
    return false;
}

void remote_close(struct remote *r, double seconds)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->mutex);
    r->stop = true;
    r->until = clock_seconds() + seconds;
    r->want.first = r->want.n;
    pthread_mutex_unlock(&r->mutex);
    remote_wake(r);
    pthread_join(r->thread, NULL);
    remote_room_end(r);
    remote_free(r);
}
