#include "engine/exec/carrier.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "engine/topo/topo.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define BEATS     10   /* signs of life in the time that the other end waits for one */
#define TERM_TIME 10.0 /* that a child has for its end */

#define SAME_FATE 500 /* milliseconds between signals that one hand sends to all of a step */

static const char alive[] = "{\"event\": \"alive\"}\n";

/* One end at work: a child whose stdout passes through to ours. */
struct relay {
    pid_t child;
    int pidfd;
    int out;           /* of the child; -1 at its end */
    int in;            /* the child's stdin, of the near end; else -1 */
    struct buf unsent; /* for it: the job, at first */
    int peer;          /* stdin, of the far end: beats, and its end; else -1 */
    double patience;   /* seconds of silence, after which the other end is gone */
    double beaten;     /* when we sent the last one */
    double heard;      /* when the other end was heard last; 0: not yet */
    double terminated; /* when the child was asked to end; 0: not */
    bool between;      /* no line has begun on our stdout */
};

/* The worker has a file for its stdin, the carrying command a pipe that stays open. Our group's signals are
 * not for it: the near end's is killed as a whole. */
static bool start(struct relay *r, const char *const *argv, int in)
{
    int ends[2];
    pid_t self = getpid();
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    r->child = fork();
    if (r->child == 0) {
        sigset_t none;
        sigemptyset(&none);
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() == self && dup2(in, STDIN_FILENO) >= 0 && dup2(ends[1], STDOUT_FILENO) >= 0) {
            sigprocmask(SIG_SETMASK, &none, NULL);
            execvp(argv[0], (char *const *)(uintptr_t)argv);
        }
        fprintf(stderr, "cannot start '%s': %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(ends[1]);
    r->out = ends[0];
    return r->child > 0 && (r->pidfd = pidfd_open(r->child, 0)) >= 0;
}

static void beat(struct relay *r, double now)
{
    if (now - r->beaten < r->patience / BEATS)
        return;
    r->beaten = now;
    if (r->in >= 0 && r->unsent.len == 0)
        buf_puts(&r->unsent, alive);
    if (r->peer >= 0 && r->between)
        (void)!fs_write_all(STDOUT_FILENO, alive, strlen(alive), "events", NULL);
}

/* False: the child's stdout has ended. */
static bool pass_on(struct relay *r)
{
    char chunk[16384];
    ssize_t n = read(r->out, chunk, sizeof chunk);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (n <= 0 || !fs_write_all(STDOUT_FILENO, chunk, (size_t)n, "events", NULL)) {
        close(r->out);
        r->out = -1;
        return false;
    }
    r->between = chunk[n - 1] == '\n';
    if (r->in >= 0)
        r->heard = clock_seconds();
    return true;
}

static void send_unsent(struct relay *r)
{
    ssize_t n = write(r->in, r->unsent.data, r->unsent.len);
    if (n > 0) {
        memmove(r->unsent.data, r->unsent.data + n, r->unsent.len - (size_t)n);
        r->unsent.len -= (size_t)n;
    } else if (n < 0 && errno != EINTR && errno != EAGAIN) { /* it reads no more: its end will be seen */
        buf_clear(&r->unsent);
        close(r->in);
        r->in = -1;
    }
}

/* A beat of the near end; false: its line has ended. */
static bool take_beat(struct relay *r)
{
    char chunk[256];
    ssize_t n = read(r->peer, chunk, sizeof chunk);
    r->heard = clock_seconds();
    return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

/* Is there still somebody at the other end? No: the child ends, in good order at first. */
static void judge(struct relay *r, bool near, bool hung_up, double now)
{
    bool gone = hung_up || (r->heard > 0 && now - r->heard > r->patience);
    if (!gone && r->terminated == 0)
        return;
    if (r->terminated == 0) {
        fprintf(stderr,
                near      ? "no word from the worker's node for %g s: it is given up\n"
                : hung_up ? "the connection to the engine is gone: the worker ends\n"
                          : "no word from the engine for %g s: the worker ends\n",
                r->patience);
        r->terminated = now;
        kill(-r->child, SIGTERM);
    } else if (now - r->terminated > fmin(TERM_TIME, r->patience)) {
        kill(-r->child, SIGKILL);
    }
}

/* Until the child has ended and all that it wrote is passed on; its wait status. */
static int carry(struct relay *r, bool near)
{
    bool ended = false, hung_up = false;
    while (!ended || r->out >= 0) {
        struct pollfd p[] = {{.fd = ended ? -1 : r->pidfd, .events = POLLIN},
                             {.fd = r->out, .events = POLLIN},
                             {.fd = r->unsent.len ? r->in : -1, .events = POLLOUT},
                             {.fd = hung_up ? -1 : r->peer, .events = POLLIN}};
        /* what the child left behind may hold its stdout: what is there is read, and no more waited for */
        int n = poll(p, sizeof p / sizeof *p, ended ? 0 : (int)(1000 * fmin(1, r->patience / BEATS)));
        if (n == 0 && ended)
            break;
        if (n > 0 && p[1].revents)
            pass_on(r);
        if (n > 0 && p[2].revents)
            send_unsent(r);
        if (n > 0 && p[3].revents && !take_beat(r))
            hung_up = true;
        if (n > 0 && p[0].revents)
            ended = true;
        double now = clock_seconds();
        beat(r, now);
        if (!ended)
            judge(r, near, hung_up, now);
    }
    int status = 0;
    kill(-r->child, SIGKILL); /* what it left behind, while the number is still its own */
    while (waitpid(r->child, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static void relay_done(struct relay *r)
{
    for (int i = 0; i < 3; i++) {
        int fd = (int[]){r->pidfd, r->out, r->in}[i];
        if (fd >= 0)
            close(fd);
    }
    buf_done(&r->unsent);
}

static int trouble(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return 1;
}

int carrier_near(const char *const *argv, pid_t parent, double patience)
{
    struct relay r = {.pidfd = -1, .out = -1, .in = -1, .peer = -1, .patience = patience, .between = true};
    AUTO(mem) char *job = NULL;
    char here[4096];
    size_t n;
    int ends[2];
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        return 1; /* it ended before we could ask to end with it */
    if (!fs_read_file("/dev/stdin", &job, &n, NULL) || pipe2(ends, O_CLOEXEC) != 0)
        return trouble("the job did not come");
    if (!getcwd(here, sizeof here))
        snprintf(here, sizeof here, "/"); /* it is gone */
    buf_printf(&r.unsent, "%s\n", here);
    buf_add(&r.unsent, job, n);
    buf_putc(&r.unsent, '\n');
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    r.in = ends[1];
    bool ok = start(&r, argv, ends[0]);
    close(ends[0]);
    int status = ok ? carry(&r, true) : 0;
    relay_done(&r);
    return !ok ? trouble("cannot start") : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* A line of stdin, byte by byte: what follows are beats. */
static bool read_line(struct buf *line)
{
    buf_clear(line);
    for (char c;;) {
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        if (c == '\n')
            return true;
        buf_putc(line, c);
    }
}

/* The engine's folder, for relative names, then the job, for a worker whose parent we are: in a file; -1 with
 * a message in the log. */
static int job_file(void)
{
    AUTO(buf) struct buf line = {0};
    struct error err = {0};
    if (!read_line(&line) || (chdir(buf_str(&line)) != 0 && errno != ENOENT && errno != EACCES) ||
        !read_line(&line)) {
        fprintf(stderr, "the job did not come\n");
        return -1;
    }
    AUTO_JSON job = json_parse(buf_str(&line), line.len, "job", &err);
    if (!job) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    json_object_set_new(job, "parent", json_integer((json_int_t)getpid()));
    AUTO(mem) char *text = json_text(job, false);
    int fd = memfd_create("weft-job", MFD_CLOEXEC);
    if (fd < 0 || !fs_write_all(fd, text, strlen(text), "job", NULL) || lseek(fd, 0, SEEK_SET) != 0) {
        fprintf(stderr, "cannot make a job file: %s\n", strerror(errno));
        return -1;
    }
    return fd;
}

int carrier_far(double patience)
{
    struct relay r = {
        .pidfd = -1, .out = -1, .in = -1, .peer = STDIN_FILENO, .patience = patience, .between = true};
    char last[64];
    signal(SIGPIPE, SIG_IGN); /* whoever is gone is seen on stdin */
    (void)!fs_write_all(STDOUT_FILENO, alive, strlen(alive), "events", NULL);
    AUTO(fd) int job = job_file();
    if (job < 0)
        return 1;
    r.heard = r.beaten = clock_seconds();
    if (!start(&r, (const char *const[]){"/proc/self/exe", "worker", NULL}, job)) {
        relay_done(&r);
        return trouble("cannot start a worker");
    }
    int status = carry(&r, false);
    relay_done(&r);
    if (status !=
        0) /* who ends all of a step ends us, too, and then the node is lost: no fault of the task */
        poll(NULL, 0, SAME_FATE);
    snprintf(last, sizeof last, "%s{\"event\": \"ended\", \"status\": %d}\n", r.between ? "" : "\n", status);
    return fs_write_all(STDOUT_FILENO, last, strlen(last), "events", NULL) ? 0 : 1;
}

int carrier_probe(void)
{
    struct topo *t;
    struct error err = {0};
    AUTO(mem) char *xml = NULL;
    char host[256] = "";
    if (!topo_open(NULL, &t, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    int64_t all = topo_memory(t), available = topo_memory_free();
    bool ok = topo_xml(t, &xml, &err);
    topo_close(t);
    if (!ok) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    gethostname(host, sizeof host - 1);
    AUTO_JSON o = json_pack("{s:s, s:I, s:s}", "host", host, "memory",
                            (json_int_t)(available < all ? available : all), "xml", xml);
    AUTO(mem) char *text = json_text(o, false);
    return fs_write_all(STDOUT_FILENO, text, strlen(text), "the answer", NULL) ? 0 : 1;
}
