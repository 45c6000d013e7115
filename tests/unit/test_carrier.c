/* A worker carried to another node, which here is this one: whatever becomes of the engine, the carrying
 * command or the worker, nothing is left behind, and the engine can tell the end of a worker from the loss of
 * a node. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/job.h"
#include "engine/exec/process.h"
#include "stages/command.h"
#include "tests/test.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define PATIENCE 20000 /* ms before the test gives up */

static char dir[] = "/tmp/weft-carrier-XXXXXX";
static const char *weft;

static char *at(const char *name)
{
    return xprintf("%s/%s", dir, name);
}

/* A job whose program is a line of shell. */
static char *job(const char *line)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    struct command_item words[] = {{.value = "sh"}, {.value = "-c"}, {.value = line}},
                        output = {.name = "x", .value = "table"};
    struct command c = {
        .version = 1, .part[COMMAND_ARGV] = {words, 3}, .part[COMMAND_OUTPUTS] = {&output, 1}};
    const char *outputs[] = {arena_printf(&a, "%s/out", dir)};
    struct job j = {.task = "t",
                    .inputs = arena_alloc(&a, sizeof *j.inputs),
                    .outputs = outputs,
                    .scratch = arena_printf(&a, "%s/scratch", dir),
                    .cpuset = "",
                    .nodes = "",
                    .threads = 1,
                    .parent = 1};
    j.stage = command_stage(stage_find("command"), &c, &a, &j.params, NULL);
    return job_write(&j);
}

/* What was seen: "ended 0", "error"; how often the far end was only heard is not. */
struct seen {
    struct buf names;
    int status; /* as the far end said; -1: it did not */
};

static void note(void *arg, const json_t *event)
{
    struct seen *s = arg;
    const char *name = json_string_or(event, "event", "?");
    if (strcmp(name, "alive") != 0)
        buf_printf(&s->names, "%s ", name);
    if (strcmp(name, "ended") == 0)
        s->status = (int)json_int_or(event, "status", -1);
}

static const char *patience = "100"; /* of the near end, seconds */

static void begin(struct process *p, const char *const *carrying, const char *line)
{
    AUTO(mem) char *text = job(line);
    AUTO(mem) char *log = at("log");
    AUTO(mem) char *pid = xprintf("%ld", (long)getpid());
    const char *argv[16] = {weft, "worker", "--near", pid, "--patience", patience, "--"};
    struct error err = {0};
    for (int i = 0; carrying[i]; i++)
        argv[7 + i] = carrying[i];
    if (!process_start(p, argv, NULL, text, log, &err))
        fail_msg("%s", err.text);
}

/* As the build does it; the wait status of the near end. */
static int drive(struct process *p, struct seen *seen)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = p->ended, .events = POLLIN}, {.fd = p->events, .events = POLLIN}};
        if (poll(fds, 2, PATIENCE) <= 0) {
            process_kill(p);
            process_end(p);
            fail_msg("the near end does not end");
        }
        process_events(p, note, seen);
        if (fds[0].revents)
            return process_end(p);
    }
}

static const char *const *plain(void)
{
    static const char *argv[] = {NULL, "worker", "--far", NULL};
    argv[0] = weft;
    return argv;
}

static struct seen play(const char *const *carrying, const char *line, int *ret_status)
{
    struct process p;
    struct seen seen = {.status = -1};
    begin(&p, carrying, line);
    *ret_status = drive(&p, &seen);
    return seen;
}

/* Is it there and no zombie? */
static bool alive(pid_t pid)
{
    AUTO(mem) char *path = xprintf("/proc/%ld/stat", (long)pid);
    AUTO(mem) char *text = NULL;
    if (pid <= 0 || !fs_read_file(path, &text, NULL, NULL))
        return false;
    const char *state = strrchr(text, ')');
    return state && !strchr("ZX", state[2]);
}

/* A number that a program wrote into a file, once it is there whole. */
static pid_t number_in(const char *name)
{
    AUTO(mem) char *path = at(name);
    for (int i = 0; i < PATIENCE; i++) {
        AUTO(mem) char *text = NULL;
        if (fs_read_file(path, &text, NULL, NULL) && strchr(text, '\n')) {
            fs->unlink(path);
            return (pid_t)strtol(text, NULL, 10);
        }
        poll(NULL, 0, 1);
    }
    fail_msg("'%s' does not come", name);
    return 0;
}

static void dies(pid_t pid)
{
    for (int i = 0; alive(pid); i++) {
        if (i == PATIENCE)
            fail_msg("process %ld lives on", (long)pid);
        poll(NULL, 0, 1);
    }
}

/* However the worker ends, the far end says so. */
static void ends(void **state)
{
    int status;
    struct seen s = play(plain(), "exit 7", &status);
    assert_string_equal(buf_str(&s.names), "error ended ");
    assert_true(WIFEXITED(s.status) && WEXITSTATUS(s.status) == 1);
    assert_int_equal(status, 0);
    buf_done(&s.names);

    s = play(plain(), "kill -KILL $PPID", &status);
    assert_string_equal(buf_str(&s.names), "ended ");
    assert_true(WIFSIGNALED(s.status) && WTERMSIG(s.status) == SIGKILL);
    assert_int_equal(status, 0);
    buf_done(&s.names);

    /* more than a pipe holds, both ways */
    AUTO(mem) char *long_line = xmalloc(200001);
    memset(long_line, ' ', 200000);
    long_line[200000] = '\0';
    s = play(plain(), long_line, &status);
    assert_string_equal(buf_str(&s.names), "error ended ");
    buf_done(&s.names);
}

