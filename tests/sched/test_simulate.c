/* The virtual clock on described machines: known graphs by hand, what holds on thousands of random ones, and
 * that a run which is driven by other means decides the same. */
#include "base/mem.h"
#include "base/rng.h"
#include "engine/sched/plan.h"
#include "engine/sched/simulate.h"
#include "tests/test.h"
#include <hwloc.h>
#include <math.h>
#include <stdlib.h>

enum { N = 40, UNITS = 2 };

static void near(double is, double want)
{
    if (!(fabs(is - want) <= 1e-9 * (1 + fabs(want))))
        fail_msg("%g, wanted %g", is, want);
}

static struct machine described(const char *topology, int nodes, int64_t memory)
{
    static const int id[] = {4, 5, 7, 9};
    static const struct machine_unit unit[UNITS] = {{.name = "licence", .count = 3},
                                                    {.name = "gpu", .count = 4, .per_node = true, .id = id}};
    struct machine m;
    struct error err = {0};
    const struct machine_options o = {
        .topo = {.source = topology}, .nodes = nodes, .units = unit, .n_units = UNITS};
    if (!machine_open(&o, &m, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < m.n; i++)
        m.node[i].memory = memory;
    return m;
}

static struct ask ask_of(double seconds, int cores_min, int cores_max, int64_t memory)
{
    return (struct ask){
        .work = {.parallel = seconds}, .cores_min = cores_min, .cores_max = cores_max, .memory = memory};
}

/* 0 (hit) -> 1 -> 3, 0 -> 2 -> 3; 4 not wanted. */
static void by_hand(void **state)
{
    const struct simulate_edge edge[] = {{0, 1}, {0, 2}, {1, 3}, {2, 3}, {3, 4}};
    for (int cores = 1; cores <= 2; cores++) {
        struct machine m = described(cores == 1 ? "core:1" : "core:2", 0, 1000);
        struct simulate_task t[5] = {{.ask = ask_of(99, 0, 0, 1000), .wanted = true, .hit = true},
                                     {.ask = ask_of(10, 1, 1, 5), .wanted = true},
                                     {.ask = ask_of(4, 1, 1, 7), .wanted = true},
                                     {.ask = ask_of(2, 0, 0, 3), .wanted = true},
                                     {.ask = ask_of(50, 0, 0, 0)}};
        struct simulate s;
        simulate(t, 5, edge, 5, &m, &s);
        near(s.makespan, cores == 1 ? 16 : 11);
        near(s.core_seconds, 16);
        near(s.utilisation, 16 / (s.makespan * cores));
        near(s.path_bound, cores == 1 ? 12 : 11);
        near(s.work_bound, 16. / cores);
        assert_int_equal(s.bound, cores == 1 ? BOUND_CORES : BOUND_PATH);
        assert_int_equal(s.memory, cores == 1 ? 7 : 12);
        assert_int_equal(s.n_path, 2);
        assert_int_equal(s.path[0], 1);
        assert_int_equal(s.path[1], 3);
        near(s.path_seconds, cores == 1 ? 12 : 11);
        assert_int_equal(t[0].cores + t[4].cores, 0);
        assert_int_equal(t[3].cores, cores);
        assert_string_equal(t[3].cpuset, cores == 1 ? "0" : "0-1");
        near(t[3].start, t[1].end > t[2].end ? t[1].end : t[2].end);
        assert_false(s.stuck);
        simulate_done(t, 5, &s);
        machine_done(&m);
    }
}

static void nothing_to_do(void **state)
{
    struct machine m = described("core:4", 0, 0);
    struct simulate_task t[2] = {{.ask = ask_of(9, 0, 0, 0), .wanted = true, .hit = true},
                                 {.ask = ask_of(9, 0, 0, 0)}};
    const struct simulate_edge edge = {0, 1};
    struct simulate s;
    simulate(t, 2, &edge, 1, &m, &s);
    near(s.makespan + s.core_seconds + s.path_seconds + s.path_bound + s.work_bound, 0);
    assert_int_equal(s.n_path, 0);
    assert_int_equal(s.memory, 0);
    assert_int_equal(s.bound, BOUND_NOTHING);
    simulate_done(t, 2, &s);
    machine_done(&m);
}

/* Four tasks of 6 of 10 bytes: one at a time, whatever the cores; two licences of three each likewise. */
static void what_bounds(void **state)
{
    static const struct ask_unit two = {0, 2};
    for (int kind = 0; kind < 2; kind++) {
        struct machine m = described("core:8", 0, 10);
        struct simulate_task t[4];
        struct simulate s;
        for (int i = 0; i < 4; i++) {
            t[i] = (struct simulate_task){.ask = ask_of(5, 1, 1, kind ? 1 : 6), .wanted = true};
            t[i].ask.units = &two;
            t[i].ask.n_units = kind;
        }
        simulate(t, 4, NULL, 0, &m, &s);
        near(s.makespan, 20);
        assert_int_equal(s.bound, kind ? BOUND_UNIT : BOUND_MEMORY);
        assert_false(s.stuck);
        simulate_done(t, 4, &s);
        machine_done(&m);
    }
}

/* What no node can hold never starts, nor what needs it; all else does. */
static void stuck(void **state)
{
    struct machine m = described("core:2", 0, 10);
    struct simulate_task t[3] = {{.ask = ask_of(1, 1, 1, 11), .wanted = true},
                                 {.ask = ask_of(1, 1, 1, 0), .wanted = true},
                                 {.ask = ask_of(1, 1, 1, 10), .wanted = true}};
    const struct simulate_edge edge = {0, 1};
    struct simulate s;
    simulate(t, 3, &edge, 1, &m, &s);
    assert_true(s.stuck);
    assert_int_equal(t[0].cores + t[1].cores, 0);
    assert_int_equal(t[2].cores, 1);
    simulate_done(t, 3, &s);
    machine_done(&m);
}

/* ---- random graphs ---- */

struct graph {
    struct simulate_task t[N];
    struct simulate_edge edge[N * N];
    struct ask_unit unit[N][UNITS];
    int n, n_edges;
};

static const char *const topologies[] = {"core:2",
                                         "core:3 pu:2",
                                         "numa:2 core:4",
                                         "pack:2 l3:2 core:4 pu:2",
                                         "pack:2 numa:4 l3:2 core:8",
                                         "pack:4 numa:4 l3:4 core:16 pu:2"}; /* 1,024 cores */
#define TOPOLOGIES (sizeof topologies / sizeof *topologies)

static void random_ask(struct rng *r, struct graph *g, int i, int64_t memory)
{
    struct ask *a = &g->t[i].ask;
    int min = (int)rng_below(r, 6);
    *a = ask_of(1 + (double)rng_below(r, 20), min, min ? min + (int)rng_below(r, 40) : 0,
                rng_below(r, 3) ? 0 : 1 + (int64_t)rng_below(r, (uint32_t)memory));
    a->work.serial = rng_below(r, 2) ? 0 : a->work.parallel / (2 + (double)rng_below(r, 20));
    a->exclusive = rng_below(r, 15) == 0;
    a->policy = rng_below(r, 4) ? TOPO_COMPACT : TOPO_SPREAD;
    for (int u = 0; u < UNITS; u++)
        if (rng_below(r, 6) == 0)
            g->unit[i][a->n_units++] = (struct ask_unit){u, 1 + (int)rng_below(r, 3)};
    a->units = g->unit[i];
}

static void random_graph(struct rng *r, struct graph *g, int64_t memory)
{
    *g = (struct graph){.n = 1 + (int)rng_below(r, N)};
    for (int i = 0; i < g->n; i++) {
        bool fresh = false; /* what needs something that runs is no hit */
        random_ask(r, g, i, memory);
        g->t[i].wanted = true;
        for (int k = 0; k < i; k++)
            if (rng_below(r, 6) == 0) {
                g->edge[g->n_edges++] = (struct simulate_edge){k, i};
                fresh = fresh || !g->t[k].hit;
            }
        g->t[i].hit = !fresh && rng_below(r, 2);
    }
}

/* What runs on its node at the moment that i starts, i included. */
static void check_moment(const struct graph *g, const struct machine *m, int i)
{
    const struct simulate_task *t = g->t;
    int busy = 0, unit[UNITS] = {0};
    int64_t memory = 0;
    hwloc_bitmap_t all = hwloc_bitmap_alloc(), one = hwloc_bitmap_alloc();
    for (int k = 0; k < g->n; k++) {
        if (!t[k].cores || t[k].start > t[i].start || t[i].start >= t[k].end)
            continue;
        bool here = t[k].node == t[i].node;
        for (int u = 0; u < t[k].ask.n_units; u++)
            if (here || !m->unit[t[k].ask.units[u].unit].per_node)
                unit[t[k].ask.units[u].unit] += t[k].ask.units[u].count;
        if (!here)
            continue;
        busy += t[k].cores;
        memory += t[k].ask.memory;
        hwloc_bitmap_list_sscanf(one, t[k].cpuset);
        assert_int_equal(hwloc_bitmap_weight(one), t[k].cores);
        assert_false(hwloc_bitmap_intersects(one, all));
        hwloc_bitmap_or(all, all, one);
        assert_true(k == i || !(t[k].ask.exclusive || t[i].ask.exclusive));
    }
    assert_true(busy <= m->node[t[i].node].cores);
    assert_true(memory <= m->node[t[i].node].memory);
    for (int u = 0; u < UNITS; u++)
        assert_true(unit[u] <= m->unit[u].count);
    hwloc_bitmap_free(all);
    hwloc_bitmap_free(one);
}

static void check(const struct graph *g, const struct machine *m, const struct simulate *s)
{
    double work = 0;
    for (int i = 0; i < g->n_edges; i++)
        if (g->t[g->edge[i].to].cores)
            assert_true(g->t[g->edge[i].to].start >= g->t[g->edge[i].from].end);
    for (int i = 0; i < g->n; i++) {
        const struct simulate_task *t = &g->t[i];
        assert_int_equal(t->cores > 0, !t->hit);
        assert_true(t->end <= s->makespan);
        if (t->hit)
            continue;
        near(t->end - t->start, work_seconds(&t->ask.work, t->cores));
        assert_true(t->cores <= machine_widest(m) && (t->ask.cores_max == 0 || t->cores <= t->ask.cores_max));
        assert_true(t->cores >=
                    (t->ask.cores_min < machine_widest(m) ? t->ask.cores_min : machine_widest(m)));
        work += t->cores * (t->end - t->start);
        check_moment(g, m, i);
    }
    near(s->core_seconds, work);
    assert_true(s->makespan >= s->path_seconds - 1e-9);
    assert_true(s->makespan >= s->path_bound - 1e-9 && s->makespan >= s->work_bound - 1e-9);
    bool units = false, memory = false; /* what nobody asks for does not hold anybody up */
    for (int i = 0; i < g->n; i++) {
        units = units || (!g->t[i].hit && g->t[i].ask.n_units > 0);
        memory = memory || (!g->t[i].hit && g->t[i].ask.memory > 0);
    }
    assert_true(units || s->bound != BOUND_UNIT);
    assert_true(memory || s->bound != BOUND_MEMORY);
    for (int i = 1; i < s->n_path; i++)
        assert_true(g->t[s->path[i]].start >= g->t[s->path[i - 1]].end);
}

/* The same decisions by hand: looked up one by one, in a loop like that of a run, with its own clock. */
static void run_alike(const struct graph *g, struct machine *m)
{
    struct plan *p = plan_new(g->n, m);
    double end[N] = {0}, now = 0;
    bool prioritized = false;
    for (int i = 0; i < g->n; i++)
        plan_task(p, i, &g->t[i].ask);
    for (int i = 0; i < g->n_edges; i++)
        plan_edge(p, g->edge[i].from, g->edge[i].to);
    plan_start(p);
    for (;;) {
        int task, missed[N], n = 0, next = -1;
        struct plan_choice c;
        while ((task = plan_next_ready(p)) >= 0)
            if (g->t[task].hit)
                plan_hit(p, task);
            else
                missed[n++] = task;
        if (!prioritized)
            plan_prioritize(p);
        prioritized = true;
        while (n > 0)
            plan_miss(p, missed[--n]);
        while (plan_pick(p, now, &c)) {
            const struct simulate_task *t = &g->t[c.task];
            assert_true(fabs(now - t->start) < 1e-6);
            assert_int_equal(c.cores, t->cores);
            assert_int_equal(c.node, t->node);
            assert_string_equal(place_cpuset(c.place), t->cpuset);
            end[c.task] = t->end;
        }
        for (int i = 0; i < g->n; i++)
            if (plan_state(p, i) == TASK_RUN && (next < 0 || end[i] < end[next]))
                next = i;
        if (next < 0)
            break;
        now = end[next];
        for (int i = 0; i < g->n; i++)
            if (plan_state(p, i) == TASK_RUN && end[i] <= now)
                plan_done(p, i);
    }
    plan_free(p);
}

/* With the widths that were found all goes as it went. */
static void again(const struct graph *g, struct machine *m, const struct simulate *was)
{
    struct simulate_task t[N];
    struct simulate s;
    memcpy(t, g->t, sizeof t);
    simulate_as(was->plan, t, g->n, g->edge, g->n_edges, m, &s);
    assert_true(s.makespan == was->makespan && s.bound == was->bound);
    for (int i = 0; i < g->n; i++)
        assert_true(t[i].start == g->t[i].start && t[i].cores == g->t[i].cores && t[i].node == g->t[i].node);
    simulate_done(t, g->n, &s);
}

static void random_graphs(void **state)
{
    for (uint32_t k = 0; k < 2000; k++) {
        struct rng r = rng_at(rng_stream(3, "simulate"), k, 0);
        struct graph g;
        struct simulate s;
        int nodes = (int)rng_below(&r, 4);
        size_t which = rng_below(&r, k % 20 ? TOPOLOGIES - 1 : TOPOLOGIES); /* the largest takes longest */
        struct machine m = described(topologies[which], nodes, 100);
        random_graph(&r, &g, 100);
        for (int i = 0; k % 2 && i < g.n; i++) {
            g.t[i].ask.n_units = 0;
            g.t[i].ask.memory = 0;
        }
        simulate(g.t, g.n, g.edge, g.n_edges, &m, &s);
        check(&g, &m, &s);
        run_alike(&g, &m);
        again(&g, &m, &s);
        simulate_done(g.t, g.n, &s);
        simulate_fifo(g.t, g.n, g.edge, g.n_edges, &m, 4, &s);
        check(&g, &m, &s);
        simulate_done(g.t, g.n, &s);
        machine_done(&m);
    }
}

/* Graham (1969): a list schedule of one-core tasks ends no later than work / m + (1 - 1/m) x longest path. */
static void graham(void **state)
{
    for (uint32_t k = 0; k < 2000; k++) {
        struct rng r = rng_at(rng_stream(4, "graham"), k, 0);
        struct graph g;
        struct simulate s;
        struct machine m = described(topologies[rng_below(&r, 4)], 0, 0);
        random_graph(&r, &g, 100);
        for (int i = 0; i < g.n; i++) {
            g.t[i].ask = ask_of(1 + (double)rng_below(&r, 20), 1, 1, 0);
            g.t[i].hit = false;
        }
        simulate(g.t, g.n, g.edge, g.n_edges, &m, &s);
        double cores = machine_cores(&m);
        assert_true(s.makespan <= s.work_bound + (1 - 1 / cores) * s.path_bound + 1e-9);
        simulate_done(g.t, g.n, &s);
        machine_done(&m);
    }
}

/* A task that wants a whole machine, or all of its memory, while small ones of higher priority than their
 * worth never end: they take longer than was thought. It starts after a bounded number of them. */
static void no_starvation(void **state)
{
    enum { SMALL = 2000 };
    for (int kind = 0; kind < 6; kind++) { /* on one node, on two */
        struct machine m = described("core:4", kind < 3 ? 0 : 2, 100);
        const int cores = machine_cores(&m);
        struct plan *p = plan_new(SMALL + 1, &m);
        double end[SMALL + 1] = {0}, now = 0;
        int started = 0, running = 0;
        for (int i = 0; i < SMALL; i++)
            plan_task(
                p, i,
                &(struct ask){.work = {.parallel = 1e-3}, .cores_min = 1, .cores_max = 1, .memory = 10});
        struct ask wide = ask_of(10, kind % 3 == 0 ? 4 : 1, kind % 3 == 0 ? 4 : 1, kind % 3 == 1 ? 100 : 0);
        wide.exclusive = kind % 3 == 2;
        plan_task(p, SMALL, &wide);
        plan_start(p);
        for (int task; (task = plan_next_ready(p)) >= 0;)
            if (task != SMALL || started)
                plan_miss(p, task);
        struct plan_choice c;
        while (plan_pick(p, now, &c) && ++running < cores) /* it comes late, when all cores are taken */
            end[c.task] = now + 5 + c.task % 3;
        plan_postpone(p, SMALL);
        plan_retry(p, SMALL, now);
        bool wide_started = false;
        while (!wide_started) {
            int next = -1;
            while (plan_pick(p, now, &c)) {
                end[c.task] = now + 5 + c.task % 3;
                wide_started = wide_started || c.task == SMALL;
                started++;
            }
            assert_true(started < 150);
            for (int i = 0; i <= SMALL; i++)
                if (plan_state(p, i) == TASK_RUN && (next < 0 || end[i] < end[next]))
                    next = i;
            now = end[next];
            plan_done(p, next);
        }
        plan_free(p);
        machine_done(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand),       cmocka_unit_test(nothing_to_do),
                                       cmocka_unit_test(what_bounds),   cmocka_unit_test(stuck),
                                       cmocka_unit_test(random_graphs), cmocka_unit_test(graham),
                                       cmocka_unit_test(no_starvation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
