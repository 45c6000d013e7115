#include "cache/commit.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/store_impl.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#define GATHER_NS 5000000 /* what comes within so long after a first is published with it */
#define OPEN_MOST 64      /* files that wait open: more are closed, and opened again to be synced */

struct item {
    enum commit_kind kind;
    struct digest digest;
    int fd; /* of temp; -1: closed */
    char *temp, *to;
    int64_t reserved;
    bool claimed;
};
struct batch {
    struct item *item;
    size_t n, cap;
};
struct commit {
    struct store *store;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t more, done;
    struct batch waiting, working; /* the second does not change while the thread is at it */
    bool started, stop;
    int hurried;          /* callers of commit_flush */
    int64_t settled;      /* bytes reserved for what was published, since the last commit_settled */
    struct error failure; /* the first; code NONE: none */
};

/* ---- the thread ---- */

static bool sync_file(struct item *i, struct error *err)
{
    int fd = i->fd >= 0 ? i->fd : fs_open(i->temp, O_RDONLY, 0);
    if (fd < 0)
        return error_errno(err, "cannot open '%s'", i->temp);
    i->fd = -1;
    bool ok = fs_sync(fd) == 0 || error_errno(err, "cannot sync '%s'", i->temp);
    return (fs_close(fd) == 0 || (ok && error_errno(err, "cannot close '%s'", i->temp))) && ok;
}

static bool place(const struct item *i, struct error *err)
{
    int rc;
    bool made = false;
    while ((rc = fs->rename(i->temp, i->to)) != 0) {
        if (errno == EINTR)
            continue;
        if (errno != ENOENT || made) /* most often its folder is there */
            break;
        made = true;
        if (!store_make_parent(i->to, err))
            return false;
    }
    return rc == 0 || error_errno(err, "cannot rename to '%s'", i->to);
}

static int by_place(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->to, y->to);
}

/* Items i.. of one kind, in order of their folders, each of which is synced once. */
static bool publish(struct item *item, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!sync_file(&item[i], err))
            return false;
    AUTO(mem) char *last = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!place(&item[i], err))
            return false;
        char *dir = xstrndup(item[i].to, (size_t)(strrchr(item[i].to, '/') - item[i].to));
        bool other = last && strcmp(last, dir) != 0;
        bool ok = !other || fs_fsync_dir(last, err);
        free(last);
        last = dir;
        if (!ok)
            return false;
    }
    return !last || fs_fsync_dir(last, err);
}

static bool publish_batch(struct batch *b, struct error *err)
{
    size_t objects = 0;
    while (objects < b->n && b->item[objects].kind == COMMIT_OBJECT)
        objects++;
    return publish(b->item, objects, err) && publish(b->item + objects, b->n - objects, err);
}

/* What came to its place has no temporary name any more. */
static void batch_done(struct commit *c, struct batch *b, bool ok)
{
    for (size_t i = 0; i < b->n; i++) {
        if (b->item[i].fd >= 0) /* never synced: another failed before it */
            fs->close(b->item[i].fd);
        if (!ok)
            fs->unlink(b->item[i].temp);
        c->settled += ok ? b->item[i].reserved : 0;
        if (b->item[i].claimed)
            store_unclaim(c->store, &b->item[i].digest);
        free(b->item[i].temp);
        free(b->item[i].to);
    }
    b->n = 0;
}

/* Wait for a first, then a moment for more, unless somebody waits for them. With the mutex. */
static void gather(struct commit *c)
{
    struct timespec until;
    while (!c->waiting.n && !c->stop)
        pthread_cond_wait(&c->more, &c->mutex);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += GATHER_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (!c->stop && !c->hurried)
        if (pthread_cond_timedwait(&c->more, &c->mutex, &until) != 0)
            break;
}

