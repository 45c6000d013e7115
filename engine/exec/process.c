#include "engine/exec/process.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define AT_ONCE      ((size_t)2 << 20) /* read in one call: more than a pipe holds, and an end to a flood */
#define LINE_LONGEST ((size_t)1 << 20) /* a longer line is no event */

extern char **environ;

static int job_file(const char *job, struct error *err)
{
    int fd = memfd_create("weft-job", MFD_CLOEXEC);
    if (fd < 0 || !fs_write_all(fd, job, strlen(job), "job", err) || lseek(fd, 0, SEEK_SET) != 0) {
        error_errno(err, "cannot make a job file");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

/* The three descriptors of the child, a process group of its own, default signals. 0 or an errno. */
static int spawn(pid_t *pid, const char *const *argv, const char *const *env, int in, int out, int log)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, log, STDERR_FILENO);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    int rc = posix_spawnp(pid, argv[0], &files, &attr, (char *const *)(uintptr_t)argv,
                          env ? (char *const *)(uintptr_t)env : environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return rc;
}

bool process_start(struct process *p, const char *const *argv, const char *const *env, const char *job,
                   const char *log, struct error *err)
{
    *p = (struct process){.pidfd = -1, .events = -1};
    AUTO(fd) int in = job_file(job, err);
    if (in < 0)
        return false;
    AUTO(fd) int log_fd = fs_open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (log_fd < 0)
        return error_errno(err, "cannot create the log '%s'", log);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_errno(err, "cannot create a pipe");
    AUTO(fd) int out = ends[1];
    p->events = ends[0];
    fcntl(p->events, F_SETFL, O_NONBLOCK);
    errno = spawn(&p->pid, argv, env, in, out, log_fd);
    if (errno == 0 && (p->pidfd = pidfd_open(p->pid, 0)) >= 0)
        return true;
    error_errno(err, "cannot start '%s'", argv[0]);
    if (p->pid > 0) {
        process_kill(p);
        waitpid(p->pid, NULL, 0);
    }
    close(p->events);
    *p = (struct process){.pidfd = -1, .events = -1};
    return false;
}

/* Split what arrived into lines; the last may go on in the next read. */
static void take(struct process *p, const char *at, size_t n, void (*see)(void *arg, const json_t *event),
                 void *arg)
{
    for (const char *end = at + n; at < end;) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        if (!p->too_long)
            buf_add(&p->line, at, (size_t)((nl ? nl : end) - at));
        p->too_long = p->too_long || p->line.len > LINE_LONGEST;
        if (!nl && !p->too_long)
            break;
        AUTO_JSON event = p->too_long ? NULL : json_parse(buf_str(&p->line), p->line.len, "event", NULL);
        if (json_is_object(event))
            see(arg, event);
        buf_clear(&p->line);
        p->too_long = !nl;
        at = nl ? nl + 1 : end;
    }
}

void process_events(struct process *p, void (*see)(void *arg, const json_t *event), void *arg)
{
    char chunk[16384];
    for (size_t taken = 0; p->events >= 0 && taken < AT_ONCE;) {
        ssize_t n = read(p->events, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            close(p->events);
            p->events = -1;
            break;
        }
        taken += (size_t)n;
        take(p, chunk, (size_t)n, see, arg);
    }
}

void process_kill(const struct process *p)
{
    /* the group first, for children of its own; the group does not exist before the child has made it */
    if (p->pid > 0 && kill(-p->pid, SIGKILL) != 0)
        kill(p->pid, SIGKILL);
}

int process_end(struct process *p)
{
    int status = 0;
    kill(-p->pid,
         SIGKILL); /* what the worker left behind; before the wait, while the number is still its own */
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (p->events >= 0)
        close(p->events);
    close(p->pidfd);
    buf_done(&p->line);
    p->pid = 0;
    p->pidfd = p->events = -1;
    return status;
}
