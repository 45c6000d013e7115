/* Workers as the engine sees them, played by shell scripts: whatever they write and however they end, the
 * engine gets every whole event and never waits for more than the worker itself. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/process.h"
#include "tests/test.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define PATIENCE 20000 /* ms that a script may take before the test gives up */

static char dir[] = "/tmp/weft-process-XXXXXX";

static char *at(const char *name)
{
    return xprintf("%s/%s", dir, name);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Event names, "a b c "; the length of a member "text" behind the name of one that has it. */
static void note(void *arg, const json_t *event)
{
    struct buf *seen = arg;
    const json_t *text = json_object_get(event, "text");
    buf_printf(seen, "%s ", json_string_or(event, "event", "?"));
    if (text)
        buf_printf(seen, "%zu ", json_string_length(text));
}

static void begin(struct process *p, const char *script, const char *job)
{
    AUTO(mem) char *path = at("worker");
    AUTO(mem) char *log = at("log");
    AUTO(mem) char *text = xprintf("#!/bin/sh\n%s\n", script);
    struct error err = {0};
    unlink(path);
    assert_true(fs_write_file(path, text, strlen(text), &err));
    assert_int_equal(chmod(path, 0755), 0);
    if (!process_start(p, (const char *const[]){path, "worker", NULL}, NULL, job, log, &err))
        fail_msg("%s", err.text);
    assert_true(p->pid > 0);
}

/* As the build does it: wait for events and the end; the wait status. */
static int drive(struct process *p, struct buf *seen)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = p->ended, .events = POLLIN}, {.fd = p->events, .events = POLLIN}};
        int n = poll(fds, 2, PATIENCE);
        if (n <= 0) {
            process_kill(p);
            process_end(p);
            fail_msg("the worker did not end");
        }
        process_events(p, note, seen);
        if (fds[0].revents)
            return process_end(p);
    }
}

static int play(const char *script, const char *want)
{
    struct process p;
    AUTO(buf) struct buf seen = {0};
    begin(&p, script, "{}");
    int status = drive(&p, &seen);
    assert_string_equal(buf_str(&seen), want);
    assert_int_equal(p.pid, 0);
    assert_int_equal(p.events, -1);
    return status;
}

static char *log_text(void)
{
    AUTO(mem) char *path = at("log");
    char *text = NULL;
    assert_true(fs_read_file(path, &text, NULL, NULL));
    unlink(path);
    return text;
}

static void lines(void **state)
{
    assert_int_equal(play("exit 0", ""), 0);
    /* one event in three writes, two events in one write */
    assert_int_equal(play("printf '{\"eve'; sleep 0.05; printf 'nt\":\"a\"'; sleep 0.05; printf '}\\n'\n"
                          "printf '{\"event\":\"b\"}\\n{\"event\":\"c\"}\\n'",
                          "a b c "),
                     0);
    /* the last line has no end: it may be half a number */
    assert_int_equal(play("printf '{\"event\":\"a\"}\\n{\"event\":\"torn\"}'", "a "), 0);
    assert_int_equal(play("printf '{\"event\":\"torn\"'", ""), 0);
    /* what is no JSON object is not for us, and hides nothing */
    assert_int_equal(
        play("printf 'hello\\n42\\n[1]\\nnull\\n\\n\"x\"\\n{\"event\":\\n{\"a\":1,\"a\":2}\\n'\n"
             "printf '\\000\\377\\n{\"event\":\"b\\377\"}\\n{\"event\":\"a\"} {\"event\":\"x\"}\\n'\n"
             "printf '{}\\n{\"event\":\"last\"}\\n'",
             "? last "),
        0);
}

/* What came before the end is seen though we look only afterwards. */
static void all_before_the_end(void **state)
{
    struct process p;
    AUTO(buf) struct buf seen = {0};
    begin(&p, "i=0; while [ $i -lt 900 ]; do echo '{\"event\":\"a\"}'; i=$((i + 1)); done; kill -9 $$", "{}");
    struct pollfd end = {.fd = p.ended, .events = POLLIN};
    assert_int_equal(poll(&end, 1, PATIENCE), 1);
    int status = drive(&p, &seen);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(seen.len, 2 * 900);
}

