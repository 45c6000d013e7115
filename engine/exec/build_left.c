/* The time left: work that was not started, as predicted, and that of the running tasks, which their own
 * progress corrects, over the cores; no less than the longest of those that run. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/exec/asks.h"
#include "engine/exec/build_impl.h"
#include <stdlib.h>

#define SURE 0.02 /* of a task's progress, before which its rate says little */

struct left_kin {
    int group; /* its stage: the least index of a task of it */
    int first; /* of a group: the last of its tasks that was guessed, -1: none */
    int next;  /* the one that was guessed before it */
};

static double *bucket(struct build *b, int task)
{
    return b->cost[task].source == HISTORY_ESTIMATE ? &b->guessed : &b->waiting;
}

static bool is_open(const struct build *b, int task)
{
    enum task_state s = plan_state(b->plan, task);
    return (s == TASK_WAIT || s == TASK_READY) && !(b->held && b->held[task]);
}

struct by_stage {
    const struct stage *stage;
    int task;
};

static int compare(const void *a, const void *b)
{
    const struct by_stage *x = a, *y = b;
    if (x->stage != y->stage)
        return (uintptr_t)x->stage < (uintptr_t)y->stage ? -1 : 1;
    return x->task - y->task;
}

/* To look through all tasks at each end would cost more than the rest of a short task's end. */
static void find_kin(struct build *b)
{
    int n = b->spec->n;
    AUTO(mem) struct by_stage *all = xcalloc((size_t)n + 1, sizeof *all);
    for (int i = 0; i < n; i++)
        all[i] = (struct by_stage){b->spec->task[i]->stage, i};
    qsort(all, (size_t)n, sizeof *all, compare);
    b->kin = b->kin ? b->kin : xcalloc((size_t)n + 1, sizeof *b->kin);
    for (int i = 0, group = 0; i < n; i++) {
        group = i && all[i].stage == all[i - 1].stage ? group : all[i].task;
        b->kin[all[i].task] = (struct left_kin){group, -1, -1};
    }
}

static void note_guess(struct build *b, int task)
{
    struct left_kin *group = &b->kin[b->kin[task].group];
    b->kin[task].next = group->first;
    group->first = task;
}

void left_add(struct build *b, int task)
{
    if (!b->predicted)
        return;
    b->cost[task] = history_predict(b->history, b->spec->task[task]);
    *bucket(b, task) += b->cost[task].core_seconds;
    if (b->cost[task].source == HISTORY_ESTIMATE)
        note_guess(b, task);
    plan_estimate(b->plan, task, &b->cost[task].work);
    if (!b->spec->task[task]->memory)
        plan_remember(b->plan, task, ask_guess(&b->machine, b->cost[task].memory));
}

void left_predict(struct build *b)
{
    if (b->predicted)
        return;
    b->predicted = true;
    b->waiting = b->guessed = 0;
    find_kin(b);
    for (int i = 0; i < b->spec->n; i++)
        if (is_open(b, i))
            left_add(b, i);
    plan_prioritize(b->plan);
    facts_plan(b);
}

void left_start(struct build *b, struct attempt *a)
{
    const struct history_cost c = history_predict(b->history, a->task); /* also of a retry */
    a->predicted = c.work;
    a->guessed = c.source == HISTORY_ESTIMATE;
    left_finish(b, a->task->index);
}

void left_finish(struct build *b, int task)
{
    if (!b->predicted)
        return;
    *bucket(b, task) -= b->cost[task].core_seconds;
    b->cost[task].core_seconds = 0; /* it counts once */
}

/* A guess may be wrong by orders of magnitude: small data and large look alike to it. The first of a stage
 * that ends says what the others of that stage will take, and all of them how far off guesses are. */
void left_learn(struct build *b, const struct attempt *a)
{
    double said = work_seconds(&a->predicted, a->cores);
    if (!b->predicted || !a->guessed || !(said > 0))
        return;
    double ratio = a->seconds / said, core_seconds = work_seconds(&a->predicted, 1);
    b->guess_took += core_seconds * ratio;
    b->guess_said += core_seconds;
    struct left_kin *group = &b->kin[b->kin[a->task->index].group];
    int next = group->first;
    group->first = -1; /* what comes to be guessed again is noted again */
    for (int i = next; i >= 0; i = next) {
        next = b->kin[i].next;
        if (b->cost[i].source != HISTORY_ESTIMATE || !is_open(b, i))
            continue;
        double before = b->cost[i].core_seconds;
        left_finish(b, i);
        struct work w = {b->cost[i].work.serial * ratio, b->cost[i].work.parallel * ratio};
        b->cost[i].core_seconds = before * ratio;
        b->cost[i].work = w;
        b->cost[i].source = HISTORY_STAGE;
        b->waiting += b->cost[i].core_seconds;
        if (before > 0)
            plan_estimate(b->plan, i, &w);
    }
}

/* Seconds that a running task still takes: by its rate where that is known, else by the prediction; one that
 * has outlived that may end any moment. */
static double left_of(const struct attempt *a)
{
    double spent = clock_seconds() - a->began, done = a->total > 0 ? a->progress / a->total : 0;
    if (done > SURE)
        return done < 1 ? spent * (1 - done) / done : 0;
    double whole = work_seconds(&a->predicted, a->cores);
    return whole > spent ? whole - spent : 0;
}

/* Seconds that the guessed ones will take, below 0 where nothing says how far off guesses are. */
static double left_guessed(const struct build *b)
{
    if (b->guessed < 1e-6) /* a sum of differences */
        return 0;
    return b->guess_said > 0 ? b->guessed * b->guess_took / b->guess_said : -1;
}

double left_seconds(const struct build *b)
{
    double work = b->waiting > 0 ? b->waiting : 0, longest = 0, guessed = left_guessed(b);
    for (int i = 0; i < b->n_running; i++) {
        double left = left_of(b->running[i]);
        work += left * b->running[i]->cores;
        longest = left > longest ? left : longest;
    }
    if (!b->predicted || guessed < 0 || guessed > work) /* guesses alone are no forecast */
        return -1;
    work += guessed;
    return work / b->cores > longest ? work / b->cores : longest;
}
