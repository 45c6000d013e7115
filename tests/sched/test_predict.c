/* The virtual clock: known graphs by hand, and what holds on random ones. */
#include "base/mem.h"
#include "base/rng.h"
#include "engine/sched/predict.h"
#include "tests/test.h"
#include <math.h>
#include <stdlib.h>

static void near(double is, double want)
{
    if (fabs(is - want) > 1e-9)
        fail_msg("%g, wanted %g", is, want);
}

/* 0 (hit) -> 1 -> 3, 0 -> 2 -> 3; 4 not wanted. */
static void by_hand(void **state)
{
    const struct predict_edge edge[] = {{0, 1}, {0, 2}, {1, 3}, {2, 3}, {3, 4}};
    for (int cores = 1; cores <= 2; cores++) {
        struct predict_task t[5] = {
            {.core_seconds = 99, .wanted = true, .hit = true, .memory = 1000},
            {.core_seconds = 10, .cores_min = 1, .cores_max = 1, .wanted = true, .memory = 5},
            {.core_seconds = 4, .cores_min = 1, .cores_max = 1, .wanted = true, .memory = 7},
            {.core_seconds = 2, .wanted = true, .memory = 3},
            {.core_seconds = 50}};
        struct predict p;
        predict(t, 5, edge, 5, cores, &p);
        near(p.makespan, cores == 1 ? 16 : 11);
        near(p.core_seconds, 16);
        assert_int_equal(p.memory, cores == 1 ? 7 : 12);
        assert_int_equal(p.n_path, 2);
        assert_int_equal(p.path[0], 1);
        assert_int_equal(p.path[1], 3);
        near(p.path_seconds, cores == 1 ? 12 : 11);
        assert_int_equal(t[0].cores + t[4].cores, 0);
        assert_int_equal(t[3].cores, cores);
        near(t[3].start, t[1].end > t[2].end ? t[1].end : t[2].end);
        free(p.path);
    }
}

static void nothing_to_do(void **state)
{
    struct predict_task t[2] = {{.core_seconds = 9, .wanted = true, .hit = true}, {.core_seconds = 9}};
    const struct predict_edge edge = {0, 1};
    struct predict p;
    predict(t, 2, &edge, 1, 4, &p);
    near(p.makespan + p.core_seconds + p.path_seconds, 0);
    assert_int_equal(p.n_path, 0);
    assert_int_equal(p.memory, 0);
    free(p.path);
}

enum { N = 40 };
static void check(const struct predict_task *t, int n, const struct predict_edge *edge, int n_edges,
                  int cores, const struct predict *p)
{
    double work = 0;
    for (int i = 0; i < n_edges; i++)
        if (t[edge[i].to].cores)
            assert_true(t[edge[i].to].start >= t[edge[i].from].end);
    for (int i = 0; i < n; i++) {
        int busy = 0;
        work += t[i].hit ? 0 : t[i].core_seconds;
        assert_int_equal(t[i].cores > 0, !t[i].hit);
        assert_true(t[i].end <= p->makespan);
        for (int k = 0; k < n; k++) /* whatever runs when i starts */
            busy += t[k].start <= t[i].start && t[i].start < t[k].end ? t[k].cores : 0;
        assert_true(busy <= cores);
    }
    near(p->core_seconds, work);
    assert_true(p->makespan * cores >= work - 1e-9 && p->makespan >= p->path_seconds - 1e-9);
    for (int i = 1; i < p->n_path; i++)
        assert_true(t[p->path[i]].start >= t[p->path[i - 1]].end);
}

static void random_graphs(void **state)
{
    for (uint32_t g = 0; g < 300; g++) {
        struct rng r = rng_at(rng_stream(3, "predict"), g, 0);
        struct predict_task t[N] = {0};
        struct predict_edge edge[N * N];
        int n = 1 + (int)rng_below(&r, N), n_edges = 0, cores = 1 + (int)rng_below(&r, 9);
        for (int i = 0; i < n; i++) {
            t[i] = (struct predict_task){.core_seconds = 1 + (double)rng_below(&r, 20), .wanted = true};
            bool fresh = false; /* what needs something that runs is no hit */
            for (int k = 0; k < i; k++)
                if (rng_below(&r, 6) == 0) {
                    edge[n_edges++] = (struct predict_edge){k, i};
                    fresh = fresh || !t[k].hit;
                }
            t[i].hit = !fresh && rng_below(&r, 2);
        }
        struct predict p;
        predict(t, n, edge, n_edges, cores, &p);
        check(t, n, edge, n_edges, cores, &p);
        free(p.path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand), cmocka_unit_test(nothing_to_do),
                                       cmocka_unit_test(random_graphs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
