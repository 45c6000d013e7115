/* The plan on random graphs with virtual time: dependencies, no oversubscription, work conservation,
 * failures. */
#include "base/mem.h"
#include "base/rng.h"
#include "tests/sched/one_node.h"
#include <math.h>
#include <stdlib.h>

struct world {
    int n, cores, free;
    bool edge[40][40]; /* [from][to], from < to */
    double length[40], end[40];
    int min[40], max[40], held[40];
    struct plan *plan;
};

static void make(struct world *w, struct rng *r)
{
    memset(w, 0, sizeof *w);
    w->n = 1 + (int)rng_below(r, 40);
    w->cores = w->free = 1 + (int)rng_below(r, 16);
    w->plan = new_plan(w->n, w->cores);
    for (int i = 0; i < w->n; i++) {
        w->length[i] = 1 + (double)rng_below(r, 20);
        w->min[i] = (int)rng_below(r, 6);
        w->max[i] = w->min[i] ? w->min[i] + (int)rng_below(r, 6) : 0;
        task_is(w->plan, i, w->length[i], w->min[i], w->max[i]);
        for (int k = 0; k < i; k++)
            if (rng_below(r, 8) == 0) {
                w->edge[k][i] = true;
                plan_edge(w->plan, k, i);
            }
    }
    plan_start(w->plan);
}

static void check_dependencies(const struct world *w, int task)
{
    for (int k = 0; k < task; k++)
        if (w->edge[k][task])
            assert_true(plan_state(w->plan, k) == TASK_DONE || plan_state(w->plan, k) == TASK_HIT);
}

static int clamp(const struct world *w, int cores)
{
    return cores < 1 || cores > w->cores ? w->cores : cores;
}

static void start_tasks(struct world *w, struct rng *r, double now)
{
    int task, cores, waiting = 0;
    bool widest = true;
    while ((task = plan_next_ready(w->plan)) >= 0) {
        check_dependencies(w, task);
        if (rng_below(r, 5) == 0)
            plan_hit(w->plan, task);
        else
            plan_miss(w->plan, task);
    }
    while (pick(w->plan, now, &task, &cores)) {
        check_dependencies(w, task);
        int least = w->min[task] < w->cores ? w->min[task] : w->cores;
        assert_true(cores >= 1 && cores >= least && cores <= w->free);
        if (w->max[task] && w->max[task] <= w->cores)
            assert_true(cores <= w->max[task]);
        w->free -= cores;
        w->held[task] = cores;
        widest = widest && cores == clamp(w, w->max[task]);
        w->end[task] = now + w->length[task] / cores;
    }
    /* work conserving: no ready task would fit into what is free, unless one waits for what runs to end */
    bool running = plan_count(w->plan, TASK_RUN) > 0;
    assert_true(plan_held(w->plan) < 0 || running);
    for (int i = 0; i < w->n; i++)
        if (plan_state(w->plan, i) == TASK_READY && ++waiting)
            assert_true(plan_held(w->plan) >= 0 || (w->min[i] < 1          ? 1
                                                    : w->min[i] > w->cores ? w->cores
                                                                           : w->min[i]) > w->free);
    /* nothing idles that a task just started could have used, but by rules that give each a width */
    assert_true(waiting || w->free == 0 || widest || w->plan->policy.rule != WIDTH_SHARE);
}

/* What ended tells what others will take, those among them that were found missing already; at times all is
 * weighed anew. */
static void learn(struct world *w, struct rng *r)
{
    for (int i = 0; i < w->n; i++) {
        enum task_state s = plan_state(w->plan, i);
        if ((s != TASK_WAIT && s != TASK_READY) || rng_below(r, 3))
            continue;
        estimate_is(w->plan, i, w->length[i] * (rng_below(r, 2) ? 100 : 0.01));
        for (uint32_t k = rng_below(r, 4); k > 0; k--)
            plan_remember(w->plan, i, rng_below(r, 3));
    }
    if (rng_below(r, 4) == 0)
        plan_prioritize(w->plan);
}

