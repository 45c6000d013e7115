/* STREAM's triad with OpenMP; then one line for each thread, and one for the process:
 *   thread K on CPUS       what the kernel lets it run on
 *   memory MODE NODES      the policy, as get_mempolicy has it, or "memory none" */
#define _GNU_SOURCE
#include <linux/mempolicy.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { N = 1 << 20 };
static double a[N], b[N], c[N];

int main(void)
{
#pragma omp parallel for
    for (int i = 0; i < N; i++)
        b[i] = i, c[i] = 1;
#pragma omp parallel for
    for (int i = 0; i < N; i++)
        a[i] = b[i] + 3 * c[i];
#pragma omp parallel
#pragma omp critical
    {
        cpu_set_t set;
        sched_getaffinity(0, sizeof set, &set);
        printf("thread %d on", omp_get_thread_num());
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
            if (CPU_ISSET(cpu, &set))
                printf(" %d", cpu);
        printf("\n");
    }
    int mode;
    unsigned long nodes[16] = {0};
    if (syscall(SYS_get_mempolicy, &mode, nodes, 1024 + 1, NULL, 0) != 0)
        printf("memory none\n");
    else
        printf("memory %s %lx\n",
               mode == MPOL_PREFERRED_MANY || mode == MPOL_PREFERRED ? "preferred" : "other", nodes[0]);
    return a[N - 1] != N + 2;
}
