/* Binding is by system calls: hwloc's would have every worker load the topology first (0.7 ms for two CPUs,
 * more for more). */
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/topo/topo_impl.h"
#include <errno.h>
#include <linux/mempolicy.h>
#include <omp.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sets are larger than the kernel's own, which it allows, so that no CPU number is too large for them. */
enum { SET_SIZE = TOPO_CPUS / 8, NODES = 1024 /* the kernel's limit */, LONG_BITS = 8 * sizeof(long) };

static void add_cpus(void *arg, int first, int last)
{
    for (; first <= last; first++)
        CPU_SET_S(first, SET_SIZE, (cpu_set_t *)arg);
}

static bool read_cpus(const char *cpuset, cpu_set_t *set, struct error *err)
{
    return list_read(cpuset, "CPU", TOPO_CPUS, add_cpus, set, err);
}

/* ---- memory ---- */

struct node_set {
    unsigned long bits[NODES / LONG_BITS];
    int n, first;
};

static void add_nodes(void *arg, int first, int last)
{
    struct node_set *s = arg;
    if (s->n == 0 || first < s->first)
        s->first = first;
    for (; first <= last; first++, s->n++)
        s->bits[first / LONG_BITS] |= 1UL << first % LONG_BITS;
}

static bool set_policy(int mode, const struct node_set *s)
{
    return syscall(SYS_set_mempolicy, mode, s->bits, NODES + 1) == 0; /* which the kernel takes one off */
}

/* Memory is preferred there and not bound: MPOL_BIND makes the kernel kill a task when its nodes are full
 * while others have room, and a task that takes a little longer is better than one that failed. A kernel
 * before 5.15 knows one preferred node only; where it would be several its default is as good: each page lies
 * at the core that first writes it. So it is where the kernel has no policies or a container may set none. */
static bool prefer_nodes(const char *nodes, struct error *err)
{
    struct node_set all = {.n = 0}, one = {.n = 0}, none = {.n = 0};
    if (!list_read(nodes, "memory node", NODES, add_nodes, &all, err))
        return false;
    if (set_policy(MPOL_PREFERRED_MANY, &all) || errno == EPERM || errno == ENOSYS)
        return true;
    add_nodes(&one, all.first, all.first);
    if (errno == EINVAL && set_policy(MPOL_PREFERRED, &one)) /* else there is no such node */
        return all.n == 1 || set_policy(MPOL_DEFAULT, &none) ||
               error_errno(err, "cannot reset the memory policy");
    return error_errno(err, "cannot take memory from node%s %s", all.n > 1 ? "s" : "", nodes);
}

/* ---- CPUs ---- */

static bool bind_cpus(const char *cpuset, const cpu_set_t *want, const cpu_set_t *old, struct error *err)
{
    AUTO(mem) cpu_set_t *now = xcalloc(1, SET_SIZE);
    /* The kernel drops CPUs that it does not have, or that our cgroup forbids; EINVAL says that none is left.
     */
    bool bound = sched_setaffinity(0, SET_SIZE, want) == 0;
    if (!bound && errno != EINVAL)
        return error_errno(err, "cannot bind to CPUs %s", cpuset);
    if (bound && sched_getaffinity(0, SET_SIZE, now))
        return error_errno(err, "cannot read the CPU affinity");
    CPU_AND_S(SET_SIZE, now, now, want);
    if (CPU_EQUAL_S(SET_SIZE, now, want))
        return true;
    if (bound)
        sched_setaffinity(0, SET_SIZE, old);
    int missing = 0;
    while (!CPU_ISSET_S(missing, SET_SIZE, want) || CPU_ISSET_S(missing, SET_SIZE, now))
        missing++;
    return error_set(err, NULL, ERROR_SYSTEM, "cannot bind to CPUs %s: no CPU %d, or we may not use it",
                     cpuset, missing);
}

bool topo_bind_self(const char *cpuset, const char *nodes, struct error *err)
{
    AUTO(mem) cpu_set_t *want = xcalloc(1, SET_SIZE);
    AUTO(mem) cpu_set_t *old = xcalloc(1, SET_SIZE);
    if (!read_cpus(cpuset, want, err))
        return false;
    if (sched_getaffinity(0, SET_SIZE, old))
        return error_errno(err, "cannot read the CPU affinity");
    if (!bind_cpus(cpuset, want, old, err))
        return false;
    if (!*nodes || prefer_nodes(nodes, err))
        return true;
    sched_setaffinity(0, SET_SIZE, old);
    return false;
}

/* ---- threads ---- */

static int nth_cpu(const cpu_set_t *set, int k)
{
    int cpu = 0;
    while (!CPU_ISSET_S(cpu, SET_SIZE, set) || k-- > 0)
        cpu++;
    return cpu;
}

/* A team of libgomp keeps its threads for the next regions. It lets some go when a region has fewer (but for
 * one alone), and those that it starts again are bound like the first: no stage does that, each asks for all
 * of its threads or for one. */
bool topo_bind_threads(const char *cpuset, struct error *err)
{
    AUTO(mem) cpu_set_t *set = xcalloc(1, SET_SIZE);
    if (!read_cpus(cpuset, set, err))
        return false;
    int threads = omp_get_max_threads(), failed = 0;
    if (CPU_COUNT_S(SET_SIZE, set) != threads)
        return true;
#pragma omp parallel num_threads(threads)
    {
        AUTO(mem) cpu_set_t *own = xcalloc(1, SET_SIZE);
        CPU_SET_S(nth_cpu(set, omp_get_thread_num()), SET_SIZE, own);
        if (sched_setaffinity(0, SET_SIZE, own)) {
#pragma omp atomic write
            failed = errno;
        }
    }
    errno = failed;
    return failed == 0 || error_errno(err, "cannot bind threads to CPUs %s", cpuset);
}
