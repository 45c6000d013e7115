/* What changes while a plan is at work: attempts that come again, estimates and memory told later, nodes that
 * go; and what passes whom. */
#include "tests/sched/one_node.h"
#include <math.h>

/* An attempt that failed is made again at its time, while others go on. */
static void delayed(void **state)
{
    struct plan *p = new_plan(2, 2);
    int task, cores;
    task_is(p, 0, 5, 1, 1);
    task_is(p, 1, 1, 1, 1);
    plan_start(p);
    look(p);
    assert_true(pick(p, 0, &task, &cores) && task == 0);
    assert_true(isinf(plan_due(p)));
    plan_retry(p, 0, 10);
    assert_true(plan_due(p) == 10);
    assert_true(pick(p, 1, &task, &cores) && task == 1);
    assert_false(pick(p, 9.9, &task, &cores));
    plan_done(p, 1);
    assert_false(plan_finished(p));
    assert_false(pick(p, 9.99, &task, &cores));
    assert_true(pick(p, 10, &task, &cores) && task == 0);
    assert_true(isinf(plan_due(p)));
    plan_retry(p, 0, 20);
    plan_failed(p, 0, false); /* meanwhile */
    assert_false(pick(p, 30, &task, &cores));
    assert_true(plan_finished(p));
    plan_free(p);
}

/* It asks for more memory when it comes again, and waits for that. */
static void more_memory(void **state)
{
    struct plan *p = new_plan(2, 2);
    int task, cores;
    one.memory = 10;
    plan_free(p);
    p = plan_new(2, &alone);
    for (int i = 0; i < 2; i++)
        plan_task(p, i,
                  &(struct ask){.work = {.parallel = 5 - i}, .cores_min = 1, .cores_max = 1, .memory = 4});
    plan_start(p);
    look(p);
    assert_true(pick(p, 0, &task, &cores) && pick(p, 0, &task, &cores));
    plan_retry(p, 0, 0);
    plan_remember(p, 0, 8);
    assert_false(pick(p, 1, &task, &cores));
    assert_int_equal(plan_held(p), 0);
    plan_done(p, 1);
    assert_true(pick(p, 2, &task, &cores) && task == 0);
    plan_done(p, 0);
    plan_free(p);
}

/* Tasks of which nothing is known share the cores evenly. */
static void unknown_work(void **state)
{
    struct plan *p = new_plan(4, 8);
    int task, cores;
    plan_start(p);
    look(p);
    for (int i = 0; i < 4; i++) {
        assert_true(pick(p, 0, &task, &cores));
        assert_int_equal(cores, 2);
    }
    plan_free(p);
}

/* An estimate may be anything. */
static void endless(void **state)
{
    enum { N = 20000 };
    struct plan *p = new_plan(N, 8);
    int task, cores;
    for (int i = 0; i < N; i++)
        task_is(p, i, i < 10 ? HUGE_VAL : 1e10, 0, 0);
    for (int i = 10; i < N; i++)
        plan_hold(p, i);
    plan_start(p);
    plan_prioritize(p);
    for (int i = 10; i < N; i++)
        plan_release(p, i);
    assert_int_equal(look(p), N);
    assert_true(p->work > 0);
    assert_true(pick(p, 0, &task, &cores));
    plan_free(p);
    p = new_plan(3, 8);
    for (int i = 0; i < 3; i++)
        task_is(p, i, HUGE_VAL, 0, 0);
    plan_start(p);
    plan_prioritize(p);
    assert_int_equal(look(p), 3);
    assert_true(pick(p, 0, &task, &cores));
    plan_free(p);
}

/* A memory that is told again and again, of a task that has room but waits for more cores. */
static void remembered_often(void **state)
{
    struct plan *p = new_plan(3, 4);
    int task, cores;
    task_is(p, 0, 1, 2, 2);
    task_is(p, 1, 100, 1, 0);
    task_is(p, 2, 99, 1, 1);
    plan_start(p);
    assert_int_equal(plan_next_ready(p), 1);
    assert_int_equal(plan_next_ready(p), 2);
    assert_int_equal(plan_next_ready(p), 0);
    plan_miss(p, 0);
    assert_true(pick(p, 0, &task, &cores) && task == 0);
    plan_miss(p, 1);
    plan_miss(p, 2);
    for (int i = 0; i < 40; i++)
        plan_remember(p, 1, i % 2);
    plan_pick(p, 0, &(struct plan_choice){0});
    assert_int_equal(plan_held(p), 1);
    plan_free(p);
}

/* What is over is not waited for. */
static void due_no_more(void **state)
{
    struct plan *p = new_plan(3, 3);
    int task, cores;
    plan_start(p);
    look(p);
    while (pick(p, 0, &task, &cores))
        ;
    assert_int_equal(plan_count(p, TASK_RUN), 3);
    plan_retry(p, 0, 5);
    plan_retry(p, 1, 7);
    assert_true(plan_due(p) == 5);
    plan_failed(p, 0, true);
    assert_true(plan_due(p) == 7);
    plan_failed(p, 2, false);
    assert_true(isinf(plan_due(p)));
    plan_free(p);
}