/* A carrying command that fails, or loses the connection, says nothing of the task. */
static void loses(void **state)
{
    int status;
    struct seen s = play((const char *const[]){"sh", "-c", "exit 3", NULL}, "true", &status);
    assert_string_equal(buf_str(&s.names), "");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    s = play((const char *const[]){"no-such-command", NULL}, "true", &status);
    assert_string_equal(buf_str(&s.names), "");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 127);

    AUTO(mem)
    char *line =
        xprintf("echo $$ >%s/program.part; mv %s/program.part %s/program; kill -9 $(cat %s/carrying); "
                "sleep 100",
                dir, dir, dir, dir);
    AUTO(mem) char *carry = xprintf("echo $$ >%s/carrying; %s worker --far", dir, weft);
    s = play((const char *const[]){"sh", "-c", carry, NULL}, line, &status);
    assert_string_equal(buf_str(&s.names), "");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGKILL);
    dies(number_in("program"));
    buf_done(&s.names);
}

/* The engine kills what it started: the carrying command is asked to end, and the worker ends with it. */
static void killed(void **state)
{
    struct process p;
    AUTO(mem) char *line = xprintf("echo $$ >%s/program; sleep 100", dir);
    AUTO(mem)
    char *carry = xprintf("trap 'echo 1 >%s/asked; exit' TERM; exec 3<&0; %s worker --far <&3 & while :; do "
                          "wait; sleep 0.05; done",
                          dir, weft);
    begin(&p, (const char *const[]){"sh", "-c", carry, NULL}, line);
    pid_t program = number_in("program");
    assert_true(alive(program));
    process_kill(&p);
    process_end(&p);
    dies(program);
    assert_int_equal(number_in("asked"), 1);
}

/* An end that is there but says nothing, as when the network is cut: the other one gives it up. */
static void silent(void **state)
{
    struct process p;
    struct seen seen = {.status = -1};
    AUTO(mem) char *line = xprintf("echo $$ >%s/program; sleep 100", dir);
    AUTO(mem) char *stopped = xprintf("echo $$ >%s/far; exec %s worker --far", dir, weft);
    patience = "1";
    begin(&p, (const char *const[]){"sh", "-c", stopped, NULL}, line);
    pid_t far = number_in("far"), program = number_in("program");
    kill(far, SIGSTOP);
    int status = drive(&p, &seen);
    assert_string_equal(buf_str(&seen.names), "");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
    dies(far);
    dies(program);

    patience = "100";
    begin(&p, (const char *const[]){weft, "worker", "--far", "--patience", "1", NULL}, line);
    program = number_in("program");
    kill(p.pid, SIGSTOP);
    dies(program);
    kill(p.pid, SIGCONT);
    status = drive(&p, &seen);
    assert_true(WIFSIGNALED(seen.status));
    buf_done(&seen.names);
}

/* An engine that is gone by itself can kill nobody. */
static void orphaned(void **state)
{
    AUTO(mem) char *text = job("echo $$ >$HOME/program; sleep 100");
    AUTO(mem) char *path = at("job");
    AUTO(mem)
    char *line = xprintf("echo $$ >%s/engine; HOME=%s %s worker --near $$ -- %s worker --far <%s; true", dir,
                         dir, weft, weft, path);
    struct error err = {0};
    AUTO(mem) char *log = at("log");
    struct process p;
    char *inner = strstr(text, "$HOME"); /* the program's environment has no HOME of ours */
    assert_non_null(inner);
    AUTO(mem) char *whole = xprintf("%.*s%s%s", (int)(inner - text), text, dir, inner + strlen("$HOME"));
    assert_true(fs_write_file(path, whole, strlen(whole), &err));
    assert_true(process_start(&p, (const char *const[]){"sh", "-c", line, NULL}, NULL, "", log, &err));
    pid_t engine = number_in("engine"), program = number_in("program");
    assert_true(alive(program));
    kill(engine, SIGKILL);
    dies(program);
    process_end(&p);
}

static int setup(void **state)
{
    AUTO(mem) char *out = NULL;
    weft = getenv("WEFT");
    if (!weft || !mkdtemp(dir)) {
        fprintf(stderr, "set WEFT to the weft program\n");
        return -1;
    }
    out = at("out");
    AUTO(mem) char *scratch = at("scratch");
    return fs_mkdirs(out, NULL) && fs_mkdirs(scratch, NULL) ? 0 : -1;
}

static int teardown(void **state)
{
    return fs_remove_tree(dir, NULL) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ends), cmocka_unit_test(loses),
                                       cmocka_unit_test(killed), cmocka_unit_test(silent),
                                       cmocka_unit_test(orphaned)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
