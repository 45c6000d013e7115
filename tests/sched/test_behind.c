/* A task behind another on the same cores: it is the one that would start there afterwards, it holds what the
 * other held and nothing else, and it can be taken back as if nothing had been. */
#include "base/mem.h"
#include "base/rng.h"
#include "tests/sched/one_node.h"
#include <string.h>

enum { N = 40, CPUS = 64 };

struct world {
    int n, next[N], before[N]; /* behind whom, -1: nobody */
    double end[N];
    struct plan *plan;
    struct machine *machine;
};

static void open_machine(struct machine *m, int nodes)
{
    const struct machine_options o = {.topo.source = "pack:1 numa:2 l3:2 core:2 pu:1", .nodes = nodes};
    struct error err = {0};
    if (!machine_open(&o, m, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < m->n; i++)
        m->node[i].memory = 8;
}

static void make(struct world *w, struct machine *m, struct rng *r)
{
    *w = (struct world){.n = 5 + (int)rng_below(r, N - 4), .machine = m};
    w->plan = plan_new(w->n, m);
    bool alike = rng_below(r, 2) == 0;
    for (int i = 0; i < w->n; i++) {
        int least = alike || rng_below(r, 4) ? 1 : 1 + (int)rng_below(r, 3);
        const struct ask ask = {.work = {.parallel = 1 + rng_below(r, 9)},
                                .cores_min = least,
                                .cores_max = alike ? least : least + (int)rng_below(r, 2),
                                .memory = alike || rng_below(r, 3) ? 0 : 1 + rng_below(r, 4),
                                .exclusive = !alike && rng_below(r, 12) == 0,
                                .policy = alike || rng_below(r, 5) ? TOPO_COMPACT : TOPO_SPREAD};
        w->next[i] = w->before[i] = -1;
        plan_task(w->plan, i, &ask);
        for (int k = 0; k < i; k++)
            for (uint32_t e = rng_below(r, 12) == 0 ? 1 + rng_below(r, 2) : 0; e > 0; e--)
                plan_edge(w->plan, k, i);
    }
    plan_start(w->plan);
}

static bool at_work(const struct world *w, int i)
{
    return plan_state(w->plan, i) == TASK_RUN && w->before[i] < 0;
}

/* By what the plan says of who is at work, and of the second of each pair in place of the first: no core is
 * anybody else's, no node gives more memory than it has, and who wants one alone has it. */
static void check_room(const struct world *w)
{
    for (int node = 0; node < w->machine->n; node++) {
        bool taken[CPUS] = {false};
        int64_t memory = 0;
        int running = 0, exclusive = 0, cores = 0;
        for (int i = 0; i < w->n; i++) {
            const struct vertex *v = &w->plan->vertex[i];
            if (v->state != TASK_RUN || v->gone || v->node != node)
                continue;
            assert_int_equal(w->next[i], -1);
            running++;
            exclusive += v->ask.exclusive;
            memory += v->ask.memory;
            cores += v->cores;
            char text[64];
            snprintf(text, sizeof text, "%s", place_cpuset(v->place));
            for (char *at = text; *at;) {
                long first = strtol(at, &at, 10), last = *at == '-' ? strtol(at + 1, &at, 10) : first;
                for (at += *at == ','; first <= last; first++) {
                    assert_false(taken[first]);
                    taken[first] = true;
                }
            }
        }
        const struct room *room = &w->plan->room[node];
        assert_int_equal(room->running, running);
        assert_int_equal(room->cores + cores, w->machine->node[node].cores);
        assert_true(memory <= w->machine->node[node].memory);
        assert_true(exclusive == 0 || running == 1);
    }
}

static void begin(struct world *w, const struct plan_choice *c, double now)
{
    w->end[c->task] = now + work_seconds(&w->plan->vertex[c->task].ask.work, c->cores);
}

/* As a run does: all that fits, then one behind each that has none. */
static void start_tasks(struct world *w, struct rng *r, double now)
{
    struct plan_choice c;
    look(w->plan);
    while (plan_pick(w->plan, now, &c))
        begin(w, &c, now);
    for (int i = 0; i < w->n; i++) {
        if (!at_work(w, i) || w->next[i] >= 0 || rng_below(r, 4) == 0)
            continue;
        int missed = w->plan->n_missed;
        struct vertex was = w->plan->vertex[i];
        if (!plan_pick_behind(w->plan, i, now, &c)) {
            assert_memory_equal(&was, &w->plan->vertex[i], sizeof was);
            continue;
        }
        assert_int_equal(w->plan->n_missed, missed - 1);
        assert_ptr_equal(c.place, was.place);
        assert_null(w->plan->vertex[i].place);
        for (size_t k = 0; k < was.n_next; k++) /* what needs it had better run near it all the same */
            assert_true(w->plan->vertex[was.next[k]].near_task >= 0);
        assert_int_equal(c.cores, was.cores);
        assert_int_equal(c.node, was.node);
        w->next[i] = c.task;
        w->before[c.task] = i;
    }
}

static void take_back(struct world *w, int task)
{
    int next = w->next[task];
    w->next[task] = w->before[next] = -1;
    plan_take_back(w->plan, next, task);
    assert_int_equal(plan_state(w->plan, next), TASK_READY);
    assert_int_equal(plan_state(w->plan, task), TASK_RUN);
}

/* Taken back and waited for, it is picked just where it would have followed. */
static void as_later(struct world *w, int task, double now)
{
    int next = w->next[task];
    struct plan_choice c;
    take_back(w, task);
    check_room(w);
    bool first = w->plan->n_delayed == 0 && plan_first_missed(w->plan, NULL) == next; /* as it was then */
    plan_leave(w->plan, task);
    assert_int_equal(plan_state(w->plan, task), TASK_RUN);
    bool picked = plan_pick(w->plan, now, &c);
    if (picked)
        begin(w, &c, now);
    if (first)
        assert_true(picked && c.task == next && c.cores == w->plan->vertex[task].cores);
    plan_done(w->plan, task);
}

static void end_task(struct world *w, struct rng *r, int task, double now)
{
    int next = w->next[task];
    if (next >= 0 && rng_below(r, 3) == 0 && !plan_opens(w->plan, task)) {
        as_later(w, task, now);
        return;
    }
    if (next >= 0 && rng_below(r, 4) == 0)
        take_back(w, task);
    else if (next >= 0) { /* it follows */
        w->before[next] = w->next[task] = -1;
        begin(w, &(struct plan_choice){.task = next, .cores = w->plan->vertex[next].cores}, now);
    }
    if (rng_below(r, 3) == 0)
        plan_leave(w->plan, task);
    if (rng_below(r, 12) == 0)
        plan_retry(w->plan, task, now);
    else if (rng_below(r, 20) == 0)
        plan_failed(w->plan, task, true);
    else
        plan_done(w->plan, task);
}

static int ends_first(const struct world *w)
{
    int best = -1;
    for (int i = 0; i < w->n; i++)
        if (at_work(w, i) && (best < 0 || w->end[i] < w->end[best]))
            best = i;
    return best;
}

static int simulate(struct rng *r, struct machine *m)
{
    struct world w;
    double now = 0;
    int behind = 0, task;
    make(&w, m, r);
    for (;;) {
        start_tasks(&w, r, now);
        check_room(&w);
        for (int i = 0; i < w.n; i++)
            behind += w.next[i] >= 0;
        if ((task = ends_first(&w)) < 0)
            break;
        now = w.end[task];
        end_task(&w, r, task, now);
    }
    assert_true(plan_finished(w.plan));
    assert_int_equal(plan_count(w.plan, TASK_DONE) + plan_count(w.plan, TASK_FAILED) +
                         plan_count(w.plan, TASK_SKIPPED),
                     w.n);
    plan_free(w.plan);
    return behind;
}

static void random_graphs(void **state)
{
    int behind = 0;
    for (int nodes = 0; nodes < 3; nodes++) {
        struct machine m;
        open_machine(&m, nodes);
        for (uint64_t seed = 0; seed < 400; seed++) {
            struct rng r = rng_at(rng_stream(seed, "behind"), (uint64_t)nodes, 0);
            behind += simulate(&r, &m);
        }
        machine_done(&m);
    }
    assert_true(behind > 1000);
}

/* One behind another, and back at once, now and then. */
static void disturb(struct world *w, struct rng *r, double now)
{
    for (int i = 0; i < w->n; i++) {
        struct plan_choice c;
        if (plan_state(w->plan, i) == TASK_RUN && rng_below(r, 2) && plan_pick_behind(w->plan, i, now, &c))
            plan_take_back(w->plan, c.task, i);
    }
}

/* A plan in which that happens decides like one in which it does not. */
static void as_if_nothing_had_been(void **state)
{
    struct machine m[2];
    int picked = 0;
    for (int i = 0; i < 2; i++)
        open_machine(&m[i], 2);
    for (uint64_t seed = 0; seed < 600; seed++) {
        struct rng chance = rng_at(rng_stream(seed, "chance"), 0, 0);
        struct world w[2];
        double now = 0;
        for (int i = 0; i < 2; i++) {
            struct rng same = rng_at(rng_stream(seed, "world"), 0, 0);
            make(&w[i], &m[i], &same);
        }
        for (int task; (task = ends_first(&w[0])) >= 0 || now == 0;) {
            struct plan_choice a, b;
            now = task >= 0 ? w[0].end[task] : now;
            for (int i = 0; task >= 0 && i < 2; i++)
                plan_done(w[i].plan, task);
            for (int i = 0; i < 2; i++) {
                look(w[i].plan);
                if (now == 0 && seed % 2)
                    plan_prioritize(w[i].plan);
            }
            disturb(&w[1], &chance, now);
            for (bool more = true; more;) {
                more = plan_pick(w[0].plan, now, &a);
                assert_int_equal(plan_pick(w[1].plan, now, &b), more);
                if (!more)
                    break;
                assert_true(a.task == b.task && a.node == b.node && a.cores == b.cores);
                assert_string_equal(place_cpuset(a.place), place_cpuset(b.place));
                begin(&w[0], &a, now);
                picked++;
            }
            disturb(&w[1], &chance, now);
            if (task < 0)
                now = 1e-9;
        }
        for (int i = 0; i < 2; i++) {
            assert_int_equal(plan_count(w[i].plan, TASK_DONE), w[i].n);
            plan_free(w[i].plan);
        }
    }
    assert_true(picked > 5000);
    for (int i = 0; i < 2; i++)
        machine_done(&m[i]);
}

/* Two cores, two tasks at work, and `third` in line. */
static struct plan *two_and(const struct ask *third)
{
    struct plan_choice c;
    struct plan *p = new_plan(3, 2);
    task_is(p, 0, 9, 1, 1);
    task_is(p, 1, 9, 1, 1);
    plan_task(p, 2, third);
    plan_start(p);
    look(p);
    while (plan_pick(p, 0, &c))
        ;
    return p;
}

static void only_its_like(void **state)
{
    static const struct ask_unit unit = {0, 1};
    static struct machine_unit licence = {.name = "licence", .count = 3};
    static const struct ask others[] = {{.cores_min = 2, .cores_max = 2},
                                        {.cores_min = 1, .cores_max = 2},
                                        {.cores_min = 1, .cores_max = 1, .memory = 1},
                                        {.cores_min = 1, .cores_max = 1, .exclusive = true},
                                        {.cores_min = 1, .cores_max = 1, .units = &unit, .n_units = 1},
                                        {.cores_min = 1, .cores_max = 1, .policy = TOPO_SPREAD},
                                        {.cores_min = 0, .cores_max = 0}};
    struct plan_choice c;
    alone.unit = &licence;
    alone.n_units = 1;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct ask ask = others[i];
        ask.work.parallel = 1;
        struct plan *p = two_and(&ask);
        assert_false(plan_pick_behind(p, 0, 0, &c));
        plan_free(p);
    }
    struct plan *p = two_and(&(struct ask){.work.parallel = 1, .cores_min = 1, .cores_max = 1});
    assert_false(plan_pick_behind(p, 2, 0, &c)); /* which does not run */
    assert_true(plan_pick_behind(p, 0, 0, &c) && c.task == 2);
    assert_false(plan_pick_behind(p, 1, 0, &c)); /* nobody is left */
    assert_false(plan_pick_behind(p, 0, 0, &c));
    plan_done(p, 0);
    assert_false(plan_pick_behind(p, 0, 0, &c));
    assert_int_equal(plan_state(p, 2), TASK_RUN);
    plan_free(p);

    const struct ask licensed = {
        .work.parallel = 9, .cores_min = 1, .cores_max = 1, .units = &unit, .n_units = 1};
    p = new_plan(3, 2); /* which of them it has is not handed over */
    for (int i = 0; i < 3; i++)
        plan_task(p, i, &licensed);
    plan_start(p);
    look(p);
    while (plan_pick(p, 0, &c))
        ;
    assert_false(plan_pick_behind(p, 0, 0, &c));
    plan_free(p);
    alone.n_units = 0;
}

