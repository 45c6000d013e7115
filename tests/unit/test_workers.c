/* Workers of a keeper, which is this program started again: every end is heard, however many come at once and
 * whatever is being sent meanwhile, and a keeper that is gone is the end of all. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/procs.h"
#include "engine/exec/keeper.h"
#include "engine/exec/process.h"
#include "engine/exec/workers.h"
#include "tests/test.h"
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define PATIENCE 60  /* seconds */
#define MANY     400 /* more ends than a socket holds; two descriptors at most each */

static char dir[] = "/tmp/weft-workers-XXXXXX";

static void note(void *arg, const json_t *event)
{
    buf_printf(arg, "%s ", json_string_or(event, "event", "?"));
}

static void begin(struct workers *w, struct process *p, const char *job)
{
    AUTO(mem) char *log = xprintf("%s/log", dir);
    struct error err = {0};
    if (!workers_ready(w, &err) || !process_start_kept(p, w, job, 0, log, &err))
        fail_msg("%s", err.text);
}

/* As the build does it: wait until it is known to have ended. */
static int drive(struct workers *w, struct process *p, struct buf *seen)
{
    while (!workers_has_ended(w, p->served.worker)) {
        struct pollfd fd = {.fd = workers_fd(w), .events = POLLIN};
        assert_int_equal(poll(&fd, 1, PATIENCE * 1000), 1);
        workers_hear(w);
    }
    process_events(p, note, seen);
    return process_end(p);
}

static void assert_failed(int status, const struct process *p)
{
    assert_int_equal(p->not_started, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1); /* no job that it was given here is one */
}

static void ends(void **state)
{
    struct workers *w = workers_new("/proc/self/exe");
    struct process p[8];
    for (size_t i = 0; i < 8; i++)
        begin(w, &p[i], "{}");
    for (size_t i = 8; i-- > 0;) { /* in another order than they come */
        AUTO(buf) struct buf seen = {0};
        assert_failed(drive(w, &p[i], &seen), &p[i]);
        assert_string_equal(buf_str(&seen), "error ");
        assert_true(p[i].peak > 0);
    }
    assert_false(workers_are_lost(w));
    workers_free(w);
}

/* Ends fill the socket one way while jobs fill it the other: neither side waits for the other for ever. */
static void many_at_once(void **state)
{
    struct workers *w = workers_new("/proc/self/exe");
    AUTO(mem) struct process *p = xcalloc(MANY, sizeof *p);
    AUTO(mem) char *job = xmalloc((64 << 10) + 1);
    memset(job, ' ', 64 << 10);
    job[64 << 10] = '\0';
    alarm(PATIENCE);
    for (int i = 0; i < MANY; i++)
        begin(w, &p[i], job);
    for (int i = 0; i < MANY; i++) { /* waited for without a look */
        assert_failed(process_end(&p[i]), &p[i]);
    }
    alarm(0);
    workers_free(w);
}

static pid_t keeper(void)
{
    AUTO(mem) struct proc *all;
    size_t n = procs_read(&all);
    for (size_t i = 0; i < n; i++)
        if (all[i].parent == getpid())
            return all[i].pid;
    fail_msg("there is no keeper");
    return -1;
}

/* What was told before still counts; what was not has ended by a kill. */
static void keeper_is_killed(void **state)
{
    struct workers *w = workers_new("/proc/self/exe");
    struct process told, silent;
    struct error why = {0};
    AUTO(buf) struct buf seen = {0};
    begin(w, &told, "{}");
    struct pollfd fd = {.fd = workers_fd(w), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, PATIENCE * 1000), 1);
    pid_t pid = keeper();
    kill(pid, SIGSTOP);
    begin(w, &silent, "{}");
    kill(pid, SIGKILL);
    int status = drive(w, &silent, &seen);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(workers_are_lost(w));
    assert_int_equal(workers_fd(w), -1);
    assert_failed(drive(w, &told, &seen), &told);
    assert_false(workers_ready(w, &why));
    assert_non_null(strstr(why.text, "the keeper of the workers is gone"));
    workers_free(w);
}

static int setup(void **state)
{
    return mkdtemp(dir) ? 0 : 1;
}
static int teardown(void **state)
{
    return !fs_remove_tree(dir, NULL);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "worker") == 0)
        return keeper_serve();
    const struct CMUnitTest tests[] = {cmocka_unit_test(ends), cmocka_unit_test(many_at_once),
                                       cmocka_unit_test(keeper_is_killed)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
