/* Binding, read back from the kernel: of the process, of each OpenMP thread, of the memory it writes. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/topo/topo.h"
#include "stages/tensor/gemm.h"
#include "tests/test.h"
#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/mempolicy.h>
#include <linux/seccomp.h>
#include <omp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child process for what changes the binding: its status is what the body returns, 0 for right. */
#define IN_CHILD(body)                                                                                       \
    do {                                                                                                     \
        pid_t pid = fork();                                                                                  \
        if (pid == 0)                                                                                        \
            _exit(body);                                                                                     \
        int status = 1;                                                                                      \
        assert_int_equal(waitpid(pid, &status, 0), pid);                                                     \
        assert_int_equal(status, 0);                                                                         \
    } while (0)

/* Is the binding exactly `cpu`? */
static bool bound_to(int cpu)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1 && CPU_ISSET(cpu, &set);
}

static int last_cpu(void)
{
    cpu_set_t ours;
    assert_int_equal(sched_getaffinity(0, sizeof ours, &ours), 0);
    int cpu = CPU_SETSIZE - 1;
    while (!CPU_ISSET(cpu, &ours))
        cpu--;
    return cpu;
}

static int bind_to_last(int cpu)
{
    char text[32];
    struct topo *t;
    snprintf(text, sizeof text, "%d-%d,%d", cpu, cpu, cpu);
    if (!topo_bind_self(text, "", NULL) || !bound_to(cpu))
        return 1;
    if (!topo_open(NULL, &t, NULL) || topo_cores(t) != 1) /* the topology sees the binding */
        return 2;
    struct place *p = topo_reserve(t, 1, TOPO_COMPACT, NULL);
    snprintf(text, sizeof text, "%d", cpu);
    if (!p || strcmp(place_cpuset(p), text) != 0 || topo_reserve(t, 1, TOPO_COMPACT, NULL))
        return 3;
    topo_close(t);
    return 0;
}

/* One CPU of two that is there is not enough, and the binding stays. */
static int bind_to_missing(int cpu)
{
    char text[32];
    struct error err = {0};
    cpu_set_t before, after;
    if (sched_getaffinity(0, sizeof before, &before))
        return 1;
    if (topo_bind_self("65535", "", &err) || err.code != ERROR_SYSTEM || !strstr(err.text, "no CPU 65535"))
        return 2;
    snprintf(text, sizeof text, "%d,60000-60001", cpu);
    if (topo_bind_self(text, "", &err) || err.code != ERROR_SYSTEM || !strstr(err.text, "no CPU 60000"))
        return 3;
    return sched_getaffinity(0, sizeof after, &after) || !CPU_EQUAL(&before, &after) ? 4 : 0;
}

static void binding(void **state)
{
    IN_CHILD(bind_to_last(last_cpu()));
    IN_CHILD(bind_to_missing(last_cpu()));
}

/* ---- threads and memory ---- */

/* The CPUs that /proc says each thread of ours may use: "0 1 " in order of the threads' numbers, which is
 * that of their start. */
static void threads_cpus(char *ret, size_t size)
{
    DIR *d = opendir("/proc/self/task");
    pid_t tid[64];
    int n = 0;
    const struct dirent *e;
    while (d && (e = readdir(d)) && n < 64)
        if (*e->d_name != '.')
            tid[n++] = (pid_t)strtol(e->d_name, NULL, 10);
    closedir(d);
    *ret = '\0';
    for (int i = 0; i < n; i++) {
        AUTO(mem) char *path = xprintf("/proc/self/task/%d/status", tid[i]);
        AUTO(mem) char *text = NULL;
        size_t len;
        if (!fs_read_file(path, &text, &len, NULL))
            continue;
        const char *at = strstr(text, "Cpus_allowed_list:");
        at += strcspn(at, "\t") + 1;
        size_t used = strlen(ret);
        snprintf(ret + used, size - used, "%.*s ", (int)strcspn(at, "\n"), at);
    }
}

