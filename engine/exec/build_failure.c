/* How an attempt ended: what it took, its error in words that do not differ from run to run, and the cause.
 */
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/exec/build_impl.h"
#include "engine/exec/workers.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#define ROOM_LEAST ((uint64_t)64 << 10) /* bytes: less is a full disk */

/* Cut `path` out of text, and what follows it up to a '/' that ends the name of an attempt's folder. */
static void cut(char *text, const char *path, bool name)
{
    size_t n = strlen(path);
    for (char *at = text; (at = strstr(at, path));) {
        size_t skip = n + (name ? strspn(at + n, "0123456789") : 0);
        skip += at[skip] == '/';
        memmove(at, at + skip, strlen(at + skip) + 1);
    }
}

/* Temporary folders have another name in every run. */
static void make_plain(const struct build *b, struct error *err)
{
    AUTO(mem) char *attempt = xprintf("%s/attempt.", b->dir);
    if (!err)
        return;
    cut(err->text, attempt, true);
    cut(err->text, b->dir, false);
}

/* Is it that nothing can be written? A program says so in words, or only fails. */
static bool disk_is_full(const struct attempt *a, const struct error *err)
{
    struct statvfs s;
    if (err && strstr(err->text, strerror(ENOSPC)))
        return true;
    return a->dir && statvfs(a->dir, &s) == 0 && (uint64_t)s.f_bavail * s.f_frsize < ROOM_LEAST;
}

bool failure_is(struct build *b, struct attempt *a, enum failure cause, struct error *err)
{
    enum failure *ret = &b->result[a->task->index].cause;
    *ret = cause ? cause : err ? failure_of(err->code) : FAILURE_STAGE;
    if ((*ret == FAILURE_EXIT || *ret == FAILURE_STAGE || *ret == FAILURE_SIGNAL) && disk_is_full(a, err))
        *ret = FAILURE_DISK;
    make_plain(b, err);
    return false;
}

/* The keeper sees to its workers. Who was started by itself, or had a keeper that is gone, may have left
 * others. */
static void end_orphans(const struct build *b, const struct attempt *a, int status)
{
    if (b->launcher) /* what it leaves here are commands that end by themselves */
        return;
    if (a->process.workers ? !workers_are_lost(b->workers) : WIFEXITED(status) && WEXITSTATUS(status) <= 1)
        return;
    AUTO(mem) pid_t *spare = xcalloc((size_t)b->n_running + 1, sizeof *spare);
    size_t n = 0;
    for (int i = 0; i < b->n_running; i++)
        if (b->running[i]->process.pid > 0)
            spare[n++] = b->running[i]->process.pid;
    workers_end_orphans(b->workers, spare, n);
}

void failure_begin(struct build *b, struct attempt *a, int status)
{
    struct build_result *r = &b->result[a->task->index];
    end_orphans(b, a, status);
    r->memory = a->memory;
    r->peak_rss = a->process.peak > a->peak_rss ? a->process.peak : a->peak_rss;
    r->cause = FAILURE_NONE;
}

static bool timed_out(double seconds, struct error *err)
{
    long whole = (long)seconds;
    if (seconds < 60)
        return error_set(err, NULL, ERROR_TASK, "timed out after %.3g s", seconds);
    return error_set(err, NULL, ERROR_TASK, "timed out after %ld:%02ld:%02ld", whole / 3600, whole / 60 % 60,
                     whole % 60);
}

/* "6 GiB", as somebody would write it into resources; "1.5 GiB". */
static bool over_memory(const struct attempt *a, struct error *err)
{
    static const char unit[] = "KMGT";
    double size = (double)a->memory / 1024;
    int i = 0;
    for (; size >= 1024 && unit[i + 1]; i++)
        size /= 1024;
    return error_set(err, NULL, ERROR_TASK, "out of memory: it took more than the %.4g %ciB that it asks for",
                     size, unit[i]);
}

static bool killed(int signal, struct error *err)
{
    return error_set(err, NULL, ERROR_TASK, "the worker was killed by signal %d (%s)%s", signal,
                     strsignal(signal),
                     signal == SIGKILL ? ": by hand, or by the kernel because memory ran out" : "");
}

static bool ended_early(const struct attempt *a, int status, struct error *err)
{
    if (a->process.garbage)
        return error_set(
            err, NULL, ERROR_TASK,
            "the worker wrote what are no events, and ended with exit status %d without the last one",
            WEXITSTATUS(status));
    return error_set(err, NULL, ERROR_TASK, "the worker ended with exit status %d and no reason",
                     WEXITSTATUS(status));
}

bool failure_check(struct build *b, struct attempt *a, int status, struct error *err)
{
    if (a->process.not_started) {
        errno = a->process.not_started;
        error_errno(err, "cannot start a worker");
        return failure_is(b, a, FAILURE_START, err);
    }
    if (a->process.over) {
        over_memory(a, err);
        return failure_is(b, a, FAILURE_MEMORY, err);
    }
    if (a->error.text[0]) {
        *err = a->error;
        return failure_is(b, a, FAILURE_NONE, err);
    }
    if (WIFSIGNALED(status)) {
        bool late = a->timed_out;
        (void)(late ? timed_out(a->task->timeout, err) : killed(WTERMSIG(status), err));
        return failure_is(b, a, late ? FAILURE_TIMEOUT : FAILURE_SIGNAL, err);
    }
    if (WEXITSTATUS(status) == 0 && a->done)
        return true;
    ended_early(a, status, err);
    return failure_is(b, a, a->process.garbage ? FAILURE_PROTOCOL : FAILURE_SILENT, err);
}
