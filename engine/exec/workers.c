#include "engine/exec/workers.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/procs.h"
#include "engine/exec/keeper.h"
#include "engine/exec/memory.h"
#include "engine/exec/spawn.h"
#include "engine/exec/worker.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define AT_ONCE 64 /* ends taken in one call */

struct workers {
    char *self;
    pid_t keeper; /* 0: not started yet */
    int to;
    uint32_t started;
    bool lost, told;          /* there is none, or none any more */
    struct keeper_end *ended; /* heard, and not waited for yet */
    size_t n, cap, part;      /* bytes of the next */
    struct served *idle;      /* those that wait for another job */
    size_t n_idle, cap_idle;
};

extern char **environ;

/* Ours and one more: each symbol is looked up once, in the keeper, not in every worker. malloc'd; not the
 * texts. */
static char **keeper_environ(void)
{
    static char now[] = "LD_BIND_NOW=1";
    size_t n = 0;
    while (environ[n])
        n++;
    char **env = xcalloc(n + 2, sizeof *env);
    memcpy(env, environ, n * sizeof *env);
    env[n] = now;
    return env;
}

static int spawn(const char *self, int socket, pid_t *ret)
{
    const char *const argv[] = {self, "worker", "--serve", NULL};
    AUTO(mem) char **env = keeper_environ();
    AUTO(fd) int null = fs_open("/dev/null", O_WRONLY, 0);
    if (null < 0)
        return errno;
    return spawn_group(ret, argv, (const char *const *)env, (const int[]){socket, null, STDERR_FILENO});
}

struct workers *workers_new(const char *self)
{
    struct workers *w = xcalloc(1, sizeof *w);
    *w = (struct workers){.self = xstrdup(self), .to = -1};
    return w;
}

/* It says so once it can take orders; some milliseconds, once a run. */
static bool is_there(struct workers *w)
{
    char c;
    ssize_t n;
    while ((n = read(w->to, &c, 1)) < 0 && errno == EINTR)
        ;
    return n == 1;
}

static bool open_keeper(struct workers *w, struct error *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return error_errno(err, "cannot create a socket pair");
    procs_adopt();
    w->to = ends[0];
    int why = spawn(w->self, ends[1], &w->keeper);
    close(ends[1]);
    errno = why;
    if (why) {
        w->keeper = 0;
        return error_errno(err, "cannot start '%s'", w->self);
    }
    return is_there(w) || error_set(err, NULL, ERROR_SYSTEM, "'%s worker --serve' ended at once", w->self);
}

bool workers_ready(struct workers *w, struct error *why)
{
    if (w->to < 0 && !w->lost && !open_keeper(w, why)) {
        w->lost = w->told = true;
        return error_context(why, "no keeper of the workers: each is started by itself");
    }
    if (w->lost && !w->told) {
        w->told = true;
        return error_set(why, NULL, ERROR_SYSTEM,
                         "the keeper of the workers is gone: each is started by itself now");
    }
    return !w->lost;
}

void workers_end_orphans(const struct workers *w, pid_t *child, size_t n)
{
    child[n] = w->keeper;
    procs_end_children(child, n + !w->lost);
    memory_sweep();
}

static void end_keeper(struct workers *w)
{
    close(w->to);
    if (w->keeper)
        while (waitpid(w->keeper, NULL, 0) < 0 && errno == EINTR)
            ;
    if (w->lost) { /* what was below its workers is ours now */
        procs_end_children(NULL, 0);
        memory_sweep();
    }
}

void workers_free(struct workers *w)
{
    if (!w)
        return;
    if (w->to >= 0)
        end_keeper(w);
    while (w->n_idle)
        served_close(&w->idle[--w->n_idle]);
    free(w->idle);
    free(w->ended);
    free(w->self);
    free(w);
}

bool workers_are_lost(const struct workers *w)
{
    return w->lost;
}

/* ---- ends ---- */

/* What has come; without MSG_DONTWAIT the next that comes. */
static void hear(struct workers *w, int flags)
{
    ssize_t n;
    w->ended = xgrow(w->ended, &w->cap, w->n + AT_ONCE, sizeof *w->ended);
    while ((n = recv(w->to, (char *)(w->ended + w->n) + w->part, AT_ONCE * sizeof *w->ended - w->part,
                     flags)) < 0 &&
           errno == EINTR)
        ;
    if (n == 0 || (n < 0 && errno != EAGAIN))
        w->lost = true;
    w->part += n > 0 ? (size_t)n : 0;
    w->n += w->part / sizeof *w->ended;
    w->part %= sizeof *w->ended;
}

int workers_fd(const struct workers *w)
{
    return w->lost ? -1 : w->to;
}

void workers_hear(struct workers *w)
{
    hear(w, MSG_DONTWAIT);
}

static size_t find(const struct workers *w, uint32_t worker)
{
    size_t i = 0;
    while (i < w->n && w->ended[i].worker != worker)
        i++;
    return i;
}

bool workers_has_ended(const struct workers *w, uint32_t worker)
{
    return w->lost || find(w, worker) < w->n;
}

bool workers_wait(struct workers *w, uint32_t worker, struct keeper_end *ret)
{
    size_t i;
    while ((i = find(w, worker)) == w->n && !w->lost)
        hear(w, 0);
    if (i == w->n)
        return false;
    *ret = w->ended[i];
    w->n--;
    memmove(w->ended + i, w->ended + i + 1, (w->n - i) * sizeof *w->ended + w->part);
    return true;
}

