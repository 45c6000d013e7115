#include "engine/exec/process.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "engine/exec/keeper.h"
#include "engine/exec/spawn.h"
#include "engine/exec/workers.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define AT_ONCE        ((size_t)2 << 20) /* read in one call: more than a pipe holds, and an end to a flood */
#define SERVED_SECONDS 0.2 /* of a short job: the keeper looks at the memory of what takes longer */
#define LINE_LONGEST   ((size_t)1 << 20) /* a longer line is no event */

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

/* Where its events come from and what it writes to: the other ends. One that serves reads jobs there, too. */
static bool open_ends(struct process *p, const char *log, int *ret_out, int *ret_log, struct error *err)
{
    int ends[2];
    if ((*ret_log = fs_open(log, O_WRONLY | O_CREAT | O_APPEND, 0666)) < 0)
        return error_errno(err, "cannot create the log '%s'", log);
    if ((p->serves ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) : pipe2(ends, O_CLOEXEC)) != 0)
        return error_errno(err, "cannot create a pipe");
    p->events = ends[0];
    *ret_out = ends[1];
    fcntl(p->events, F_SETFL, O_NONBLOCK);
    return true;
}

static bool not_started(struct process *p)
{
    if (p->events >= 0)
        close(p->events);
    if (p->ended >= 0)
        close(p->ended);
    *p = PROCESS_NONE;
    return false;
}

bool process_start(struct process *p, const char *const *argv, const char *const *env, const char *job,
                   const char *log, struct error *err)
{
    AUTO(fd) int out = -1;
    AUTO(fd) int log_fd = -1;
    AUTO(fd) int in = job_file(job, err);
    *p = PROCESS_NONE;
    if (in < 0 || !open_ends(p, log, &out, &log_fd, err))
        return not_started(p);
    errno = spawn_group(&p->pid, argv, env, (const int[]){in, out, log_fd});
    if (errno == 0 && (p->ended = pidfd_open(p->pid, 0)) >= 0)
        return p->started = true;
    error_errno(err, "cannot start '%s'", argv[0]);
    if (p->pid > 0) {
        process_kill(p);
        waitpid(p->pid, NULL, 0);
    }
    return not_started(p);
}

static bool start_kept(struct process *p, struct workers *w, const char *job, int64_t memory, const char *log,
                       struct error *err)
{
    AUTO(fd) int out = -1;
    AUTO(fd) int log_fd = -1;
    if (!open_ends(p, log, &out, &log_fd, err))
        return not_started(p);
    p->workers = w;
    const int fd[KEEPER_FDS] = {[KEEPER_EVENTS] = out, [KEEPER_LOG] = log_fd};
    p->started = workers_start(w, job, memory, fd, &p->number, err);
    return p->started || not_started(p);
}

bool process_start_kept(struct process *p, struct workers *w, const char *job, int64_t memory,
                        const char *log, struct error *err)
{
    *p = PROCESS_NONE;
    return start_kept(p, w, job, memory, log, err);
}

bool process_start_served(struct process *p, struct workers *w, const char *job, const char *log,
                          struct error *err)
{
    *p = PROCESS_NONE;
    p->serves = true;
    if (!workers_again(w, job, &p->number, &p->events))
        return start_kept(p, w, job, 0, log, err);
    p->workers = w;
    return p->started = true;
}

/* After a short job it goes on; after any other it ends, so that the keeper tells how, and what it held. */
static void go_on(struct process *p, const json_t *event)
{
    const char *name = json_string_or(event, "event", "");
    bool done = strcmp(name, "done") == 0;
    if (done && json_real_or(event, "seconds", SERVED_SECONDS) < SERVED_SECONDS)
        p->waits = true;
    else if (done || strcmp(name, "error") == 0)
        shutdown(p->events, SHUT_WR);
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
        if (json_is_object(event)) {
            see(arg, event);
            if (p->serves)
                go_on(p, event);
        } else {
            p->garbage += p->too_long || p->line.len > 0;
        }
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
        if ((size_t)n < sizeof chunk) /* more comes with the next poll, or with the end */
            break;
    }
}

void process_kill(struct process *p)
{
    if (!p->started)
        return;
    p->serves = p->waits = false;
    if (p->workers)
        workers_kill(p->workers, p->number);
    else if (kill(-p->pid, SIGKILL) != 0) /* the group does not exist before the child has made it */
        kill(p->pid, SIGKILL);
}

/* Status of a child of ours. What it left in its group is ended before the wait, while the number is still
 * its own. */
static int own_end(const struct process *p)
{
    int status = 0;
    kill(-p->pid, SIGKILL);
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* Status of a child of the keeper; with the keeper gone it is gone, too. */
static int kept_end(struct process *p)
{
    struct keeper_end end;
    if (!workers_wait(p->workers, p->number, &end))
        return SIGKILL;
    p->not_started = end.not_started;
    p->over = end.over;
    p->peak = end.peak;
    return end.status;
}

bool process_has_ended(const struct process *p)
{
    return p->waits || workers_has_ended(p->workers, p->number);
}

/* With that its job has ended well. */
static int served_end(struct process *p)
{
    workers_keep(p->workers, p->number, p->events);
    p->events = -1;
    p->waits = false;
    return 0;
}

int process_end(struct process *p)
{
    int status = p->waits ? served_end(p) : p->workers ? kept_end(p) : own_end(p);
    if (p->events >= 0)
        close(p->events);
    if (p->ended >= 0)
        close(p->ended);
    buf_done(&p->line);
    p->started = false;
    p->pid = 0;
    p->ended = p->events = -1;
    return status;
}
