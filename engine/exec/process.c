#include "engine/exec/process.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "engine/exec/keeper.h"
#include "engine/exec/spawn.h"
#include "engine/exec/worker.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define AT_ONCE      ((size_t)2 << 20) /* read in one call: more than a pipe holds, and an end to a flood */
#define LINE_LONGEST ((size_t)1 << 20) /* a longer line is no event */

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

static bool open_log(const char *log, int *ret, struct error *err)
{
    return (*ret = fs_open(log, O_WRONLY | O_CREAT | O_APPEND, 0666)) >= 0 ||
           error_errno(err, "cannot create the log '%s'", log);
}

/* Where its events come from: the other end. */
static bool open_events(struct process *p, int *ret_out, struct error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_errno(err, "cannot create a pipe");
    p->events = ends[0];
    *ret_out = ends[1];
    fcntl(p->events, F_SETFL, O_NONBLOCK);
    return true;
}

/* Where one that serves reads its jobs. */
static bool open_jobs(struct process *p, struct error *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return error_errno(err, "cannot create a socket pair");
    p->served.jobs = ends[0];
    p->served.far = ends[1];
    return true;
}

static bool not_started(struct process *p)
{
    p->served.events = p->events;
    served_close(&p->served);
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
    if (in < 0 || !open_log(log, &log_fd, err) || !open_events(p, &out, err))
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
    if (!open_log(log, &log_fd, err) || !open_events(p, &out, err) || (p->serves && !open_jobs(p, err)))
        return not_started(p);
    p->workers = w;
    const int fd[KEEPER_FDS] = {[KEEPER_EVENTS] = out, [KEEPER_LOG] = log_fd, [KEEPER_JOBS] = p->served.far};
    p->started = workers_start(w, job, memory, fd, &p->served.worker, err);
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
    if (!workers_again(w, job, &p->served))
        return start_kept(p, w, job, 0, log, err);
    p->events = p->served.events;
    p->workers = w;
    return p->started = true;
}

bool process_give_ahead(struct process *p, const char *job)
{
    return p->serves && served_give(&p->served, job);
}

bool process_take_back(const struct process *p)
{
    return served_take_back(&p->served);
}

void process_take_over(struct process *next, struct process *p)
{
    *next = (struct process){.started = true,
                             .workers = p->workers,
                             .served = p->served,
                             .serves = true,
                             .ended = -1,
                             .events = p->events,
                             .line = p->line};
    p->line = (struct buf){0};
    p->served = SERVED_NONE;
    p->events = -1;
}

/* After a short job it goes on; after any other it ends, so that the keeper tells how, and what it held. */
static bool goes_on(struct process *p, const json_t *event)
{
    if (!p->serves || strcmp(json_string_or(event, "event", ""), "done") != 0)
        return false;
    p->served.took = json_real_or(event, "seconds", WORKER_SERVES);
    return p->served.took < WORKER_SERVES;
}

static void take_line(struct process *p, const char *text, size_t n,
                      void (*see)(void *arg, const json_t *event), void *arg)
{
    AUTO_JSON event = n > LINE_LONGEST ? NULL : json_parse(text, n, "event", NULL);
    if (json_is_object(event)) {
        see(arg, event);
        p->waits = goes_on(p, event);
    } else {
        p->garbage += n > 0;
    }
}

/* The whole lines of what has come; behind the last word of a job is what belongs to the next. */
static void take(struct process *p, void (*see)(void *arg, const json_t *event), void *arg)
{
    size_t done = 0;
    for (const char *nl;
         !p->waits && p->line.len > done && (nl = memchr(p->line.data + done, '\n', p->line.len - done));) {
        size_t n = (size_t)(nl - p->line.data) - done;
        if (p->too_long) /* the rest of a line that was dropped */
            p->too_long = false;
        else
            take_line(p, p->line.data + done, n, see, arg);
        done += n + 1;
    }
    buf_drop(&p->line, done);
    if (p->line.len > LINE_LONGEST && !p->waits) {
        p->garbage += !p->too_long;
        p->too_long = true;
        buf_clear(&p->line);
    }
}

void process_events(struct process *p, void (*see)(void *arg, const json_t *event), void *arg)
{
    char chunk[16384];
    take(p, see, arg); /* what came with the last word of the job before */
    for (size_t taken = 0; p->events >= 0 && taken < AT_ONCE && !p->waits;) {
        ssize_t n = read(p->events, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            close(p->events);
            p->events = p->served.events = -1;
            break;
        }
        taken += (size_t)n;
        buf_add(&p->line, chunk, (size_t)n);
        take(p, see, arg);
        if ((size_t)n < sizeof chunk) /* more comes with the next poll, or with the end */
            break;
    }
}

bool process_has_more(const struct process *p)
{
    return p->line.len && memchr(p->line.data, '\n', p->line.len);
}

void process_kill(struct process *p)
{
    if (!p->started)
        return;
    p->serves = p->waits = false;
    if (p->workers)
        workers_kill(p->workers, p->served.worker);
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
    p->unread = p->serves && served_has_unread(&p->served);
    if (!workers_wait(p->workers, p->served.worker, &end))
        return SIGKILL;
    p->not_started = end.not_started;
    p->over = end.over;
    p->peak = end.peak;
    return end.status;
}

bool process_has_ended(const struct process *p)
{
    return p->waits || workers_has_ended(p->workers, p->served.worker);
}

/* With that its job has ended well. */
static int served_end(struct process *p)
{
    p->served.events = p->events;
    if (p->events >= 0)
        workers_keep(p->workers, &p->served);
    else
        served_close(&p->served);
    p->served = SERVED_NONE;
    p->events = -1;
    p->waits = false;
    return 0;
}

int process_end(struct process *p)
{
    int status = p->waits ? served_end(p) : p->workers ? kept_end(p) : own_end(p);
    p->served.events = p->events;
    served_close(&p->served);
    if (p->ended >= 0)
        close(p->ended);
    buf_done(&p->line);
    p->started = false;
    p->pid = 0;
    p->ended = p->events = -1;
    return status;
}
