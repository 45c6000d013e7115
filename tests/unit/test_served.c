/* Workers that take one job after another, as the engine's side sees them (engine/exec/process.h): jobs in
 * turn and ahead, taken back, too large, and lost with a worker that died before it took them. The keeper is
 * this program started again. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/procs.h"
#include "engine/exec/job.h"
#include "engine/exec/keeper.h"
#include "engine/exec/process.h"
#include "engine/exec/worker.h"
#include "stages/command.h"
#include "tests/test.h"
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define PATIENCE 60 /* seconds */

static char dir[] = "/tmp/weft-served-XXXXXX";

/* A job whose program is a line of shell, which says what it does into the file "said"; more: as many bytes
 * of arguments that it does not look at. */
static char *job(const char *line, size_t more)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    struct command_item words[8] = {{.value = "sh"}, {.value = "-c"}, {.value = line}};
    int n = 3;
    for (; more > 0; n++) {
        size_t now = more < 60000 ? more : 60000;
        char *word = arena_alloc(&a, now + 1);
        memset(word, 'x', now);
        words[n].value = word;
        more -= now;
    }
    struct command c = {.version = 1, .part[COMMAND_ARGV] = {words, n}};
    const char *none[] = {NULL};
    AUTO(mem) char *log = xprintf("%s/log", dir);
    struct job j = {.task = "t",
                    .inputs = arena_alloc(&a, sizeof *j.inputs),
                    .outputs = none,
                    .scratch = arena_printf(&a, "%s/work/scratch", dir),
                    .cpuset = "",
                    .nodes = "",
                    .threads = 1,
                    .serve = log,
                    .parent = getpid()};
    j.stage = command_stage(stage_find("command"), &c, &a, &j.params, NULL);
    return job_write(&j);
}

/* "echo WORD" into the file, behind `first`. */
static char *saying(const char *first, const char *word)
{
    return xprintf("%s echo %s >>%s/said", first, word, dir);
}

static void assert_said(const char *want)
{
    AUTO(mem) char *path = xprintf("%s/said", dir);
    AUTO(mem) char *text = NULL;
    size_t n = 0;
    if (fs_exists(path))
        assert_true(fs_read_file(path, &text, &n, NULL));
    assert_string_equal(text ? text : "", want);
}

static struct workers *open_workers(void)
{
    AUTO(mem) char *said = xprintf("%s/said", dir);
    struct workers *w = workers_new("/proc/self/exe");
    struct error err = {0};
    fs->unlink(said);
    if (!workers_ready(w, &err))
        fail_msg("%s", err.text);
    return w;
}

static void begin(struct workers *w, struct process *p, const char *line, size_t more)
{
    AUTO(mem) char *text = job(line, more);
    AUTO(mem) char *log = xprintf("%s/log", dir);
    struct error err = {0};
    if (!process_start_served(p, w, text, log, &err))
        fail_msg("%s", err.text);
}

static void note(void *arg, const json_t *event)
{
    buf_printf(arg, "%s ", json_string_or(event, "event", "?"));
}

/* As the build does it, until the job is done or the worker has ended; what it said. */
static void follow(struct workers *w, struct process *p, const char *want)
{
    AUTO(buf) struct buf seen = {0};
    while (process_events(p, note, &seen), !process_has_ended(p)) {
        struct pollfd fd[] = {{.fd = workers_fd(w), .events = POLLIN}, {.fd = p->events, .events = POLLIN}};
        assert_true(poll(fd, 2, PATIENCE * 1000) > 0);
        if (fd[0].revents)
            workers_hear(w);
    }
    process_events(p, note, &seen);
    assert_string_equal(buf_str(&seen), want);
}

/* One quick job to its end: the number of its worker. */
static uint32_t once(struct workers *w, const char *word)
{
    struct process p;
    AUTO(mem) char *line = saying("", word);
    begin(w, &p, line, 0);
    uint32_t worker = p.served.worker;
    follow(w, &p, "done ");
    assert_true(p.waits);
    assert_int_equal(process_end(&p), 0);
    return worker;
}

static void in_turn(void **state)
{
    struct workers *w = open_workers();
    uint32_t first = once(w, "a");
    assert_int_equal(once(w, "b"), first);
    assert_int_equal(once(w, "c"), first);
    assert_said("a\nb\nc\n");
    workers_free(w);
}

static bool both_said(void)
{
    AUTO(mem) char *path = xprintf("%s/said", dir);
    AUTO(mem) char *text = NULL;
    size_t n = 0;
    return fs_exists(path) && fs_read_file(path, &text, &n, NULL) && strcmp(text, "warm\nb\nc\n") == 0;
}

/* The second is done before anybody has looked at the first: what comes in one read is told apart. */
static void ahead(void **state)
{
    struct workers *w = open_workers();
    struct process p, next;
    AUTO(mem) char *b = saying("", "b");
    AUTO(mem) char *c = saying("", "c");
    AUTO(mem) char *text = job(c, 0);
    uint32_t worker = once(w, "warm");
    begin(w, &p, b, 0);
    assert_true(process_give_ahead(&p, text));
    for (int i = 0; i < PATIENCE * 100 && !both_said(); i++)
        poll(NULL, 0, 10);
    poll(NULL, 0, 100); /* and its event is on its way */
    follow(w, &p, "done ");
    assert_true(p.waits && process_has_more(&p));
    process_take_over(&next, &p);
    assert_int_equal(process_end(&p), 0);
    follow(w, &next, "done ");
    assert_true(next.waits && !process_has_more(&next));
    assert_int_equal(next.served.worker, worker);
    assert_int_equal(process_end(&next), 0);
    assert_int_equal(once(w, "d"), worker);
    assert_said("warm\nb\nc\nd\n");
    workers_free(w);
}