/* The plan's sums over what is missed, by its own account and anew. */
static void check_sums(const struct plan *p)
{
    int n = 0;
    int64_t demand = 0, wanted = 0, work = 0;
    for (int i = 0; i < p->n; i++) {
        const struct vertex *v = &p->vertex[i];
        if (!v->missed)
            continue;
        assert_int_equal(v->state, TASK_READY);
        n++;
        demand += v->ask.cores_max;
        wanted += v->width;
        work += plan_ticks(v);
    }
    assert_int_equal(n, p->n_missed);
    assert_int_equal(demand, p->demand);
    assert_int_equal(wanted, p->wanted);
    assert_int_equal(work, p->work);
}

static int next_end(const struct world *w)
{
    int best = -1;
    for (int i = 0; i < w->n; i++)
        if (plan_state(w->plan, i) == TASK_RUN && (best < 0 || w->end[i] < w->end[best]))
            best = i;
    return best;
}

static void simulate(struct rng *r, bool failures, bool keep_going)
{
    struct world w;
    make(&w, r);
    bool failed = false;
    double now = 0;
    for (;;) {
        start_tasks(&w, r, now);
        check_sums(w.plan);
        int task = next_end(&w);
        if (task < 0)
            break;
        now = w.end[task];
        if (rng_below(r, 4) == 0)
            learn(&w, r);
        w.free += w.held[task];
        if (failures && rng_below(r, 10) == 0) {
            plan_failed(w.plan, task, keep_going);
            failed = true;
        } else if (!(failed && !keep_going) && rng_below(r, 10) == 0) {
            plan_retry(w.plan, task, now);
        } else {
            plan_done(w.plan, task);
        }
    }
    assert_true(plan_finished(w.plan));
    assert_int_equal(w.free, w.cores);
    if (!failed)
        assert_int_equal(plan_count(w.plan, TASK_DONE) + plan_count(w.plan, TASK_HIT), w.n);
    for (int i = 0; failed && keep_going && i < w.n;
         i++) { /* skipped exactly when something it needs is not there */
        bool missing = false;
        for (int k = 0; k < i; k++)
            missing = missing || (w.edge[k][i] && plan_state(w.plan, k) >= TASK_FAILED);
        assert_int_equal(missing, plan_state(w.plan, i) == TASK_SKIPPED);
    }
    plan_free(w.plan);
}

static void random_graphs(void **state)
{
    for (uint64_t seed = 0; seed < 1500; seed++) {
        struct rng r = rng_at(rng_stream(seed, "plan"), 0, 0);
        simulate(&r, false, false);
        simulate(&r, true, false);
        simulate(&r, true, true);
    }
}

static void critical_path_first(void **state)
{
    struct plan *p = new_plan(4, 1); /* 0 -> 1, and 2, 3 alone */
    static const double seconds[] = {1, 5, 4, 2};
    for (int i = 0; i < 4; i++)
        task_is(p, i, seconds[i], 1, 1);
    plan_edge(p, 0, 1);
    plan_start(p);
    assert_true(plan_priority(p, 0) == 6);
    static const int want[] = {0, 1, 2, 3};
    for (int i = 0; i < 4; i++) {
        int task, cores;
        while ((task = plan_next_ready(p)) >= 0)
            plan_miss(p, task);
        assert_true(pick(p, 0, &task, &cores));
        assert_int_equal(task, want[i]);
        assert_false(pick(p, 0, &task, &cores));
        plan_done(p, want[i]);
    }
    plan_free(p);
}

static void widths(void **state)
{
    struct plan *p = new_plan(4, 8);
    for (int i = 0; i < 4; i++)
        task_is(p, i, 1, 0, i == 3 ? 1 : 0);
    plan_exclude(p, 2);
    plan_start(p);
    int task, cores, sum = 0, n = 0;
    while ((task = plan_next_ready(p)) >= 0)
        plan_miss(p, task);
    while (pick(p, 0, &task, &cores)) {
        assert_int_not_equal(task, 2);
        sum += cores;
        n++;
        if (task == 3)
            assert_int_equal(cores, 1);
    }
    assert_int_equal(n, 3);
    assert_int_equal(sum, 8);
    plan_free(p);
}

