#include "engine/exec/worker.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "base/procs.h"
#include "engine/exec/job.h"
#include "engine/exec/unitenv.h"
#include "engine/exec/workdirs.h"
#include "engine/topo/topo.h"
#include "stages/samples.h"
#include <errno.h>
#include <fcntl.h>
#include <omp.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROGRESS_EVERY 0.1 /* seconds between progress events */
#define KEEP_SHARE     50 /* of the time between two states at most one part in so many goes into writing one */

struct reporter {
    int fd; /* events */
    double last_progress;
    const struct job *job;
    double start, last_kept, asked, keeping; /* when a state was written, when one became due; what it took */
    double seconds;                          /* that a job took which is done */
    int64_t program_peak;                    /* bytes that a user's program held, in a process of its own */
    char *cpuset, *nodes;                    /* what it is bound to; NULL: not yet */
    int64_t stopped;                         /* the pass after which the run is to end; 0: none */
};

/* One line, in one write. Drops the reference. An engine that is gone cannot be told: the worker dies with
 * it. */
static void emit(const struct reporter *r, json_t *event)
{
    AUTO_JSON owned = event;
    AUTO(mem) char *text = json_line(owned);
    size_t n = strlen(text);
    text[n] = '\n'; /* in place of the NUL: the length is given */
    (void)!fs_write_all(r->fd, text, n + 1, "events", NULL);
}

static void on_progress(struct stage_context *ctx, double done, double total, const char *unit)
{
    struct reporter *r = ctx->engine;
    double t = clock_seconds();
    if (done < total && t - r->last_progress < PROGRESS_EVERY)
        return;
    r->last_progress = t;
    emit(r,
         json_pack("{s:s, s:f, s:f, s:s}", "event", "progress", "done", done, "total", total, "unit", unit));
}

static void on_metric(struct stage_context *ctx, const char *name, double value, int64_t step)
{
    fprintf(stderr, step ? "%s %.6g (step %lld)\n" : "%s %.6g\n", name, value, (long long)step);
    json_t *v = json_real(value); /* NULL when not finite */
    emit(ctx->engine, json_pack("{s:s, s:s, s:o, s:I}", "event", "metric", "name", name, "value",
                                v ? v : json_null(), "step", (json_int_t)step));
}

static void on_warn(struct stage_context *ctx, const char *text)
{
    fprintf(stderr, "warning: %s\n", text);
    emit(ctx->engine, json_pack("{s:s, s:s}", "event", "warn", "text", text));
}

static void on_resumed(struct stage_context *ctx)
{
    fprintf(stderr, "going on after pass %lld\n", (long long)ctx->resume_step);
    emit(ctx->engine, json_pack("{s:s, s:I}", "event", "resumed", "step", (json_int_t)ctx->resume_step));
}

/* The last state is of use to a run with more passes alone. */
static enum stage_due on_due(struct stage_context *ctx, int64_t step)
{
    struct reporter *r = ctx->engine;
    double every = r->job->every;
    if (every > 0 && every < KEEP_SHARE * r->keeping)
        every = KEEP_SHARE * r->keeping;
    r->stopped = 0;
    r->asked = clock_seconds();
    if (step >= stage_passes(ctx->stage, ctx->params))
        return stage_shares(ctx->stage, ctx->params) ? STAGE_KEEP : STAGE_GO_ON;
    if (!fs_exists(r->job->stop))
        return r->asked - r->last_kept >= every ? STAGE_KEEP : STAGE_GO_ON;
    r->stopped = step;
    return STAGE_KEEP_AND_STOP;
}

static void on_checkpoint(struct stage_context *ctx, int64_t step, const char *name)
{
    struct reporter *r = ctx->engine;
    r->last_kept = clock_seconds();
    r->keeping = r->last_kept - r->asked;
    emit(r, json_pack("{s:s, s:I, s:s, s:f}", "event", "checkpoint", "step", (json_int_t)step, "name", name,
                      "seconds", r->last_kept - r->start));
}

static int fail(const struct reporter *r, const struct error *err)
{
    char text[sizeof err->text + sizeof err->file + 64];
    fprintf(stderr, "%s\n", error_string(err, text, sizeof text));
    json_t *j = json_pack("{s:s, s:i, s:s, s:s, s:i, s:i}", "event", "error", "code", (int)err->code, "text",
                          err->text, "file", err->file, "line", err->line, "col", err->col);
    emit(r, j ? j
              : json_pack("{s:s, s:i, s:s}", "event", "error", "code", (int)err->code, "text",
                          "the error's text is not valid UTF-8; the log has it"));
    return 1;
}

static int stop(const struct reporter *r)
{
    fprintf(stderr, "stopped after pass %lld\n", (long long)r->stopped);
    emit(r, json_pack("{s:s, s:I}", "event", "stopped", "step", (json_int_t)r->stopped));
    return 0;
}

/* No cpuset: whoever started us has bound us, or wants none. A user's program gets all of the cpuset, as it
 * inherits what the thread that starts it is bound to; only our own threads take a core each. */
static bool bind_to(const struct job *j, struct reporter *r, struct error *err)
{
    bool bound = r->cpuset && strcmp(r->cpuset, j->cpuset) == 0 && strcmp(r->nodes, j->nodes) == 0;
    if (*j->cpuset && !bound && !topo_bind_self(j->cpuset, j->nodes, err))
        return false;
    if (!bound) { /* the next job most often has the same */
        free(r->cpuset);
        free(r->nodes);
        r->cpuset = xstrdup(j->cpuset);
        r->nodes = xstrdup(j->nodes);
    }
    omp_set_dynamic(0);
    omp_set_num_threads(j->threads);
    return !*j->cpuset || j->stage->command || topo_bind_threads(j->cpuset, err);
}