/* Long lines arrive; absurd ones are dropped without taking memory or the next event with them. */
static void long_lines(void **state)
{
    static const char script[] =
        "printf '{\"event\":\"long\",\"text\":\"'; head -c %d /dev/zero | tr '\\0' x\n"
        "printf '\"}\\n{\"event\":\"next\"}\\n'";
    AUTO(mem) char *some = xprintf(script, 300000);
    AUTO(mem) char *absurd = xprintf(script, 30000000);
    double start = now();
    assert_int_equal(play(some, "long 300000 next "), 0);
    assert_int_equal(play(absurd, "next "), 0);
    assert_true(now() - start < 10);
}

static void flood(void **state)
{
    struct process p;
    AUTO(buf) struct buf seen = {0};
    begin(&p, "echo '{\"event\":\"a\"}'; exec yes chatter", "{}");
    alarm(PATIENCE / 1000); /* process_events must come back although there is always more */
    for (int i = 0; i < 10; i++) {
        struct pollfd f = {.fd = p.events, .events = POLLIN};
        assert_int_equal(poll(&f, 1, PATIENCE), 1);
        process_events(&p, note, &seen);
    }
    assert_true(p.line.cap < (4 << 20));
    process_kill(&p);
    int status = drive(&p, &seen);
    alarm(0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_string_equal(buf_str(&seen), "a ");
}

static void ends(void **state)
{
    int status = play("echo '{\"event\":\"a\"}'; exit 3", "a ");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    static const int signals[] = {SIGSEGV, SIGTERM, SIGINT, SIGKILL, SIGPIPE};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        AUTO(mem) char *script = xprintf("ulimit -c 0; kill -%d $$; sleep 60", signals[i]);
        status = play(script, "");
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), signals[i]);
    }
    /* it closes its output long before its end */
    status = play("echo '{\"event\":\"a\"}'; exec >&-; sleep 0.2; exit 4", "a ");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 4);
}

/* Is the process with this id at work? A zombie is not. */
static bool alive(long pid)
{
    AUTO(mem) char *path = xprintf("/proc/%ld/stat", pid);
    AUTO(mem) char *text = NULL;
    if (!fs_read_file(path, &text, NULL, NULL))
        return false;
    const char *name_end = strrchr(text, ')');
    return name_end && name_end[1] == ' ' && name_end[2] != 'Z' && name_end[2] != 'X';
}

static void grandchildren(void **state)
{
    /* left in the worker's group: dies with it */
    double start = now();
    assert_int_equal(play("sleep 60 & echo $! >&2; echo '{\"event\":\"a\"}'; exit 0", "a "), 0);
    AUTO(mem) char *log = log_text();
    long pid = strtol(log, NULL, 10);
    assert_true(pid > 1);
    for (int i = 0; i < 100 && alive(pid); i++)
        usleep(20000);
    assert_false(alive(pid));
    /* in a session of its own with the pipe open: the worker's end counts */
    assert_int_equal(play("setsid sh -c 'echo $$ >&2; echo \"{\\\"event\\\":\\\"b\\\"}\"; exec sleep 60' &\n"
                          "sleep 0.2; exit 0",
                          "b "),
                     0);
    AUTO(mem) char *again = log_text();
    pid = strtol(again, NULL, 10);
    assert_true(pid > 1 && alive(pid));
    kill((pid_t)pid, SIGKILL);
    assert_true(now() - start < 10);
}

/* Of a line of /proc/PID/status: the standard signals; the C library keeps two behind them to itself. */
static unsigned long long signals_in(const char *status, const char *name)
{
    for (const char *c = status; *c; c += *c == '\n') {
        if (strncmp(c, name, strlen(name)) == 0)
            return strtoull(c + strlen(name), NULL, 16) & 0x7fffffff;
        c += strcspn(c, "\n");
    }
    return ~0ULL;
}

