#include "engine/exec/keeper.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/memory.h"
#include "engine/exec/worker.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define LOOK_MS 200 /* between two looks at the workers' memory */

struct kept { /* a worker */
    uint32_t id;
    pid_t pid;
    double began; /* seconds of the monotonic clock */
    struct memory memory;
};
struct keeper {
    struct kept *item;
    size_t n, cap;
    unsigned long started;
    int to; /* where ends are told; -1: nowhere */
    int signals;
    double looked;
};

static void keeper_init(struct keeper *k, int to)
{
    sigset_t set;
    *k = (struct keeper){.to = to, .signals = -1};
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    k->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    static const int not_ours[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE}; /* the engine decides what they mean */
    for (size_t i = 0; i < sizeof not_ours / sizeof *not_ours; i++)
        signal(not_ours[i], SIG_IGN);
    procs_adopt();
    memory_sweep();
}

/* ---- a worker's begin ---- */

/* In the fork: the worker's whole life. */
_Noreturn static void live(const struct memory *memory, pid_t keeper, const int *fd, const char *job,
                           size_t n)
{
    sigset_t none;
    sigemptyset(&none);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != keeper)
        _exit(1);
    setpgid(0, 0);
    procs_adopt();
    memory_join(memory);
    bool more = fd[KEEPER_JOBS] >= 0;
    int in = more ? fd[KEEPER_JOBS] : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (in < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(fd[KEEPER_EVENTS], STDOUT_FILENO) < 0 ||
        dup2(fd[KEEPER_LOG], STDERR_FILENO) < 0 || close_range(3, ~0U, 0) != 0)
        _exit(1);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int status = worker_run(job, n, more);
    fflush(NULL);
    _exit(status);
}

/* An engine that cannot be told is not to wait for it: to it the keeper is gone, and so all ends here too. */
static void tell_end(const struct keeper *k, struct keeper_end end)
{
    ssize_t n = sizeof end;
    while (k->to >= 0 && (n = send(k->to, &end, sizeof end, MSG_NOSIGNAL)) < 0 && errno == EINTR)
        ;
    if (n != sizeof end)
        shutdown(k->to, SHUT_RDWR);
}

static void start(struct keeper *k, uint32_t id, int64_t memory, const int *fd, const char *job, size_t n)
{
    struct kept w = {.id = id, .began = clock_seconds()};
    pid_t self = getpid();
    memory_begin(&w.memory, memory, k->started++);
    w.pid = fork();
    if (w.pid == 0)
        live(&w.memory, self, fd, job, n);
    if (w.pid < 0) {
        const struct keeper_end why = {.worker = id, .not_started = errno};
        memory_end(&w.memory);
        tell_end(k, why);
        return;
    }
    setpgid(w.pid, w.pid); /* both do: whoever comes first */
    k->item = xgrow(k->item, &k->cap, k->n + 1, sizeof *k->item);
    k->item[k->n++] = w;
}

/* ---- its end ---- */

static void kill_worker(const struct kept *w)
{
    if (kill(-w->pid, SIGKILL) != 0)
        kill(w->pid, SIGKILL);
}

/* Whoever is our child and no worker was left behind by one. */
static void end_orphans(const struct keeper *k)
{
    AUTO(mem) pid_t *spare = xcalloc(k->n + 1, sizeof *spare);
    for (size_t i = 0; i < k->n; i++)
        spare[i] = k->item[i].pid;
    procs_end_children(spare, k->n);
}

/* A worker that came to its own end has ended what was below it (worker.c); any other could not. */
static struct keeper_end reap(struct keeper *k, size_t slot, struct kept *ret)
{
    struct keeper_end end = {0};
    struct rusage took = {0};
    *ret = k->item[slot];
    end.worker = ret->id;
    kill(-ret->pid, SIGKILL); /* before the wait, while the number is still its own */
    while (wait4(ret->pid, &end.status, 0, &took) < 0 && errno == EINTR)
        ;
    k->item[slot] = k->item[--k->n];
    if (!WIFEXITED(end.status) || WEXITSTATUS(end.status) > 1 || ret->memory.over)
        end_orphans(k);
    memory_end(&ret->memory);
    end.over = ret->memory.over;
    end.peak = ret->memory.peak > took.ru_maxrss * 1024 ? ret->memory.peak : took.ru_maxrss * 1024;
    return end;
}

/* The slot of a worker that has ended; -1: none has. Orphans that ended are reaped on the way. */
static int next_ended(struct keeper *k)
{
    siginfo_t info = {0};
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid) {
        for (size_t i = 0; i < k->n; i++)
            if (k->item[i].pid == info.si_pid)
                return (int)i;
        waitpid(info.si_pid, NULL, WNOHANG);
        info.si_pid = 0;
    }
    return -1;
}

/* There is no look while no worker is older than the time between two, which all the
 * same sees each before it is so old and a little more. */
static void look(struct keeper *k)
{
    double now = clock_seconds(), oldest = now;
    for (size_t i = 0; i < k->n; i++)
        oldest = k->item[i].began < oldest ? k->item[i].began : oldest;
    if (now - oldest < LOOK_MS / 1000.0 || now - k->looked < LOOK_MS / 1000.0)
        return;
    k->looked = now;
    for (size_t i = 0; i < k->n; i++)
        if (memory_look(&k->item[i].memory, k->item[i].pid))
            kill_worker(&k->item[i]);
}

