/* The time left: work that was not started, as predicted, and that of the running tasks, which their own
 * progress corrects, over the cores; no less than the longest of those that run. */
#include "base/clock.h"
#include "engine/exec/build_impl.h"

#define SURE 0.02 /* of a task's progress, before which its rate says little */

void left_predict(struct build *b)
{
    if (b->predicted)
        return;
    b->predicted = true;
    b->waiting = 0;
    for (int i = 0; i < b->spec->n; i++) {
        enum task_state s = plan_state(b->plan, i);
        if (s != TASK_WAIT && s != TASK_READY)
            continue;
        b->cost[i] = history_predict(b->history, b->spec->task[i]);
        b->waiting += b->cost[i].core_seconds;
        plan_estimate(b->plan, i, b->cost[i].core_seconds);
    }
    plan_prioritize(b->plan);
}

void left_start(struct build *b, struct attempt *a)
{
    a->began = clock_seconds();
    a->predicted = history_predict(b->history, a->task).core_seconds; /* also of a retry */
    left_finish(b, a->task->index);
}

void left_finish(struct build *b, int task)
{
    if (!b->predicted)
        return;
    b->waiting -= b->cost[task].core_seconds;
    b->cost[task].core_seconds = 0; /* it counts once */
}

/* Seconds that a running task still takes: by its rate where that is known, else by the prediction; one that
 * has outlived that may end any moment. */
static double left_of(const struct attempt *a)
{
    double spent = clock_seconds() - a->began, done = a->total > 0 ? a->progress / a->total : 0;
    if (done > SURE)
        return done < 1 ? spent * (1 - done) / done : 0;
    double whole = a->predicted / place_cores(a->place);
    return whole > spent ? whole - spent : 0;
}

double left_seconds(const struct build *b)
{
    if (!b->predicted)
        return -1;
    double work = b->waiting > 0 ? b->waiting : 0, longest = 0; /* a sum of differences may end below 0 */
    for (int i = 0; i < b->n_running; i++) {
        double left = left_of(b->running[i]);
        work += left * place_cores(b->running[i]->place);
        longest = left > longest ? left : longest;
    }
    return work / b->cores > longest ? work / b->cores : longest;
}