static bool threads_are(const char *want)
{
    char cpus[256];
    threads_cpus(cpus, sizeof cpus);
    if (strcmp(cpus, want) != 0)
        fprintf(stderr, "threads on %s, wanted %s\n", cpus, want);
    return strcmp(cpus, want) == 0;
}

enum { STREAM = 1 << 20 };

/* a = b + 3 c, as STREAM does it, each thread on its part, whose pages it writes first. False when a thread
 * ran anywhere but on cpu[k], or a page lies on no node of ours. */
static bool triad(const int *cpu, int threads)
{
    AUTO(mem) double *a = xmalloc(STREAM * sizeof *a);
    AUTO(mem) double *b = xmalloc(STREAM * sizeof *b);
    AUTO(mem) double *c = xmalloc(STREAM * sizeof *c);
    int wrong = 0;
#pragma omp parallel num_threads(threads) reduction(+ : wrong)
    {
        int k = omp_get_thread_num();
        wrong += omp_get_num_threads() != threads;
#pragma omp for schedule(static)
        for (int i = 0; i < STREAM; i++) {
            b[i] = i;
            c[i] = 1;
        }
#pragma omp for schedule(static)
        for (int i = 0; i < STREAM; i++) {
            a[i] = b[i] + 3 * c[i];
            wrong += i % 4096 == 0 && (sched_getcpu() != cpu[k] || !bound_to(cpu[k]));
        }
    }
    int node = -1;
    long rc = syscall(SYS_get_mempolicy, &node, NULL, 0, a + STREAM / 2, MPOL_F_NODE | MPOL_F_ADDR);
    return wrong == 0 && a[STREAM - 1] == STREAM + 2 && (rc != 0 || node == 0);
}

static int two_cpus(int cpu[2])
{
    cpu_set_t ours;
    int n = 0;
    assert_int_equal(sched_getaffinity(0, sizeof ours, &ours), 0);
    for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
        if (CPU_ISSET(i, &ours))
            cpu[n++] = i;
    return n;
}

/* One thread on each of two cores, in every region, whether BLIS works in it or not. */
static int thread_each(const int cpu[2])
{
    char list[32], want[32], whole[32];
    float *m = xcalloc(3 * 512 * 512, sizeof *m);
    snprintf(list, sizeof list, "%d,%d", cpu[0], cpu[1]);
    snprintf(want, sizeof want, "%d %d ", cpu[0], cpu[1]);
    snprintf(whole, sizeof whole, cpu[1] == cpu[0] + 1 ? "%d-%d " : "%d,%d ", cpu[0], cpu[1]);
    if (!topo_bind_self(list, "", NULL) || !threads_are(whole))
        return 1;
    omp_set_num_threads(1);
    if (!topo_bind_threads(list, NULL) || !threads_are(whole)) /* not as many as the CPUs */
        return 2;
    omp_set_num_threads(2);
    if (!topo_bind_threads(list, NULL) || !threads_are(want))
        return 3;
    if (!triad(cpu, 2))
        return 4;
#pragma omp parallel num_threads(1)
    m[0] = 1;
    gemm(false, false, 512, 512, 512, 1, m, 512, m + 512 * 512, 512, 0, m + 2 * 512 * 512, 512);
    if (!threads_are(want) || !triad(cpu, 2)) /* the same two threads */
        return 5;
    free(m);
    return 0;
}

/* Two processes at once, each on a core of its own; neither is ever on the other's. */
static int alone_on(int cpu)
{
    char list[16];
    snprintf(list, sizeof list, "%d", cpu);
    omp_set_num_threads(1);
    return topo_bind_self(list, "", NULL) && topo_bind_threads(list, NULL) && triad(&cpu, 1) ? 0 : 1;
}

static void threads(void **state)
{
    int cpu[2];
    if (two_cpus(cpu) < 2) {
        print_message("only one CPU: no threads to bind\n");
        skip();
    }
    IN_CHILD(thread_each(cpu));
    pid_t pid[2];
    for (int i = 0; i < 2; i++)
        if ((pid[i] = fork()) == 0)
            _exit(alone_on(cpu[i]));
    for (int i = 0; i < 2; i++) {
        int status = 1;
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_int_equal(status, 0);
    }
}

