#include "stages/job/program.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/procs.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LINE_LONGEST ((size_t)64 << 10) /* a longer one is handed on in parts */

/* ---- the program ---- */

struct child {
    pid_t pid;
    int pidfd, out; /* -1 at its end */
    struct buf line;
};

static void child_auto(struct child *c)
{
    if (c->out >= 0)
        close(c->out);
    if (c->pidfd >= 0)
        close(c->pidfd);
    buf_done(&c->line);
}

/* In the child, which shares our memory until it is the program: why it could not become one. */
static int become(const struct program *p, pid_t parent, int out)
{
    /* which the worker ignores */
    static const int ignored[] = {SIGXFSZ, SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_DFL);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && null >= 0 &&
        dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0 &&
        chdir(p->dir) == 0 && close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        execve(p->path, p->argv, p->env);
    return errno ? errno : ESRCH; /* the parent is gone */
}

/* vfork: with much memory mapped a fork is dear. The child stays in this frame until it is the program. */
static bool child_start(struct child *c, const struct program *p, struct error *err)
{
    int out[2];
    pid_t self = getpid();
    volatile int why = 0;
    if (pipe2(out, O_CLOEXEC) != 0)
        return error_errno(err, "cannot create a pipe");
    c->out = out[0];
    AUTO(fd) int out_end = out[1];
    errno = 0;
    c->pid = vfork();
    if (c->pid == 0) {
        why = become(p, self, out_end);
        _exit(127);
    }
    if (c->pid < 0)
        why = errno;
    else if (!why && (c->pidfd = pidfd_open(c->pid, 0)) < 0)
        why = errno;
    if (!why) {
        fcntl(c->out, F_SETFL, O_NONBLOCK);
        return true;
    }
    if (c->pid > 0) {
        kill(c->pid, SIGKILL);
        waitpid(c->pid, NULL, 0);
    }
    errno = why;
    error_errno(err, "cannot start '%s'", p->path);
    if (why == ENOEXEC && err)
        error_context(err, "no program and no script that begins with '#!'");
    return false;
}

/* Hand on what is whole; at the end all of it. */
static void flush(struct child *c, const struct program *p, bool all)
{
    size_t done = 0;
    for (const char *nl;
         c->line.len > done && (nl = memchr(c->line.data + done, '\n', c->line.len - done));) {
        size_t n = (size_t)(nl - c->line.data) - done;
        p->line(p->arg, c->line.data + done, n);
        done += n + 1;
    }
    if (c->line.len > done && (all || c->line.len - done > LINE_LONGEST)) {
        p->line(p->arg, c->line.data + done, c->line.len - done);
        done = c->line.len;
    }
    if (!done)
        return;
    memmove(c->line.data, c->line.data + done, c->line.len - done);
    c->line.len -= done;
    c->line.data[c->line.len] = '\0';
}

static void close_out(struct child *c)
{
    close(c->out);
    c->out = -1;
}

/* All that has arrived. What others whom the program left behind still write is not waited for. */
static void take(struct child *c, const struct program *p)
{
    char chunk[16384];
    for (int i = 0; c->out >= 0 && i < 64; i++) { /* an end to a flood: look at the program, too */
        ssize_t n = read(c->out, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close_out(c);
            return;
        }
        buf_add(&c->line, chunk, (size_t)n);
        flush(c, p, false);
    }
}

static bool follow(struct child *c, const struct program *p, struct program_end *ret, struct error *err)
{
    struct pollfd fd[2] = {{.fd = c->pidfd, .events = POLLIN}, {.fd = c->out, .events = POLLIN}};
    for (bool ended = false; !ended && c->out >= 0;) { /* nobody holds the other end: it will end, or has */
        if (poll(fd, 2, -1) < 0 && errno != EINTR)
            return error_errno(err, "cannot wait for '%s'", p->path);
        ended = fd[0].revents != 0;
        if (ended || fd[1].revents & POLLIN)
            take(c, p);
        else if (fd[1].revents)
            close_out(c);
    }
    flush(c, p, true);
    struct rusage took = {0};
    while (wait4(c->pid, &ret->status, 0, &took) < 0)
        if (errno != EINTR)
            return error_errno(err, "cannot wait for '%s'", p->path);
    ret->peak = (int64_t)took.ru_maxrss * 1024;
    return true;
}

bool program_run(const struct program *p, struct program_end *ret, struct error *err)
{
    AUTO(child) struct child c = {.pidfd = -1, .out = -1};
    bool ok = child_start(&c, p, err) && follow(&c, p, ret, err);
    procs_end_children(NULL, 0); /* what it left running */
    return ok;
}

const char *program_find(const char *name, const char *path, struct arena *a)
{
    for (const char *dir = path; dir; dir = strchr(dir, ':') ? strchr(dir, ':') + 1 : NULL) {
        size_t n = strcspn(dir, ":");
        struct stat st;
        const char *file = arena_printf(a, "%.*s/%s", (int)n, dir, name);
        if (n && *dir == '/' && stat(file, &st) == 0 && S_ISREG(st.st_mode) && access(file, X_OK) == 0)
            return file;
    }
    return NULL;
}
