/* Programs of others, played by shell scripts: how they end, what they say, what they may leave behind. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/procs.h"
#include "stages/job/program.h"
#include "tests/test.h"
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static char dir[] = "/tmp/weft-program-XXXXXX";

static void on_line(void *arg, const char *text, size_t n)
{
    struct buf *seen = arg;
    if (n > 100)
        buf_printf(seen, "[%zu]", n);
    else
        buf_add(seen, text, n);
    buf_putc(seen, '|');
}

/* The wait status of a line of shell, and what it said. */
static int shell(const char *line, struct buf *said)
{
    char *argv[] = {"sh", "-c", (char *)(uintptr_t)line, NULL}, *env[] = {"PATH=/usr/bin:/bin", "X=1", NULL};
    const struct program p = {"/bin/sh", argv, env, dir, on_line, said};
    struct error err = {0};
    struct program_end end = {.status = -1};
    if (!program_run(&p, &end, &err))
        fail_msg("%s", err.text);
    assert_true(end.peak > 0);
    return end.status;
}

static void ends(void **state)
{
    AUTO(buf) struct buf said = {0};
    assert_int_equal(shell("exit 0", &said), 0);
    assert_int_equal(WEXITSTATUS(shell("exit 7", &said)), 7);
    int status = shell("kill -SEGV $$", &said);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    assert_string_equal(buf_str(&said), "");
}

static void says(void **state)
{
    static const struct {
        const char *line, *said;
    } rows[] = {
        {"echo a; echo b >&2; printf c", "a|b|c|"}, /* in this order, and the last without its end */
        {"printf '\\n\\na\\n'", "||a|"},
        {"head -c 200000 /dev/zero | tr '\\0' x; echo; echo end", NULL},
        {"exec >&- 2>&-; sleep 0.05", ""},
        {"read x; echo \"<$x>\"", "<>|"}, /* nothing on stdin */
        {"echo $X $Y; pwd", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buf) struct buf said = {0};
        assert_int_equal(shell(rows[i].line, &said), 0);
        if (rows[i].said)
            assert_string_equal(buf_str(&said), rows[i].said);
        else if (i == 2)
            assert_non_null(strstr(buf_str(&said), "|end|"));
        else {
            AUTO(mem) char *want = xprintf("1|%s|", dir);
            assert_string_equal(buf_str(&said), want);
        }
    }
}

/* Nothing that is open here is open there: a log, the store's lock, the events. */
static void descriptors(void **state)
{
    AUTO(buf) struct buf said = {0};
    AUTO(fd) int leak = dup(STDIN_FILENO);
    assert_true(leak >= 3);
    assert_int_equal(shell("ls /proc/$$/fd; true", &said), 0);
    assert_string_equal(buf_str(&said), "0|1|2|");
}

static bool gone(pid_t pid)
{
    AUTO(mem) char *path = xprintf("/proc/%d/stat", (int)pid);
    AUTO(mem) char *text = NULL;
    if (!fs_exists(path) || !fs_read_file(path, &text, NULL, NULL))
        return true;
    const char *end = strrchr(text, ')'); /* a zombie that pid 1 does not reap is as good as gone */
    return end && (end[2] == 'Z' || end[2] == 'X');
}

/* A program that ended is not waited for because of what it left running, although that holds its stdout: it
 * is ended, wherever it hid. */