/* ---- orders ---- */

/* The keeper is gone; what it told before still counts. */
static void lose(struct workers *w)
{
    int why = errno;
    size_t before;
    do {
        before = w->n;
        hear(w, MSG_DONTWAIT);
    } while (!w->lost && w->n > before);
    w->lost = true;
    errno = why;
}

/* After a send that would have had to wait: the keeper may be waiting for us to hear of ends. */
static bool can_go_on(struct workers *w)
{
    if (errno == EINTR)
        return true;
    if (errno != EAGAIN)
        return false;
    struct pollfd fd = {.fd = w->to, .events = POLLIN | POLLOUT};
    (void)poll(&fd, 1, -1);
    if (fd.revents & POLLIN)
        hear(w, MSG_DONTWAIT);
    return !w->lost;
}

static bool send_text(struct workers *w, const char *text, size_t n)
{
    for (size_t sent = 0; sent < n;) {
        ssize_t now = send(w->to, text + sent, n - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (now < 0 && !can_go_on(w))
            return false;
        sent += now > 0 ? (size_t)now : 0;
    }
    return true;
}

/* The order with its descriptors and its text, in one call as far as they go. MSG_NOSIGNAL: a keeper that is
 * gone is an error, not our end. */
static bool send_order(struct workers *w, const struct keeper_order *o, const int *fd, const char *text)
{
    union {
        char room[CMSG_SPACE(KEEPER_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part[] = {{(void *)(uintptr_t)o, sizeof *o}, {(void *)(uintptr_t)text, o->length}};
    struct msghdr m = {.msg_iov = part, .msg_iovlen = 2};
    if (fd) {
        memset(&control, 0, sizeof control);
        m.msg_control = &control;
        m.msg_controllen = sizeof control.room;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        size_t n = (fd[KEEPER_JOBS] >= 0 ? KEEPER_FDS : KEEPER_JOBS) * sizeof(int);
        c->cmsg_len = CMSG_LEN(n);
        memcpy(CMSG_DATA(c), fd, n);
        m.msg_controllen = CMSG_SPACE(n);
    }
    ssize_t n;
    while ((n = sendmsg(w->to, &m, MSG_NOSIGNAL | MSG_DONTWAIT)) < 0 && can_go_on(w))
        ;
    return n >= (ssize_t)sizeof *o && send_text(w, text + (n - sizeof *o), o->length - (n - sizeof *o));
}

bool workers_start(struct workers *w, const char *job, int64_t memory, const int *fd, uint32_t *ret,
                   struct error *err)
{
    const struct keeper_order o = {
        .what = KEEPER_START, .worker = w->started++, .memory = memory, .length = strlen(job)};
    *ret = o.worker;
    if (send_order(w, &o, fd, job))
        return true;
    lose(w);
    return error_errno(err, "the keeper of the workers is gone");
}

/* ---- one after the other ---- */

void workers_keep(struct workers *w, const struct served *s)
{
    w->idle = xgrow(w->idle, &w->cap_idle, w->n_idle + 1, sizeof *w->idle);
    w->idle[w->n_idle++] = *s;
}

/* It was told of before the next job came: nobody waits for its end. */
static bool has_died(struct workers *w, uint32_t worker)
{
    struct keeper_end end;
    return w->lost || (find(w, worker) < w->n && workers_wait(w, worker, &end));
}

bool served_give(struct served *s, const char *job)
{
    size_t n = strlen(job);
    worker_number number = ++s->given;
    struct iovec part[] = {{&number, sizeof number}, {(void *)(uintptr_t)job, n}};
    const struct msghdr m = {.msg_iov = part, .msg_iovlen = 2};
    return n <= WORKER_JOB_MOST &&
           sendmsg(s->jobs, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)(sizeof number + n);
}

/* The number of the first that it did not take. MSG_PEEK leaves it there; else the whole packet goes. */
static bool first_unread(const struct served *s, int flags, worker_number *ret)
{
    ssize_t n;
    while ((n = recv(s->far, ret, sizeof *ret, flags | MSG_DONTWAIT)) < 0 && errno == EINTR)
        ;
    return n == sizeof *ret;
}

/* Between the two looks the worker may take it; nothing else can come to be the first. */
bool served_take_back(const struct served *s)
{
    worker_number number;
    return first_unread(s, MSG_PEEK, &number) && number == s->given && first_unread(s, 0, &number);
}

bool served_has_unread(const struct served *s)
{
    worker_number number;
    return first_unread(s, MSG_PEEK, &number);
}

void served_close(struct served *s)
{
    for (size_t i = 0; i < 3; i++) {
        int fd = ((const int[]){s->events, s->jobs, s->far})[i];
        if (fd >= 0)
            close(fd);
    }
    *s = SERVED_NONE;
}

bool workers_again(struct workers *w, const char *job, struct served *ret)
{
    while (w->n_idle) {
        struct served s = w->idle[--w->n_idle];
        if (!has_died(w, s.worker) && served_give(&s, job)) {
            *ret = s;
            return true;
        }
        served_close(&s);
    }
    return false;
}

void workers_kill(struct workers *w, uint32_t worker)
{
    const struct keeper_order o = {.what = KEEPER_KILL, .worker = worker};
    if (!send_order(w, &o, NULL, ""))
        lose(w);
}