/* Of two tasks that are ready together the long one gets the cores its work is worth. */
static void width_follows_work(void **state)
{
    static const struct {
        double seconds[2];
        int cores, want[2];
    } cases[] = {{{100, 1}, 2, {2, 0}}, {{10, 10}, 8, {4, 4}}, {{30, 10}, 8, {6, 2}}, {{3, 2}, 2, {1, 1}}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct plan *p = new_plan(2, cases[c].cores);
        int task, cores, got[2] = {0, 0};
        for (int i = 0; i < 2; i++)
            task_is(p, i, cases[c].seconds[i], 0, 0);
        plan_start(p);
        while ((task = plan_next_ready(p)) >= 0)
            plan_miss(p, task);
        while (pick(p, 0, &task, &cores))
            got[task] = cores;
        assert_int_equal(got[0], cases[c].want[0]);
        assert_int_equal(got[1], cases[c].want[1]);
        plan_free(p);
    }
}

/* Task 1 becomes ready while a short one still has one of two cores: it waits, and then has both. A short one
 * may slip in meanwhile, a long one may not; and a task that is hardly longer than what runs starts at once.
 */
static void waits_for_width(void **state)
{
    static const struct {
        double seconds, other;
        bool waits, slips;
    } cases[] = {{100, 1, true, true}, {100, 5, true, false}, {3, 50, false, false}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct plan *p = new_plan(4, 2);
        int task, cores;
        task_is(p, 0, 1, 1, 1); /* the source */
        task_is(p, 1, cases[c].seconds, 0, 0);
        task_is(p, 2, 2, 1, 1); /* runs beside the source, longer */
        task_is(p, 3, cases[c].other, 1, 1);
        plan_edge(p, 0, 1);
        plan_edge(p, 0, 3);
        plan_start(p);
        while ((task = plan_next_ready(p)) >= 0)
            plan_miss(p, task);
        assert_true(pick(p, 0, &task, &cores) && pick(p, 0, &task, &cores));
        plan_done(p, 0);
        while ((task = plan_next_ready(p)) >= 0)
            plan_miss(p, task);
        bool picked = pick(p, 0, &task, &cores);
        assert_int_equal(plan_held(p), cases[c].waits ? 1 : -1);
        assert_int_equal(picked, !cases[c].waits || cases[c].slips);
        if (picked)
            assert_int_equal(task, 3);
        plan_done(p, 2);
        if (picked)
            plan_done(p, 3);
        assert_true(pick(p, 0, &task, &cores));
        assert_int_equal(task, 1);
        assert_int_equal(cores, 2);
        plan_free(p);
    }
}

/* Estimates that change after some tasks were hits: the order follows them, and no dependency is lost. */
static void estimates_later(void **state)
{
    static const int asked[] = {2, 3, 1, 4}, picked[] = {2, 5, 3, 1, 4};
    struct plan *p = new_plan(6, 1);
    int task, cores;
    for (int i = 0; i < 6; i++)
        task_is(p, i, 10 - i, 0, 0);
    plan_edge(p, 0, 1); /* 0 -> 1, 0 -> 2 -> 5; 3 and 4 alone */
    plan_edge(p, 0, 2);
    plan_edge(p, 2, 5);
    plan_start(p);
    assert_int_equal(plan_next_ready(p), 0);
    plan_hit(p, 0);
    estimate_is(p, 3, 50);
    estimate_is(p, 4, 1);
    estimate_is(p, 5, 100);
    plan_prioritize(p);
    assert_int_equal((int)plan_priority(p, 2), 108);
    assert_int_equal((int)plan_priority(p, 1), 9);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(plan_next_ready(p), asked[i]);
        plan_miss(p, asked[i]);
    }
    assert_int_equal(plan_next_ready(p), -1);
    for (int i = 0; i < 5; i++) {
        assert_true(pick(p, 0, &task, &cores));
        assert_int_equal(task, picked[i]);
        plan_done(p, task);
        while ((task = plan_next_ready(p)) >= 0)
            plan_miss(p, task);
    }
    assert_true(plan_finished(p));
    plan_free(p);
}