/* The child gets the job as its stdin, "worker" as its argument, a group of its own, and our log for stderr;
 * none of our signal handling and none of our descriptors. */
static void surroundings(void **state)
{
    struct process p;
    AUTO(buf) struct buf seen = {0};
    AUTO(mem) char *job = xmalloc(3000001);
    memset(job, 'j', 3000000);
    job[3000000] = '\0';
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    signal(SIGPIPE, SIG_IGN);
    AUTO(fd) int open_fd = fs->open(dir, O_RDONLY, 0);
    begin(&p,
          "echo \"args $# $1\" >&2; echo bytes $(wc -c) >&2\n"
          "grep -E '^Sig(Blk|Ign)' /proc/self/status >&2\n"
          "set -- $(cat /proc/$$/stat); [ $1 = $$ ] && [ $5 = $$ ] && echo group >&2\n"
          "for f in /proc/self/fd/*; do readlink $f; done | grep -c weft-process >&2",
          job);
    int status = drive(&p, &seen);
    sigprocmask(SIG_SETMASK, &old, NULL);
    signal(SIGPIPE, SIG_DFL);
    assert_true(WIFEXITED(status));
    AUTO(mem) char *log = log_text();
    assert_non_null(strstr(log, "args 1 worker\nbytes 3000000\n"));
    assert_int_equal(signals_in(log, "SigBlk:"), 0);
    assert_int_equal(signals_in(log, "SigIgn:"), 0);
    assert_non_null(strstr(log, "group\n1\n"));
    (void)!play("echo one >&2", "");
    (void)!play("echo two >&2", "");
    AUTO(mem) char *both = log_text();
    assert_string_equal(both, "one\ntwo\n");
}

static int count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* No start: an error, nothing to end, no descriptor lost. Starts and ends lose none either. */
static void no_start(void **state)
{
    struct process p;
    struct error err = {0};
    int before = count_fds();
    AUTO(mem) char *log = at("log");
    assert_false(process_start(&p, (const char *const[]){"/nonexistent/weft", NULL}, NULL, "{}", log, &err));
    assert_non_null(strstr(err.text, "cannot start '/nonexistent/weft': No such file or directory"));
    assert_int_equal(p.pid, 0);
    assert_int_equal(p.events, -1);
    assert_false(
        process_start(&p, (const char *const[]){"/bin/true", NULL}, NULL, "{}", "/nonexistent/log", &err));
    assert_non_null(strstr(err.text, "cannot create the log '/nonexistent/log'"));
    struct rlimit old, few = {(rlim_t)before, 0};
    getrlimit(RLIMIT_NOFILE, &old);
    few.rlim_max = old.rlim_max;
    for (; few.rlim_cur < (rlim_t)before + 6; few.rlim_cur++) { /* out of descriptors at each place */
        setrlimit(RLIMIT_NOFILE, &few);
        bool ok = process_start(&p, (const char *const[]){"/bin/true", NULL}, NULL, "{}", log, &err);
        setrlimit(RLIMIT_NOFILE, &old);
        assert_true(ok || (p.pid == 0 && p.events == -1 && p.ended == -1));
        if (ok) {
            AUTO(buf) struct buf seen = {0};
            drive(&p, &seen);
        }
        assert_int_equal(count_fds(), before);
    }
    assert_int_equal(play("exit 0", ""), 0);
    assert_int_equal(count_fds(), before);
}

static int setup(void **state)
{
    return mkdtemp(dir) ? chdir(dir) : 1;
}
static int teardown(void **state)
{
    return chdir("/") || !fs_remove_tree(dir, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines),        cmocka_unit_test(all_before_the_end),
                                       cmocka_unit_test(long_lines),   cmocka_unit_test(flood),
                                       cmocka_unit_test(ends),         cmocka_unit_test(grandchildren),
                                       cmocka_unit_test(surroundings), cmocka_unit_test(no_start)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
