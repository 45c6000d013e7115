/* A worker's memory: one that takes more than it may is found by looking, and by the kernel where that lets
 * us. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/exec/memory.h"
#include "tests/test.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MIB ((int64_t)1 << 20)

/* A process that holds so much, with a child that holds as much again, and then says so. */
static pid_t eater(const struct memory *join, int64_t bytes)
{
    int ends[2];
    char c;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        if (join)
            memory_join(join);
        (void)fork();
        void *p = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(p, 1, (size_t)bytes);
        (void)!write(ends[1], "x", 1);
        close(ends[1]);
        pause();
        _exit(0);
    }
    close(ends[1]);
    for (int i = 0; i < 2 && read(ends[0], &c, 1) == 1; i++) /* both, or one was killed */
        ;
    close(ends[0]);
    return pid;
}

static void end(pid_t pid)
{
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    procs_end_children(NULL, 0);
}

/* Itself and its child, told by the kernel or found among all. */
static void tree(void **state)
{
    pid_t pid = eater(NULL, MIB);
    for (int told = 0; told < 2; told++) {
        AUTO(mem) struct proc *below;
        if (told && !procs_are_told())
            continue;
        assert_int_equal(procs_below(pid, told, &below), 2);
        assert_true(below[0].pid == pid && below[1].parent == pid && below[1].rss >= MIB);
    }
    end(pid);
}

static void looked_at(void **state)
{
    pid_t pid = eater(NULL, 40 * MIB);
    struct memory under = {.limit = 200 * MIB}, over = {.limit = 60 * MIB}, none = {0};
    assert_false(memory_look(&under, pid));
    assert_false(memory_look(&none, pid));
    assert_true(memory_look(&over, pid)); /* neither process alone is */
    assert_true(over.over && !under.over);
    assert_true(none.peak >= 80 * MIB && none.peak < 200 * MIB);
    end(pid);
    assert_false(memory_look(&none, pid)); /* gone: the peak stays */
    assert_true(none.peak >= 80 * MIB);
}

static void by_the_kernel(void **state)
{
    struct memory m;
    struct stat st;
    memory_begin(&m, 60 * MIB, 7);
    if (!m.group) {
        print_message("skipped: no control group for us\n");
        skip();
    }
    AUTO(mem) char *group = xstrdup(m.group);
    assert_int_equal(stat(group, &st), 0);
    memory_sweep(); /* its keeper lives */
    assert_int_equal(stat(group, &st), 0);
    pid_t pid = eater(&m, 40 * MIB);
    assert_true(memory_look(&m, pid));
    end(pid);
    memory_end(&m);
    assert_true(m.over && m.peak > 50 * MIB);
    assert_int_equal(stat(group, &st), -1);
    memory_begin(&m, 200 * MIB, 8); /* enough */
    pid = eater(&m, 40 * MIB);
    assert_false(memory_look(&m, pid));
    end(pid);
    memory_end(&m);
    assert_false(m.over);
}

/* What a keeper that was killed has left, with somebody in it. */
static void swept(void **state)
{
    int ends[2];
    char path[1024] = "";
    struct stat st;
    assert_int_equal(pipe(ends), 0);
    pid_t keeper = fork();
    if (keeper == 0) {
        struct memory m;
        memory_begin(&m, 60 * MIB, 9);
        if (m.group && fork() == 0) {
            setsid();
            memory_join(&m);
            (void)!write(ends[1], m.group, strlen(m.group));
            pause();
        }
        if (!m.group)
            (void)!write(ends[1], "-", 1);
        pause();
    }
    close(ends[1]);
    assert_true(read(ends[0], path, sizeof path - 1) > 0);
    kill(keeper, SIGKILL);
    waitpid(keeper, NULL, 0);
    close(ends[0]);
    if (*path == '-') {
        print_message("skipped: no control group for us\n");
        skip();
    }
    assert_int_equal(stat(path, &st), 0);
    memory_sweep();
    assert_int_equal(stat(path, &st), -1);
    procs_end_children(NULL, 0);
}

static int enter(void **state)
{
    procs_adopt();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tree), cmocka_unit_test(looked_at),
                                       cmocka_unit_test(by_the_kernel), cmocka_unit_test(swept)};
    return cmocka_run_group_tests(tests, enter, NULL);
}