/* Wait for something to happen; whether a signal said that the engine is gone. */
static bool wait_for(struct keeper *k, struct pollfd *fd, nfds_t n)
{
    struct signalfd_siginfo s;
    bool gone = false;
    fd[0] = (struct pollfd){.fd = k->signals, .events = POLLIN};
    (void)poll(fd, n, k->n ? LOOK_MS : -1);
    while (read(k->signals, &s, sizeof s) == sizeof s)
        gone = gone || s.ssi_signo == SIGUSR1;
    look(k);
    return gone;
}

/* The engine is gone, or needs nobody any more. */
static void end_all(struct keeper *k)
{
    struct kept w;
    for (size_t i = 0; i < k->n; i++)
        kill_worker(&k->item[i]);
    while (k->n)
        reap(k, 0, &w);
    procs_end_children(NULL, 0);
    free(k->item);
}

/* ---- many ---- */

/* The order and its descriptors; false: the engine is gone, or what came is no order. */
static bool receive(int from, struct keeper_order *o, int *fd)
{
    union {
        char room[CMSG_SPACE(KEEPER_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {o, sizeof *o};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n;
    while ((n = recvmsg(from, &m, MSG_CMSG_CLOEXEC | MSG_WAITALL)) < 0 && errno == EINTR)
        ;
    const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    for (int i = 0; i < KEEPER_FDS; i++)
        fd[i] = -1;
    if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len <= CMSG_LEN(KEEPER_FDS * sizeof(int)))
        memcpy(fd, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
    return n == sizeof *o;
}

static bool receive_text(int from, char *text, size_t n)
{
    for (size_t have = 0; have < n;) {
        ssize_t got = recv(from, text + have, n - have, MSG_WAITALL);
        if (got == 0 || (got < 0 && errno != EINTR))
            return false;
        have += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static void obey_start(struct keeper *k, int from, const struct keeper_order *o, const int *fd)
{
    AUTO(mem) char *job = xmalloc(o->length + 1);
    bool whole = receive_text(from, job, o->length);
    job[whole ? o->length : 0] = '\0';
    if (whole && fd[0] >= 0)
        start(k, o->worker, o->memory, fd, job, o->length);
    else
        tell_end(k, (struct keeper_end){.worker = o->worker, .not_started = EMFILE});
    for (int i = 0; i < KEEPER_FDS && fd[i] >= 0; i++)
        close(fd[i]);
}

static bool obey(struct keeper *k, int from)
{
    struct keeper_order o;
    int fd[KEEPER_FDS];
    if (!receive(from, &o, fd))
        return false;
    if (o.what == KEEPER_START)
        obey_start(k, from, &o, fd);
    for (size_t i = 0; o.what == KEEPER_KILL && i < k->n; i++)
        if (k->item[i].id == o.worker)
            kill_worker(&k->item[i]);
    return true;
}

int keeper_serve(void)
{
    struct keeper k;
    int slot, from = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    keeper_init(&k, from);
    unsetenv("LD_BIND_NOW");    /* which was for us */
    (void)!write(from, "k", 1); /* we are there */
    for (bool there = from >= 0; there;) {
        struct pollfd fd[2] = {{0}, {.fd = from, .events = POLLIN}};
        wait_for(&k, fd, 2);
        while ((slot = next_ended(&k)) >= 0) {
            struct kept w;
            tell_end(&k, reap(&k, (size_t)slot, &w));
        }
        there = !fd[1].revents || obey(&k, from);
    }
    end_all(&k);
    return 0;
}

/* ---- one ---- */

/* What the worker could not say: what all below it took, where somebody looked. A line that it had begun is
 * ended first. */
static void say_end(int events, const struct memory *m)
{
    AUTO(mem)
    char *text = xprintf("\n{\"event\":\"memory\",\"peak\":%lld,\"over\":%s}\n", (long long)m->peak,
                         m->over ? "true" : "false");
    if (m->peak || m->over)
        (void)!fs_write_all(events, text, strlen(text), "events", NULL);
}

/* As it ended, by the same signal where it was one. */
static int end_as(int status)
{
    sigset_t all;
    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status);
    sigfillset(&all);
    signal(WTERMSIG(status), SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    prctl(PR_SET_DUMPABLE, 0); /* it has left a core, if at all */
    raise(WTERMSIG(status));
    return 128 + WTERMSIG(status);
}

/* The job, as far as it is the keeper's: whose end is ours, and how much memory there is. */
static bool read_job(char **ret, size_t *ret_n, int64_t *memory, int64_t *parent)
{
    if (!fs_read_file("/dev/stdin", ret, ret_n, NULL))
        return false;
    AUTO_JSON o = json_parse(*ret, *ret_n, "job", NULL);
    *memory = json_int_or(o, "memory", 0);
    *parent = json_int_or(o, "parent", 0);
    return true;
}

int keeper_once(void)
{
    struct keeper k;
    AUTO(mem) char *job = NULL;
    size_t n;
    int64_t memory, parent;
    int fd[KEEPER_FDS] = {STDOUT_FILENO, STDERR_FILENO, -1}, slot = -1;
    keeper_init(&k, -1);
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    if (!read_job(&job, &n, &memory, &parent) || (parent && getppid() != parent)) {
        fputs("no job, or the engine is gone\n", stderr);
        return 1;
    }
    start(&k, 0, memory, fd, job, n);
    while (k.n && slot < 0) {
        struct pollfd signals[1];
        if (wait_for(&k, signals, 1)) {
            end_all(&k);
            return 1;
        }
        slot = next_ended(&k);
    }
    if (slot < 0)
        return 1; /* it could not be started */
    struct kept w;
    struct keeper_end end = reap(&k, (size_t)slot, &w);
    procs_end_children(NULL, 0);
    say_end(STDOUT_FILENO, &w.memory);
    free(k.item);
    return end_as(end.status);
}
