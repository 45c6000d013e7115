#include "stages/job/program.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LINE_LONGEST ((size_t)64 << 10) /* a longer one is handed on in parts */

/* ---- the guard ---- */

struct guard {
    pid_t pid;
    int end; /* ours of a pipe: closed by the kernel when we are gone, however that came */
};

/* The guard's whole life. It holds nothing but its end of the pipe. */
_Noreturn static void guard_live(int pipe)
{
    char c;
    if (dup2(pipe, STDIN_FILENO) == STDIN_FILENO && close_range(1, ~0U, 0) == 0)
        while (read(STDIN_FILENO, &c, 1) < 0 && errno == EINTR)
            ;
    kill(0, SIGKILL); /* the group, itself included */
    _exit(1);
}

static bool guard_start(struct guard *g, struct error *err)
{
    int ends[2];
    if (getpgrp() != getpid() && setpgid(0, 0) != 0)
        return error_errno(err, "cannot make a process group");
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_errno(err, "cannot create a pipe");
    g->pid = fork();
    if (g->pid == 0) {
        close(ends[1]);
        guard_live(ends[0]);
    }
    int why = errno;
    close(ends[0]);
    g->end = ends[1];
    if (g->pid > 0)
        return true;
    close(g->end);
    errno = why;
    return error_errno(err, "cannot start a guard");
}

static void guard_stop(struct guard *g)
{
    kill(g->pid, SIGKILL);
    while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(g->end);
}

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

/* In the child: becomes the program, or writes why it could not. */
_Noreturn static void become(const struct program *p, pid_t parent, int out, int failed)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    signal(SIGXFSZ, SIG_DFL); /* which the worker ignores */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && null >= 0 &&
        dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0 &&
        chdir(p->dir) == 0 && close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        execve(p->path, p->argv, p->env);
    int why = errno;
    (void)!write(failed, &why, sizeof why);
    _exit(127);
}

/* What the child wrote into `failed` before it became the program; 0: it is one now. */
static int why_not(int failed)
{
    int why = 0;
    ssize_t n;
    while ((n = read(failed, &why, sizeof why)) < 0 && errno == EINTR)
        ;
    return n == sizeof why ? why : 0;
}

static bool child_start(struct child *c, const struct program *p, struct error *err)
{
    int out[2], failed[2];
    pid_t self = getpid();
    if (pipe2(out, O_CLOEXEC) != 0)
        return error_errno(err, "cannot create a pipe");
    c->out = out[0];
    AUTO(fd) int out_end = out[1];
    if (pipe2(failed, O_CLOEXEC) != 0)
        return error_errno(err, "cannot create a pipe");
    AUTO(fd) int failed_here = failed[0];
    c->pid = fork();
    if (c->pid == 0)
        become(p, self, out_end, failed[1]);
    int why = errno;
    close(failed[1]);
    if (c->pid > 0 && (why = why_not(failed_here)) == 0 && (c->pidfd = pidfd_open(c->pid, 0)) >= 0) {
        fcntl(c->out, F_SETFL, O_NONBLOCK);
        return true;
    }
    if (c->pid > 0) {
        why = why ? why : errno;
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
            close(c->out);
            c->out = -1;
            return;
        }
        buf_add(&c->line, chunk, (size_t)n);
        flush(c, p, false);
    }
}

static bool follow(struct child *c, const struct program *p, int *ret_status, struct error *err)
{
    struct pollfd fd[2] = {{.fd = c->pidfd, .events = POLLIN}, {.events = POLLIN}};
    for (bool ended = false; !ended;) {
        fd[1].fd = c->out;
        if (poll(fd, 2, -1) < 0 && errno != EINTR)
            return error_errno(err, "cannot wait for '%s'", p->path);
        ended = fd[0].revents != 0;
        take(c, p);
    }
    flush(c, p, true);
    while (waitpid(c->pid, ret_status, 0) < 0)
        if (errno != EINTR)
            return error_errno(err, "cannot wait for '%s'", p->path);
    return true;
}

bool program_run(const struct program *p, int *ret_status, struct error *err)
{
    struct guard guard = {.end = -1};
    AUTO(child) struct child c = {.pidfd = -1, .out = -1};
    if (!guard_start(&guard, err))
        return false;
    bool ok = child_start(&c, p, err) && follow(&c, p, ret_status, err);
    guard_stop(&guard);
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
