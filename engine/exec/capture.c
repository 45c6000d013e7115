#include "engine/exec/capture.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/exec/spawn.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

bool capture_start(struct capture *c, const char *const *argv, const char *const *env, const char *input,
                   struct error *err)
{
    *c = (struct capture)CAPTURE_NONE;
    AUTO(fd) int in = memfd_create("weft-in", MFD_CLOEXEC);
    c->out_fd = memfd_create("weft-out", MFD_CLOEXEC);
    c->err_fd = memfd_create("weft-err", MFD_CLOEXEC);
    bool ok = in >= 0 && c->out_fd >= 0 && c->err_fd >= 0;
    if (ok && input)
        ok = fs_write_all(in, input, strlen(input), argv[0], err) && lseek(in, 0, SEEK_SET) == 0;
    if (ok) {
        errno = spawn_group(&c->pid, argv, env, (const int[]){in, c->out_fd, c->err_fd});
        ok = errno == 0 && (c->pidfd = pidfd_open(c->pid, 0)) >= 0;
    }
    if (!ok) {
        error_errno(err, "cannot start '%s'", argv[0]);
        capture_done(c);
    }
    return ok;
}

static char *read_back(int fd)
{
    char chunk[4096];
    struct buf b = {0};
    ssize_t n;
    lseek(fd, 0, SEEK_SET);
    while ((n = read(fd, chunk, sizeof chunk)) > 0)
        buf_add(&b, chunk, (size_t)n);
    return buf_take(&b);
}

/* "sbatch: error: no such partition" -> "no such partition" */
static void complain(struct capture *c, const char *text)
{
    for (const char *mark = NULL; (mark = strstr(text, "error: ")) && mark < text + strcspn(text, "\n");)
        text = mark + strlen("error: ");
    snprintf(c->complaint, sizeof c->complaint, "%.*s", (int)strcspn(text, "\n"), text);
}

static void reap(struct capture *c)
{
    int status = 0;
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        ;
    c->pid = 0;
    c->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool capture_end(struct capture *c, double patience, struct error *err)
{
    struct pollfd p = {.fd = c->pidfd, .events = POLLIN};
    int n;
    while ((n = poll(&p, 1, (int)(patience * 1000))) < 0 && errno == EINTR)
        ;
    if (n <= 0) {
        capture_done(c);
        return error_set(err, NULL, ERROR_SYSTEM, "no answer within %g s", patience);
    }
    reap(c);
    c->out = read_back(c->out_fd);
    AUTO(mem) char *text = read_back(c->err_fd);
    complain(c, text);
    return true;
}

bool capture_run(struct capture *c, const char *const *argv, const char *const *env, const char *input,
                 double patience, struct error *err)
{
    if (!capture_start(c, argv, env, input, err))
        return false;
    if (!capture_end(c, patience, err))
        return error_context(err, "'%s'", argv[0]);
    if (c->status == 0)
        return true;
    error_set(err, NULL, ERROR_SYSTEM, "'%s' failed with exit status %d%s%s", argv[0], c->status,
              *c->complaint ? ": " : "", c->complaint);
    capture_done(c);
    return false;
}

void capture_done(struct capture *c)
{
    if (c->pid > 0) {
        if (kill(-c->pid, SIGKILL) != 0)
            kill(c->pid, SIGKILL);
        reap(c);
    }
    for (int i = 0; i < 3; i++) {
        int *fd = (int *[]){&c->pidfd, &c->out_fd, &c->err_fd}[i];
        if (*fd >= 0)
            close(*fd);
        *fd = -1;
    }
    free(c->out);
    c->out = NULL;
}
