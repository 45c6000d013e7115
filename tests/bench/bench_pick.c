/* What a scheduling decision costs with 10,000 ready tasks: bench_pick LEVEL:COUNT... Tasks of a few kinds,
 * moldable ones and some with memory among them; they start and end on a virtual clock, and places are
 * reserved. A decision is one question what starts next, whatever the answer. Prints one JSON line: the mean,
 * in us; the dearest tenth and the last may be dearer. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/sched/plan.h"
#include <stdio.h>
#include <stdlib.h>

enum { N = 10000, KINDS = 8 };

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct ask ask_of(int i, struct rng *r)
{
    static const int cores[KINDS][2] = {{1, 1}, {1, 1}, {1, 4}, {2, 4}, {1, 0}, {4, 8}, {1, 2}, {1, 1}};
    double seconds = 1 + (double)rng_below(r, 1000) / 10;
    return (struct ask){.work = {0.02 * seconds, 0.98 * seconds},
                        .cores_min = cores[i % KINDS][0],
                        .cores_max = cores[i % KINDS][1],
                        .memory = i % 4 == 0 ? 1 << 20 : 0};
}

static int first_end(const struct plan *p, const double *end, const int *running, int n)
{
    int first = 0;
    for (int i = 1; i < n; i++)
        if (end[running[i]] < end[running[first]])
            first = i;
    return first;
}

/* All tasks from ready to done; *ret_n decisions, us of each in took (2 N of them at most). */
static void drive(struct plan *p, const struct ask *ask, double *took, int *ret_n)
{
    int *running = xcalloc(N, sizeof *running), n_running = 0, n = 0;
    double *end = xcalloc(N, sizeof *end), now = 0;
    for (bool more = true; more;) {
        struct plan_choice c;
        double begin = clock_seconds();
        bool picked = plan_pick(p, now, &c);
        took[n++] = 1e6 * (clock_seconds() - begin);
        if (picked) {
            end[c.task] = now + work_seconds(&ask[c.task].work, c.cores);
            running[n_running++] = c.task;
        } else if ((more = n_running > 0)) {
            int at = first_end(p, end, running, n_running), task = running[at];
            running[at] = running[--n_running];
            now = end[task];
            plan_done(p, task);
        }
    }
    *ret_n = n;
    free(running);
    free(end);
}

int main(int argc, char **argv)
{
    AUTO(buf) struct buf topology = {0};
    struct machine m;
    struct error err = {0};
    int n, task;
    for (int i = 1; i < argc; i++)
        buf_printf(&topology, "%s%s", i > 1 ? " " : "", argv[i]);
    if (!machine_open(&(struct machine_options){.topo = {.source = buf_str(&topology)}}, &m, &err)) {
        fprintf(stderr, "bench_pick: %s\n", err.text);
        return 1;
    }
    m.node[0].memory = (int64_t)1 << 40;
    struct plan *p = plan_new(N, &m);
    struct rng r = rng_at(rng_stream(1, "bench_pick"), 0, 0);
    struct ask *ask = xcalloc(N, sizeof *ask);
    double *took = xcalloc(2 * N + 1, sizeof *took), sum = 0;
    for (int i = 0; i < N; i++) {
        ask[i] = ask_of(i, &r);
        plan_task(p, i, &ask[i]);
    }
    plan_start(p);
    plan_prioritize(p);
    while ((task = plan_next_ready(p)) >= 0)
        plan_miss(p, task);
    drive(p, ask, took, &n);
    for (int i = 0; i < n; i++)
        sum += took[i];
    qsort(took, (size_t)n, sizeof *took, by_number);
    printf(
        "{\"name\": \"decision of %d ready, %d cores\", \"value\": %.3f, \"unit\": \"us\", \"median\": %.3f, "
        "\"p99\": %.3f}\n",
        N, machine_cores(&m), sum / n, took[n / 2], took[n * 99 / 100]);
    plan_free(p);
    machine_done(&m);
    free(ask);
    free(took);
    return 0;
}