/* Room is kept for a task of several cores; one with a unit on another node does not delay it when that task
 * asks for none, nor when each node has its own. */
static void units_pass(void **state)
{
    struct machine_unit unit = {.name = "gpu", .count = 2};
    struct machine_node node[2] = {{.name = "a", .cores = 4}, {.name = "b", .cores = 2}};
    struct machine m = {.node = node, .n = 2, .unit = &unit, .n_units = 1};
    const struct ask_unit one_gpu = {0, 1};
    for (int kind = 0; kind < 4; kind++) { /* the wide one: without a unit, with one; of all nodes, of each */
        unit.per_node = kind > 1;
        struct plan *p = plan_new(3, &m);
        struct plan_choice c;
        task_is(p, 0, 10, 1, 1);
        struct ask wide = {.work = {.parallel = 1000},
                           .cores_min = 4,
                           .cores_max = 4,
                           .units = &one_gpu,
                           .n_units = kind % 2},
                   gpu = {.work = {.serial = 50},
                          .cores_min = 1,
                          .cores_max = 1,
                          .units = &one_gpu,
                          .n_units = 1};
        plan_task(p, 1, &wide);
        plan_task(p, 2, &gpu);
        plan_start(p);
        assert_int_equal(plan_next_ready(p), 1);
        assert_int_equal(plan_next_ready(p), 2);
        assert_int_equal(plan_next_ready(p), 0);
        plan_node(p, 1, false);
        plan_miss(p, 0);
        assert_true(plan_pick(p, 0, &c) && c.task == 0 && c.node == 0);
        plan_node(p, 1, true);
        plan_miss(p, 1);
        plan_miss(p, 2);
        bool picked = plan_pick(p, 0, &c);
        assert_int_equal(plan_held(p), 1);
        assert_int_equal(picked, kind != 1);
        assert_true(!picked || (c.task == 2 && c.node == 1));
        plan_free(p);
    }
}

/* A chain of five and some beside it; hundreds more that are held to the end, or a second node that is gone.
 */
static double chain_takes(int held, int gone)
{
    struct machine_node node[2] = {{.name = "a", .cores = 8}, {.name = "b", .cores = 64}};
    struct machine m = {.node = node, .n = 1 + gone};
    struct plan *p = plan_new(9 + held, &m);
    for (int i = 0; i < 9 + held; i++) {
        plan_task(p, i, &(struct ask){.work = {.serial = 2, .parallel = 40}, .cores_min = 1, .cores_max = 8});
        if (i > 0 && i < 5)
            plan_edge(p, i - 1, i);
        if (i >= 9)
            plan_hold(p, i);
    }
    plan_start(p);
    if (gone)
        plan_node(p, 1, false);
    plan_prioritize(p);
    double end = plan_drive(p, NULL, NULL, NULL);
    plan_free(p);
    return end;
}

/* Widths are for what can run. */
static void widths_of_what_can_run(void **state)
{
    double end = chain_takes(0, 0);
    assert_true(chain_takes(300, 0) <= 1.01 * end);
    assert_true(chain_takes(0, 1) <= 1.01 * end);
}

/* Two nodes, one of which goes: what needs its width waits until it is back, others use what is there. */
static void nodes(void **state)
{
    struct machine_node node[2] = {{.name = "small", .cores = 1}, {.name = "large", .cores = 4}};
    struct machine m = {.node = node, .n = 2};
    struct plan *p = plan_new(3, &m);
    struct plan_choice c;
    task_is(p, 0, 90, 4, 4);
    task_is(p, 1, 5, 1, 1);
    task_is(p, 2, 4, 1, 1);
    plan_start(p);
    look(p);
    assert_true(plan_fits(p, 0));
    assert_true(plan_pick(p, 0, &c) && c.task == 0 && c.node == 1);
    plan_node(p, 1, false);
    plan_retry(p, 0, 0);
    assert_false(plan_fits(p, 0));
    assert_true(plan_pick(p, 0, &c) && c.task == 1 && c.node == 0 && c.cores == 1);
    assert_false(plan_pick(p, 0, &c));
    plan_done(p, 1);
    assert_true(plan_pick(p, 1, &c) && c.task == 2 && c.node == 0);
    plan_done(p, 2);
    assert_false(plan_pick(p, 2, &c));
    assert_false(plan_finished(p));
    plan_node(p, 1, true);
    assert_true(plan_pick(p, 3, &c) && c.task == 0 && c.node == 1);
    plan_done(p, 0);
    assert_true(plan_finished(p));
    plan_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(delayed),
                                       cmocka_unit_test(more_memory),
                                       cmocka_unit_test(unknown_work),
                                       cmocka_unit_test(endless),
                                       cmocka_unit_test(remembered_often),
                                       cmocka_unit_test(due_no_more),
                                       cmocka_unit_test(units_pass),
                                       cmocka_unit_test(widths_of_what_can_run),
                                       cmocka_unit_test(nodes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