static void *work(void *arg)
{
    struct commit *c = arg;
    pthread_mutex_lock(&c->mutex);
    for (;;) {
        gather(c);
        if (!c->waiting.n)
            break;
        struct batch spare = c->working;
        c->working = c->waiting;
        c->waiting = spare;
        qsort(c->working.item, c->working.n, sizeof *c->working.item, by_place);
        struct error err = c->failure;
        pthread_mutex_unlock(&c->mutex);
        bool ok = err.code == ERROR_NONE && publish_batch(&c->working, &err);
        pthread_mutex_lock(&c->mutex);
        batch_done(c, &c->working, ok);
        if (!ok && c->failure.code == ERROR_NONE)
            c->failure = err;
        pthread_cond_broadcast(&c->done);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

/* ---- its callers ---- */

struct commit *commit_new(struct store *s)
{
    struct commit *c = xcalloc(1, sizeof *c);
    c->store = s;
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->more, NULL);
    pthread_cond_init(&c->done, NULL);
    return c;
}

/* It keeps its descriptor unless too many wait: opening it again would cost more. */
static bool may_wait(const struct batch *b, int *fd, const char *temp, struct error *err)
{
    if (*fd < 0 || b->n < OPEN_MOST)
        return true;
    int closing = *fd;
    *fd = -1;
    return fs_close(closing) == 0 || error_errno(err, "cannot close '%s'", temp);
}

bool commit_add(struct commit *c, enum commit_kind kind, const struct digest *d, int fd, const char *temp,
                int64_t reserved, bool claimed, struct error *err)
{
    static const char *const folder[] = {[COMMIT_OBJECT] = "objects", [COMMIT_RECORD] = "records"};
    pthread_mutex_lock(&c->mutex);
    bool ok = c->failure.code == ERROR_NONE, first = false;
    if (!ok && err)
        *err = c->failure;
    if (ok && !c->started) {
        c->started = pthread_create(&c->thread, NULL, work, c) == 0;
        ok = c->started || error_set(err, NULL, ERROR_SYSTEM, "cannot start a thread");
    }
    ok = ok && may_wait(&c->waiting, &fd, temp, err);
    if (ok) {
        struct batch *b = &c->waiting;
        b->item = xgrow(b->item, &b->cap, b->n + 1, sizeof *b->item);
        b->item[b->n++] = (struct item){
            kind, *d, fd, xstrdup(temp), store_file(c->store, folder[kind], d), reserved, claimed};
        first = b->n == 1;
    }
    pthread_mutex_unlock(&c->mutex);
    if (!ok && fd >= 0)
        fs->close(fd);
    if (first) /* else the thread knows that there is work */
        pthread_cond_signal(&c->more);
    return ok;
}

static bool among(const struct batch *b, enum commit_kind kind, const struct digest *d)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->item[i].kind == kind && digest_equal(&b->item[i].digest, d))
            return true;
    return false;
}

bool commit_waits(struct commit *c, enum commit_kind kind, const struct digest *d)
{
    pthread_mutex_lock(&c->mutex);
    bool found = among(&c->waiting, kind, d) || among(&c->working, kind, d);
    pthread_mutex_unlock(&c->mutex);
    return found;
}

int64_t commit_settled(struct commit *c)
{
    pthread_mutex_lock(&c->mutex);
    int64_t n = c->settled;
    c->settled = 0;
    pthread_mutex_unlock(&c->mutex);
    return n;
}

bool commit_flush(struct commit *c, struct error *err)
{
    pthread_mutex_lock(&c->mutex);
    c->hurried++;
    pthread_cond_signal(&c->more);
    while (c->waiting.n || c->working.n)
        pthread_cond_wait(&c->done, &c->mutex);
    c->hurried--;
    bool ok = c->failure.code == ERROR_NONE;
    if (!ok && err)
        *err = c->failure;
    pthread_mutex_unlock(&c->mutex);
    return ok;
}

void commit_free(struct commit *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->mutex);
    c->stop = true;
    pthread_cond_signal(&c->more);
    pthread_mutex_unlock(&c->mutex);
    if (c->started)
        pthread_join(c->thread, NULL);
    free(c->waiting.item);
    free(c->working.item);
    pthread_cond_destroy(&c->done);
    pthread_cond_destroy(&c->more);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}