/* What it waited for, and who passed it, still counts when it is taken back. */
static void still_waits(void **state)
{
    struct plan_choice c;
    struct plan *p = two_and(&(struct ask){.work.parallel = 1, .cores_min = 1, .cores_max = 1});
    p->vertex[2].passed = 7;
    p->vertex[2].waited_from = 3;
    assert_true(plan_pick_behind(p, 0, 4, &c) && c.task == 2);
    plan_take_back(p, 2, 0);
    assert_int_equal(p->vertex[2].passed, 7);
    assert_true(p->vertex[2].waited_from == 3);
    assert_true(plan_pick_behind(p, 0, 5, &c) && c.task == 2);
    plan_done(p, 0);
    plan_retry(p, 2, 6); /* but not once it has begun */
    assert_int_equal(p->vertex[2].passed, 0);
    assert_true(p->vertex[2].waited_from < 0);
    plan_free(p);
}

/* What is first in line is not passed by, whatever is behind it; a delayed one comes before all. */
static void only_the_first(void **state)
{
    struct plan_choice c;
    struct plan *p = new_plan(4, 2);
    for (int i = 0; i < 4; i++)
        task_is(p, i, i == 2 ? 50 : 9, i == 2 ? 2 : 1, i == 2 ? 2 : 1);
    plan_edge(p, 0, 2);
    plan_start(p);
    look(p);
    while (plan_pick(p, 0, &c))
        ;
    plan_done(p, 0);
    look(p);
    assert_false(plan_pick(p, 1, &c) && c.task == 2);
    assert_false(plan_pick_behind(p, 1, 1, &c));
    plan_free(p);

    p = two_and(&(struct ask){.work.parallel = 1, .cores_min = 1, .cores_max = 1});
    plan_retry(p, 1, 5);
    assert_false(plan_pick_behind(p, 0, 0, &c));
    plan_free(p);
}