static char state_of(pid_t pid)
{
    AUTO(mem) struct proc *all;
    size_t n = procs_read(&all);
    for (size_t i = 0; i < n; i++)
        if (all[i].pid == pid)
            return all[i].state;
    return 'X';
}

static pid_t pid_said(void)
{
    AUTO(mem) char *path = xprintf("%s/said", dir);
    AUTO(mem) char *text = NULL;
    size_t n;
    assert_true(fs_read_file(path, &text, &n, NULL));
    pid_t pid = (pid_t)strtol(text, NULL, 10);
    assert_true(pid > 1);
    return pid;
}

static void stop(pid_t pid)
{
    kill(pid, SIGSTOP);
    while (state_of(pid) != 'T')
        poll(NULL, 0, 1);
}

static void taken_back(void **state)
{
    struct workers *w = open_workers();
    struct process p, elsewhere;
    AUTO(mem) char *b = saying("sleep 0.1;", "b");
    AUTO(mem) char *c = saying("", "c");
    AUTO(mem) char *text = job(c, 0);
    uint32_t worker = once(w, "$PPID");
    pid_t pid = pid_said();
    stop(pid);
    begin(w, &p, b, 0);
    assert_true(process_give_ahead(&p, text));
    assert_false(process_take_back(&p)); /* what it is to do now comes first, and stays */
    kill(pid, SIGCONT);
    for (int i = 0; i < 8 && !process_take_back(&p); i++)
        poll(NULL, 0, 10);
    assert_false(process_take_back(&p));
    begin(w, &elsewhere, c, 0); /* it need not wait for that worker */
    assert_int_not_equal(elsewhere.served.worker, worker);
    follow(w, &elsewhere, "done ");
    follow(w, &p, "done ");
    assert_true(p.waits && elsewhere.waits);
    assert_int_equal(process_end(&elsewhere), 0);
    assert_int_equal(process_end(&p), 0);
    workers_free(w);
}

/* One that takes long, or fails, is the last of its worker; what was ahead was not begun. */
static void last_of_its_worker(void **state)
{
    static const char *const line[] = {"sleep 0.3;", "exit 3;", "kill -9 $PPID; sleep 9;"};
    static const char *const events[] = {"done ", "error ", ""};
    for (size_t i = 0; i < 3; i++) {
        struct workers *w = open_workers();
        struct process p;
        AUTO(mem) char *b = saying(line[i], "b");
        AUTO(mem) char *c = saying("", "c");
        AUTO(mem) char *text = job(c, 0);
        uint32_t worker = once(w, "warm");
        begin(w, &p, b, 0);
        poll(NULL, 0, i ? 0 : 30);
        bool given = process_give_ahead(&p, text);
        follow(w, &p, events[i]);
        assert_false(p.waits);
        int status = process_end(&p);
        assert_true(i == 2 ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == (int)i);
        assert_true(given || i == 2);
        assert_int_not_equal(once(w, "d"), worker);
        assert_said(i == 0 ? "warm\nb\nd\n" : "warm\nd\n");
        workers_free(w);
    }
}

/* It was killed while it waited, and nobody had heard of that when the next job was given to it. */
static void dies_waiting(void **state)
{
    struct workers *w = open_workers();
    struct process p;
    AUTO(mem) char *b = saying("", "b");
    uint32_t worker = once(w, "$PPID");
    pid_t pid = pid_said();
    stop(pid);
    begin(w, &p, b, 0);
    assert_int_equal(p.served.worker, worker);
    kill(pid, SIGKILL);
    follow(w, &p, "");
    assert_true(WIFSIGNALED(process_end(&p)));
    assert_true(p.unread);
    assert_int_not_equal(once(w, "c"), worker);
    AUTO(mem) char *want = xprintf("%ld\nc\n", (long)pid);
    assert_said(want);
    workers_free(w);
}

static void too_large(void **state)
{
    struct workers *w = open_workers();
    struct process p;
    AUTO(mem) char *b = saying("sleep 0.05;", "b");
    AUTO(mem) char *large = job("true", WORKER_JOB_MOST);
    uint32_t worker = once(w, "warm");
    begin(w, &p, b, 0);
    assert_false(process_give_ahead(&p, large));
    follow(w, &p, "done ");
    assert_int_equal(process_end(&p), 0);
    AUTO(mem) char *c = saying("", "c");
    begin(w, &p, c, WORKER_JOB_MOST);
    assert_int_not_equal(p.served.worker, worker);
    follow(w, &p, "done ");
    assert_int_equal(process_end(&p), 0);
    assert_said("warm\nb\nc\n");
    workers_free(w);
}

static int setup(void **state)
{
    AUTO(mem) char *scratch = mkdtemp(dir) ? xprintf("%s/work/scratch", dir) : NULL;
    return scratch && fs_mkdirs(scratch, NULL) ? 0 : 1;
}

static int teardown(void **state)
{
    return !fs_remove_tree(dir, NULL);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "worker") == 0)
        return keeper_serve();
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_turn),      cmocka_unit_test(ahead),
                                       cmocka_unit_test(taken_back),   cmocka_unit_test(last_of_its_worker),
                                       cmocka_unit_test(dies_waiting), cmocka_unit_test(too_large)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
