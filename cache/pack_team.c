#include "cache/pack_team.h"
#include "base/fs.h"
#include <sched.h>

#define MOST 256 /* threads */
/* Bytes of a write: for more, the kernel takes the cache's pages as large runs, which are more often memory
 * that nobody has touched for long; its first touch is dear. */
#define PIECE ((size_t)128 << 10)

static int cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

struct member {
    struct pack_team *team;
    void (*work)(struct pack_team *t, void *arg);
    void *arg;
};
static void *member_main(void *arg)
{
    const struct member *m = arg;
    m->work(m->team, m->arg);
    return NULL;
}

bool pack_team_run(struct pack_team *t, int64_t begin, int64_t end, int threads,
                   void (*work)(struct pack_team *t, void *arg), void *arg, const char **why,
                   struct error *err)
{
    pthread_t thread[MOST];
    int n = threads > 0 ? threads : cores(), started = 0;
    struct member m = {t, work, arg};
    *t = (struct pack_team){.next = begin, .end = end, .turn = {begin, begin}};
    pthread_mutex_init(&t->mutex, NULL);
    pthread_mutex_init(&t->file, NULL);
    pthread_cond_init(&t->moved, NULL);
    n = n > MOST ? MOST : n;
    for (int i = 1; i < n && i < end - begin; i++)
        if (pthread_create(&thread[started], NULL, member_main, &m) == 0)
            started++;
    work(t, arg);
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    pthread_cond_destroy(&t->moved);
    pthread_mutex_destroy(&t->file);
    pthread_mutex_destroy(&t->mutex);
    if (t->failed && t->why && why)
        *why = t->why;
    else if (t->failed && err)
        *err = t->err;
    return !t->failed;
}

int64_t pack_team_next(struct pack_team *t)
{
    pthread_mutex_lock(&t->mutex);
    int64_t block = t->failed || t->next == t->end ? -1 : t->next++;
    pthread_mutex_unlock(&t->mutex);
    return block;
}

bool pack_team_wait(struct pack_team *t, int turn, int64_t block)
{
    pthread_mutex_lock(&t->mutex);
    while (!t->failed && t->turn[turn] != block)
        pthread_cond_wait(&t->moved, &t->mutex);
    bool ok = !t->failed;
    pthread_mutex_unlock(&t->mutex);
    return ok;
}

void pack_team_pass(struct pack_team *t, int turn)
{
    pthread_mutex_lock(&t->mutex);
    t->turn[turn]++;
    pthread_cond_broadcast(&t->moved);
    pthread_mutex_unlock(&t->mutex);
}

void pack_team_fail(struct pack_team *t, const char *why, const struct error *err)
{
    pthread_mutex_lock(&t->mutex);
    if (!t->failed) {
        t->failed = true;
        t->why = why;
        t->err = *err;
    }
    pthread_cond_broadcast(&t->moved);
    pthread_mutex_unlock(&t->mutex);
}

bool pack_team_pwrite(struct pack_team *t, const struct frame_file *f, const void *p, size_t n, int64_t at,
                      struct error *err)
{
    pthread_mutex_lock(&t->file);
    bool ok = true;
    for (size_t done = 0, piece; ok && done < n; done += piece) {
        piece = n - done < PIECE ? n - done : PIECE;
        ok = fs_pwrite_all(f->fd, (const char *)p + done, piece, at + (int64_t)done, f->path, err);
    }
    pthread_mutex_unlock(&t->file);
    return ok;
}