static void run_one(struct plan *p, int want)
{
    int task = -1, cores;
    look(p);
    assert_false(plan_finished(p));
    assert_true(pick(p, 0, &task, &cores));
    assert_int_equal(task, want);
    assert_false(plan_finished(p));
    plan_done(p, task);
}

/* 0 -> 1 -> 2 -> 3 with holds on 1 (two of them) and 3, and 4 alone. */
static void holds(void **state)
{
    struct plan *p = new_plan(5, 1);
    for (int i = 0; i < 5; i++)
        task_is(p, i, 10 - i, 1, 1);
    for (int i = 0; i < 3; i++)
        plan_edge(p, i, i + 1);
    plan_hold(p, 0);
    plan_release(p, 0); /* before the start already */
    plan_hold(p, 1);
    plan_hold(p, 1);
    plan_hold(p, 3);
    plan_start(p);
    assert_true(plan_priority(p, 0) == 34 && plan_priority(p, 1) == 24); /* as without holds */
    plan_release(p, 4);                                                  /* no hold: nothing happens */
    run_one(p, 0);
    run_one(p, 4);
    assert_int_equal(look(p), 0);
    assert_true(plan_finished(p));
    plan_release(p, 1);
    assert_int_equal(look(p), 0);
    assert_int_equal(plan_state(p, 1), TASK_WAIT);
    assert_true(plan_finished(p));
    plan_release(p, 1);
    run_one(p, 1);
    run_one(p, 2);
    assert_true(plan_finished(p));
    assert_int_equal(plan_count(p, TASK_WAIT), 1);
    plan_release(p, 3);
    plan_release(p, 3);
    run_one(p, 3);
    assert_true(plan_finished(p));
    assert_int_equal(plan_count(p, TASK_DONE), 5);
    plan_free(p);
}

/* A hold that goes while what the task needs still runs; and one on a task that a failure skips. */
static void holds_and_edges(void **state)
{
    struct plan *p = new_plan(3, 1);
    int task, cores;
    plan_edge(p, 0, 1);
    plan_edge(p, 1, 2);
    plan_hold(p, 1);
    plan_hold(p, 2);
    plan_start(p);
    look(p);
    assert_true(pick(p, 0, &task, &cores));
    plan_release(p, 1);
    assert_int_equal(look(p), 0);
    plan_done(p, 0);
    assert_int_equal(look(p), 1);
    assert_true(pick(p, 0, &task, &cores));
    plan_failed(p, 1, true);
    plan_release(p, 2);
    assert_int_equal(look(p), 0);
    assert_int_equal(plan_state(p, 2), TASK_SKIPPED);
    assert_true(plan_finished(p));
    plan_free(p);
}

/* Many tasks, all of them waiting at once: every event costs a heap operation, not a walk. */
static void many(void **state)
{
    enum { N = 200000 };
    struct plan *p = new_plan(N + 1, 64);
    for (int i = 0; i < N; i++) {
        task_is(p, i, i % 97, 0, 1);
        plan_edge(p, i, N);
    }
    plan_start(p);
    int task, cores, done = 0, held[64], n = 0;
    while (!plan_finished(p)) {
        while ((task = plan_next_ready(p)) >= 0)
            plan_miss(p, task);
        while (pick(p, 0, &task, &cores))
            held[n++] = task;
        plan_done(p, held[--n]);
        done++;
    }
    assert_int_equal(done, N + 1);
    assert_int_equal(plan_count(p, TASK_DONE), N + 1);
    plan_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_graphs),
                                       cmocka_unit_test(critical_path_first),
                                       cmocka_unit_test(widths),
                                       cmocka_unit_test(width_follows_work),
                                       cmocka_unit_test(waits_for_width),
                                       cmocka_unit_test(estimates_later),
                                       cmocka_unit_test(many),
                                       cmocka_unit_test(holds),
                                       cmocka_unit_test(holds_and_edges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
