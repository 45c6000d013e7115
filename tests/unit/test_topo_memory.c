/* How much memory we may use, on file systems of control groups made up here, and in a real group where we
 * may make one. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/topo/topo_impl.h"
#include "tests/test.h"
#include <string.h>
#include <sys/wait.h>

static char dir[] = "/tmp/weft memory-XXXXXX"; /* the blank is for the list of mounts */

static int make_dir(void **state)
{
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    return fs_remove_tree(dir, NULL) ? 0 : -1;
}

static void put(const char *path, const char *text)
{
    AUTO(mem) char *file = xprintf("%s/%s", dir, path);
    AUTO(mem) char *folder = xstrndup(file, (size_t)(strrchr(file, '/') - file));
    assert_true(fs_mkdirs(folder, NULL));
    assert_true(fs_write_file(file, text, strlen(text), NULL));
}

/* In the list of mounts @ stands for our folder. */
static int64_t limit(const char *cgroup, const char *mounts)
{
    AUTO(buf) struct buf text = {0};
    for (const char *c = mounts; *c; c++)
        if (*c != '@')
            buf_putc(&text, *c);
        else
            for (const char *d = dir; *d; d++)
                buf_puts(&text, *d == ' ' ? "\\040" : (char[]){*d, '\0'});
    return memory_of_cgroups(cgroup, buf_str(&text));
}

#define V2   "proc /proc proc rw 0 0\ncgroup2 @/v2 cgroup2 rw,nosuid 0 0\n"
#define V1   "cgroup @/cpu cgroup rw,cpu,cpuacct 0 0\ncgroup @/v1 cgroup rw,relatime,memory 0 0\n"
#define NONE INT64_MAX

static void groups(void **state)
{
    put("v2/memory.max", "max\n"); /* the root of a container has one */
    put("v2/a/memory.max", "5000\n");
    put("v2/a/b/memory.max", "max\n");
    put("v2/a/c/memory.max", "4000\n");
    put("v2/a/c/d/memory.max", "9000\n");
    put("v2/e/f/memory.max", "not a number\n");
    put("v1/memory.limit_in_bytes", "9223372036854771712\n");
    put("v1/x/memory.limit_in_bytes", "7000\n");
    put("v1/x/y/memory.limit_in_bytes", "8000\n");
    put("cpu/x/memory.limit_in_bytes", "1\n"); /* not where memory is counted */
    assert_int_equal(limit("0::/a\n", V2), 5000);
    assert_int_equal(limit("0::/a/b\n", V2), 5000); /* of a group above */
    assert_int_equal(limit("0::/a/c\n", V2), 4000);
    assert_int_equal(limit("0::/a/c/d\n", V2), 4000);
    assert_int_equal(limit("0::/a/c/gone/too\n", V2), 4000);
    assert_int_equal(limit("0::/\n", V2), NONE);
    assert_int_equal(limit("0::/e/f\n", V2), NONE);
    assert_int_equal(limit("0::/a\n", V1), NONE); /* not mounted */
    assert_int_equal(limit("3:cpu,cpuacct:/x\n2:memory:/x/y\n", V1), 7000);
    assert_int_equal(limit("3:cpu,cpuacct:/x\n", V1), NONE);
    assert_int_equal(limit("3:memory,hugetlb:/q\n", V1), 9223372036854771712);
    assert_int_equal(limit("9:name=systemd:/x\n2:memory:/x\n0::/a/c\n", V1 V2), 4000); /* both at once */
    assert_int_equal(limit("2:memory:/x\n0::/\n", V2 V1), 7000);
    put("v2/a/memory.max", "99999999999999999999\n");
    assert_int_equal(limit("0::/a\n", V2), NONE);
}

static void odd_texts(void **state)
{
    assert_int_equal(limit("", ""), NONE);
    assert_int_equal(limit("0::/a/c", ""), NONE);
    assert_int_equal(limit("\n:\n::\n:::\n0\nmemory\n", V2 V1), NONE);
    assert_int_equal(limit("0::/a/c\n", "x\nx y\nx y cgroup2\n\n" V2), 4000);
}

/* MemTotal bounds; what the nodes have counts when we may use some of them only. */
static void machine(void **state)
{
    int64_t all = memory_of_machine(1 << 20, true);
    assert_true(all > 1 << 20);
    assert_int_equal(memory_of_machine(1 << 20, false), 1 << 20);
    assert_int_equal(memory_of_machine(INT64_MAX, false), all);
    assert_int_equal(memory_of_machine(INT64_MAX, true), all);
}

/* A limit of the kernel's own, seen through topo_memory by a process in the group. */
static void real_group(void **state)
{
    AUTO(mem) char *group = xprintf("/sys/fs/cgroup/memory/weft-test-%d", getpid());
    AUTO(mem) char *limit_file = xprintf("%s/memory.limit_in_bytes", group);
    AUTO(mem) char *procs = xprintf("%s/cgroup.procs", group);
    if (fs->mkdir(group, 0755) != 0 || !fs_write_file(limit_file, "536870912", 9, NULL)) {
        fs->rmdir(group);
        print_message("cannot make a control group of version 1 here\n");
        skip();
    }
    int status = 1;
    pid_t pid = fork();
    if (pid == 0) {
        struct topo *t;
        _exit(!fs_write_file(procs, "0", 1, NULL) ? 1
              : !topo_open(NULL, &t, NULL)        ? 2
                                                  : topo_memory(t) != 536870912);
    }
    waitpid(pid, &status, 0);
    fs->rmdir(group);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(groups), cmocka_unit_test(odd_texts),
                                       cmocka_unit_test(machine), cmocka_unit_test(real_group)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