static int policy(unsigned long nodes[16])
{
    int mode = -1;
    memset(nodes, 0, 16 * sizeof *nodes);
    return syscall(SYS_get_mempolicy, &mode, nodes, 1024 + 1, NULL, 0) == 0 ? mode : -errno;
}

/* The policy is what the kernel has then; a node that there is not is an error that changes nothing. */
static int prefer(int cpu)
{
    char list[16];
    struct error err = {0};
    unsigned long nodes[16];
    snprintf(list, sizeof list, "%d", cpu);
    if (topo_bind_self(list, "1000", &err) || err.code != ERROR_SYSTEM || !strstr(err.text, "from node 1000"))
        return 1;
    if (topo_bind_self(list, "0-", &err) || err.code != ERROR_INPUT || bound_to(cpu) || policy(nodes) > 0)
        return 2;
    if (!topo_bind_self(list, "", NULL) || policy(nodes) != MPOL_DEFAULT)
        return 3;
    if (!topo_bind_self(list, "0", NULL) || !bound_to(cpu))
        return 4;
    int mode = policy(nodes);
    return (mode == MPOL_PREFERRED_MANY || mode == MPOL_PREFERRED) && nodes[0] == 1 ? 0 : 5;
}

/* From now on set_mempolicy fails with an errno: for one mode, or for all (-1). */
static bool deny(int mode, unsigned why)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_set_mempolicy, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)), /* its low half */
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, mode < 0 ? 0 : (unsigned)mode, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | why),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const struct sock_fprog program = {sizeof code / sizeof *code, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* A kernel before 5.15: one node is preferred, of several none is, and what there is not is an error still.
 */
static int prefer_on_old_kernel(int cpu)
{
    char list[16];
    unsigned long nodes[16];
    snprintf(list, sizeof list, "%d", cpu);
    if (!deny(MPOL_PREFERRED_MANY, EINVAL))
        return 0; /* not to be tried here */
    if (!topo_bind_self(list, "0", NULL) || policy(nodes) != MPOL_PREFERRED || nodes[0] != 1)
        return 1;
    if (!topo_bind_self(list, "0-1", NULL) || policy(nodes) != MPOL_DEFAULT)
        return 2;
    return topo_bind_self(list, "1000", NULL) ? 3 : 0;
}

/* Where none may be set the task runs all the same, on its CPU. */
static int prefer_forbidden(int cpu)
{
    char list[16];
    snprintf(list, sizeof list, "%d", cpu);
    return !deny(-1, EPERM) || (topo_bind_self(list, "0", NULL) && bound_to(cpu)) ? 0 : 1;
}

static void memory(void **state)
{
    int cpu[2];
    unsigned long nodes[16];
    if (policy(nodes) < 0 || two_cpus(cpu) < 2) {
        print_message("one CPU, or a kernel without memory policies or a container that hides them\n");
        skip();
    }
    IN_CHILD(prefer(cpu[1]));
    IN_CHILD(prefer_on_old_kernel(cpu[1]));
    IN_CHILD(prefer_forbidden(cpu[1]));
}

static void bad_lists(void **state)
{
    const char *bad[] = {
        "",   ",",   "0,",  ",0",  "-",   "-1",   "0-", "0--1", "1-0",     "0-1-2", "0 ",
        " 0", "0;1", "0x0", "1x2", "all", "0,,1", "+1", "0\n",  "0-0:1/2", "65536", "0-99999999999999999999"};
    cpu_set_t before, after;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = {0};
        assert_false(topo_bind_self(bad[i], "", &err));
        assert_int_equal(err.code, ERROR_INPUT);
        assert_false(topo_bind_threads(bad[i], &err));
    }
    assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
    assert_true(CPU_EQUAL(&before, &after));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(binding), cmocka_unit_test(threads),
                                       cmocka_unit_test(memory), cmocka_unit_test(bad_lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