static void opens(void **state)
{
    struct plan *p = new_plan(5, 2);
    for (int i = 0; i < 5; i++)
        task_is(p, i, 1, 1, 1);
    plan_edge(p, 0, 2); /* twice: its end alone is enough */
    plan_edge(p, 0, 2);
    plan_edge(p, 0, 3);
    plan_edge(p, 1, 3); /* two are waited for */
    plan_edge(p, 1, 4);
    plan_hold(p, 4); /* and something else */
    plan_start(p);
    assert_true(plan_opens(p, 0));
    assert_false(plan_opens(p, 1));
    assert_false(plan_opens(p, 2));
    for (int i = 0; i < 3; i++) /* nothing has changed by asking */
        assert_true(plan_opens(p, 0) && !plan_opens(p, 1));
    plan_release(p, 4);
    assert_true(plan_opens(p, 1));
    plan_free(p);
}

/* It is still running to everybody but those who want its cores. */
static void leaves(void **state)
{
    for (int how = 0; how < 3; how++) {
        struct plan_choice c;
        struct plan *p = new_plan(3, 1);
        for (int i = 0; i < 3; i++)
            task_is(p, i, 1, 1, 1);
        plan_edge(p, 0, 2);
        plan_start(p);
        look(p);
        assert_true(plan_pick(p, 0, &c) && c.task == 0);
        assert_false(plan_pick(p, 0, &c));
        plan_leave(p, 0);
        assert_int_equal(plan_state(p, 0), TASK_RUN);
        assert_false(plan_finished(p));
        assert_true(plan_pick(p, 0, &c) && c.task == 1);
        assert_false(plan_pick(p, 0, &c));
        if (how == 0)
            plan_done(p, 0);
        else if (how == 1)
            plan_failed(p, 0, true);
        else
            plan_retry(p, 0, 0);
        assert_int_equal(p->room[0].cores, 0);
        plan_done(p, 1);
        look(p);
        assert_int_equal(p->room[0].cores, 1);
        assert_int_equal(plan_state(p, 2), how == 0 ? TASK_READY : how == 1 ? TASK_SKIPPED : TASK_WAIT);
        assert_int_equal(plan_pick(p, 0, &c), how != 1);
        plan_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(opens),
                                       cmocka_unit_test(leaves),
                                       cmocka_unit_test(only_its_like),
                                       cmocka_unit_test(still_waits),
                                       cmocka_unit_test(only_the_first),
                                       cmocka_unit_test(random_graphs),
                                       cmocka_unit_test(as_if_nothing_had_been)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
