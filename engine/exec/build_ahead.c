/* Short programs, one behind the other. The plan has the second in the place of the first from the beginning
 * (plan_pick_behind); it begins when the worker has said that the first is done. A worker gets a job ahead
 * only when its last one was quick, and has to give it back when this one is not. */
#include "engine/exec/build_ahead.h"
#include "base/clock.h"
#include <math.h>

#define QUICK 0.005 /* seconds that a job took whose like may wait behind another */
#define WAIT  0.02  /* that one waits there at most */

static bool may_have_one(struct build *b, const struct attempt *a)
{
    const struct process *p = &a->process;
    return p->serves && p->served.took > 0 && p->served.took < QUICK && !a->next && !b->stopping &&
           b->n_parked == 0 && !b->held && !plan_opens(b->plan, a->task->index);
}

static void give(struct build *b, struct attempt *a)
{
    struct plan_choice c;
    if (!may_have_one(b, a) || !plan_pick_behind(b->plan, a->task->index, clock_seconds(), &c))
        return;
    const struct task *t = b->spec->task[c.task];
    if (flight_claim(b, t)) {
        if (attempt_ahead(b, &c, a))
            return;
        store_unclaim(b->store, &b->resolver.task[c.task].key);
    }
    plan_take_back(b->plan, c.task, a->task->index);
}

void ahead_give(struct build *b)
{
    for (int i = 0; i < b->n_running; i++)
        if (!b->running[i]->asked) {
            b->running[i]->asked = true;
            give(b, b->running[i]);
        }
}

/* So that nothing begins any more. */
static bool has_failed(const struct build *b)
{
    return b->failure.text[0] && !b->opt.keep_going;
}

static void take_back(struct build *b, struct attempt *a)
{
    int next = a->next->task->index;
    attempt_free(b, a->next);
    a->next = NULL;
    store_unclaim(b->store, &b->resolver.task[next].key);
    plan_take_back(b->plan, next, a->task->index);
    if (has_failed(b))
        plan_skip_rest(b->plan);
}

void ahead_over(struct build *b, struct attempt *a)
{
    if (a->next && a->process.waits) {
        attempt_follow(b, a);
    } else if (a->next) {
        (void)process_take_back(&a->process); /* which its worker did not come to */
        take_back(b, a);
    }
}

/* One that its worker has taken meanwhile begins: the end of the one before is on its way. While the worker
 * has not even come to that, it is tried again. */
int ahead_due(struct build *b)
{
    double now = clock_seconds(), least = HUGE_VAL;
    bool stop = b->stopping || has_failed(b), back = false;
    for (int i = 0; i < b->n_running; i++) {
        struct attempt *a = b->running[i];
        double left = !a->next ? HUGE_VAL : stop ? 0 : a->began + WAIT - now;
        if (left <= 0 && process_take_back(&a->process)) {
            take_back(b, a);
            back = true;
        } else {
            least = fmin(least, fmax(left, 0.001));
        }
    }
    return back ? 0 : isinf(least) ? -1 : (int)ceil(1000 * least);
}