static bool run_job(const struct job *j, struct arena *a, struct reporter *r, struct error *err)
{
    unitenv_set(j->unit, j->n_units, a); /* while there is one thread */
    if (!bind_to(j, r, err))
        return false;
    struct stage_context ctx = {.stage = j->stage,
                                .params = j->params,
                                .inputs = j->inputs,
                                .outputs = j->outputs,
                                .scratch = j->scratch,
                                .threads = j->threads,
                                .arena = a,
                                .progress = on_progress,
                                .metric = on_metric,
                                .warn = on_warn,
                                .resume = j->resume,
                                .resume_step = j->resume_step,
                                .resumed = on_resumed,
                                .due = on_due,
                                .checkpoint = j->stop ? on_checkpoint : NULL,
                                .engine = r};
    r->job = j;
    mem_keep_freed();
    bool ok = j->stage->run(&ctx, err);
    r->program_peak = ctx.program_peak;
    return ok;
}

/* Events keep the real stdout; whatever else writes there reaches the log instead. */
static bool split_stdout(struct reporter *r, struct error *err)
{
    fflush(stdout);
    r->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0); /* events are ours alone, not a program's */
    return (r->fd >= 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0) ||
           error_errno(err, "cannot redirect stdout");
}

static bool open_log(const char *path, struct error *err)
{
    fflush(NULL);
    AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    return (fd >= 0 && dup2(fd, STDERR_FILENO) >= 0 && dup2(fd, STDOUT_FILENO) >= 0) ||
           error_errno(err, "cannot write the log '%s'", path);
}

/* What the outputs hold, of those that hold samples. */
static void put_made(struct json_out *o, const struct job *j)
{
    json_out_object(o, "made");
    for (int p = 0; p < stage_port_count(j->stage->outputs); p++) {
        int64_t n = samples_in(j->stage->outputs[p].type, j->outputs[p]);
        if (n > 0)
            json_out_integer(o, j->stage->outputs[p].name, n);
    }
    json_out_end(o);
}

/* False: the engine could not be told. */
static bool done(struct reporter *r)
{
    const struct job *j = r->job;
    AUTO(buf) struct buf text = {0};
    struct json_out o = {.to = &text};
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    int64_t peak = (int64_t)own.ru_maxrss * 1024, samples = samples_of_inputs(j->stage, j->inputs);
    r->seconds = clock_seconds() - r->start;
    json_out_object(&o, NULL);
    json_out_text(&o, "event", "done");
    json_out_real(&o, "seconds", r->seconds);
    json_out_integer(&o, "peak_rss", r->program_peak > peak ? r->program_peak : peak);
    if (!j->serve) { /* else it runs where the engine does */
        char node[256] = "";
        gethostname(node, sizeof node - 1);
        json_out_text(&o, "node", node);
    }
    if (samples > 0)
        json_out_integer(&o, "samples", samples);
    if (j->stage->outputs && j->stage->outputs->name)
        put_made(&o, j);
    if (j->serve && workdirs_tidy(j->scratch))
        json_out_bool(&o, "tidied", true);
    json_out_end(&o);
    buf_putc(&text, '\n');
    return fs_write_all(r->fd, text.data, text.len, "events", NULL);
}

/* Whether another may follow; *ret_status: how it ended. */
static bool one(struct reporter *r, const char *text, size_t n, int *ret_status)
{
    AUTO(arena) struct arena a;
    struct job job = {0};
    struct error err = {0};
    double start = clock_seconds();
    arena_init(&a);
    r->start = r->last_kept = start;
    r->last_progress = r->asked = r->keeping = 0;
    r->stopped = 0;
    bool ok = job_read(text, n, &a, &job, &err) && (!job.serve || open_log(job.serve, &err)) &&
              run_job(&job, &a, r, &err);
    procs_end_children(NULL, 0); /* before the last word: nobody writes to the results any more */
    bool told =
        ok && done(r); /* else nothing comes after it: by its end it is known that something is wrong */
    *ret_status = ok ? 0 : r->stopped && err.code == ERROR_INTERRUPT ? stop(r) : fail(r, &err);
    return told && job.serve && r->seconds < WORKER_SERVES;
}

/* The socket that jobs come from; stdin is empty from then on. */
static int take_stdin(void)
{
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    AUTO(fd) int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    return fd;
}

/* The next job, into a text of WORKER_JOB_MOST bytes; its length, 0: there is none. */
static size_t next(int from, char *text)
{
    worker_number number;
    struct iovec part[] = {{&number, sizeof number}, {text, WORKER_JOB_MOST}};
    struct msghdr m = {.msg_iov = part, .msg_iovlen = 2};
    ssize_t n;
    while ((n = recvmsg(from, &m, 0)) < 0 && errno == EINTR)
        ;
    return n > (ssize_t)sizeof number ? (size_t)n - sizeof number : 0;
}

int worker_run(const char *text, size_t n, bool more)
{
    struct reporter r = {.fd = STDOUT_FILENO};
    struct error err = {0};
    AUTO(mem) char *job = more ? xmalloc(WORKER_JOB_MOST) : NULL;
    AUTO(fd) int jobs = more ? take_stdin() : -1;
    int status;
    signal(SIGXFSZ, SIG_IGN); /* past a limit on file sizes a write fails, as on a full disk */
    setvbuf(stderr, NULL, _IOLBF, 0);
    if (!split_stdout(&r, &err))
        return fail(&r, &err);
    bool serves = one(&r, text, n, &status);
    while (serves && more && (n = next(jobs, job)) > 0)
        serves = one(&r, job, n, &status);
    free(r.cpuset);
    free(r.nodes);
    return status;
}