static void left_behind(void **state)
{
    static const char *const line[] = {
        "sleep 600 & echo $!",
        "setsid sh -c 'trap \"\" TERM HUP; sleep 600 & echo $!' ",
        "setsid sh -c '(exec >pid 2>&- <&-; sleep 600 & echo $!) & wait'; cat pid",
    };
    for (size_t i = 0; i < sizeof line / sizeof *line; i++) {
        AUTO(buf) struct buf said = {0};
        assert_int_equal(shell(line[i], &said), 0);
        pid_t left = (pid_t)strtol(buf_str(&said), NULL, 10);
        assert_true(left > 1 && gone(left));
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child at all is left */
}

static void note_pid(void *arg, const char *text, size_t n)
{
    (void)!write(*(int *)arg, text, n);
    (void)!write(*(int *)arg, "\n", 1);
}

/* The two numbers that a worker's program says. */
static void read_pids(int from, pid_t *first, pid_t *second)
{
    char text[100] = "", *at;
    size_t have = 0;
    ssize_t n;
    while (!strchr(text, '\n') && (n = read(from, text + have, sizeof text - 1 - have)) > 0)
        have += (size_t)n;
    *first = (pid_t)strtol(text, &at, 10);
    *second = (pid_t)strtol(at, NULL, 10);
}

/* A worker that is killed takes the program with it; what that started and hid comes to the worker's keeper,
 * which spares its other children. */
static void killed(void **state)
{
    int ends[2];
    pid_t program, child;
    assert_int_equal(pipe(ends), 0);
    pid_t other = fork();
    if (other == 0) {
        pause();
        _exit(0);
    }
    pid_t worker = fork();
    if (worker == 0) {
        char *argv[] = {"sh", "-c", "setsid sleep 600 & echo $$ $!; wait", NULL},
             *env[] = {"PATH=/usr/bin:/bin", NULL};
        const struct program p = {"/bin/sh", argv, env, dir, note_pid, &ends[1]};
        struct program_end end;
        procs_adopt();
        _exit(program_run(&p, &end, NULL) ? 0 : 1);
    }
    close(ends[1]);
    read_pids(ends[0], &program, &child);
    close(ends[0]);
    assert_true(program > 1 && child > 1 && !gone(program) && !gone(child));
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
    procs_end_children(&other, 1);
    assert_true(gone(program) && gone(child) && !gone(other));
    procs_end_children(NULL, 0);
    assert_true(gone(other));
}

static void cannot(void **state)
{
    AUTO(mem) char *path = xprintf("%s/tool", dir);
    char *argv[] = {"tool", NULL}, *env[] = {NULL};
    struct program p = {path, argv, env, dir, on_line, NULL};
    struct error err = {0};
    struct program_end end;
    assert_false(program_run(&p, &end, &err));
    assert_non_null(strstr(err.text, "tool': No such file or directory"));
    assert_true(fs_write_file(path, "no program\n", 11, &err));
    assert_false(program_run(&p, &end, &err));
    assert_non_null(strstr(err.text, "Permission denied"));
    assert_int_equal(chmod(path, 0755), 0);
    assert_false(program_run(&p, &end, &err));
    assert_non_null(strstr(err.text, "no program and no script that begins with '#!': cannot start"));
    p.dir = "/no such folder";
    assert_false(program_run(&p, &end, &err));
}

static void find(void **state)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    AUTO(mem) char *path = xprintf("%s/mine", dir);
    AUTO(mem) char *both = xprintf("relative:/none::%s:/bin", dir);
    assert_true(fs_write_file(path, "#!/bin/sh\n", 10, NULL));
    assert_null(program_find("mine", both, &a)); /* not executable */
    assert_int_equal(chmod(path, 0755), 0);
    assert_string_equal(program_find("mine", both, &a), path);
    assert_string_equal(program_find("sh", both, &a), "/bin/sh");
    assert_null(program_find("no such program", both, &a));
    assert_null(program_find("sh", "", &a));
}

static int enter(void **state)
{
    procs_adopt();
    return !mkdtemp(dir);
}

static int leave(void **state)
{
    return !fs_remove_tree(dir, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ends),        cmocka_unit_test(says),
                                       cmocka_unit_test(descriptors), cmocka_unit_test(left_behind),
                                       cmocka_unit_test(killed),      cmocka_unit_test(cannot),
                                       cmocka_unit_test(find)};
    return cmocka_run_group_tests(tests, enter, leave);
}
