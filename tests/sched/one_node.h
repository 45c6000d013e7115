/* A plan on one node without a topology, for tests. */
#ifndef TESTS_SCHED_ONE_NODE_H
#define TESTS_SCHED_ONE_NODE_H
#include "engine/sched/plan_impl.h"
#include "tests/test.h"

/* A node of so many cores; the plan borrows it. */
static struct machine_node one;
static struct machine alone = {.node = &one, .n = 1};

static inline struct plan *new_plan(int n, int cores)
{
    one = (struct machine_node){.cores = cores};
    return plan_new(n, &alone);
}

static inline void task_is(struct plan *p, int task, double seconds, int cores_min, int cores_max)
{
    plan_task(p, task,
              &(struct ask){.work = {.parallel = seconds}, .cores_min = cores_min, .cores_max = cores_max});
}

static inline void estimate_is(struct plan *p, int task, double seconds)
{
    plan_estimate(p, task, &(struct work){.parallel = seconds});
}

static inline bool pick(struct plan *p, double now, int *task, int *cores)
{
    struct plan_choice c;
    if (!plan_pick(p, now, &c))
        return false;
    assert_int_equal(c.node, 0);
    assert_null(c.place);
    *task = c.task;
    *cores = c.cores;
    return true;
}

static inline int look(struct plan *p)
{
    int task, n = 0;
    for (; (task = plan_next_ready(p)) >= 0; n++)
        plan_miss(p, task);
    return n;
}

#endif
