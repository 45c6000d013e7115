/* The virtual clock: it goes from one end of a task to the next. */
#include "engine/sched/plan_impl.h"

static void look_up(struct plan *p, const bool *hit)
{
    int task;
    while ((task = plan_next_ready(p)) >= 0)
        if (hit && hit[task])
            plan_hit(p, task);
        else
            plan_miss(p, task);
}

double plan_drive(struct plan *p, const bool *hit,
                  void (*start)(void *arg, const struct plan_choice *c, double now), void *arg)
{
    double now = 0;
    struct plan_choice c;
    for (;;) {
        look_up(p, hit);
        while (plan_pick(p, now, &c))
            if (start)
                start(arg, &c, now);
        if (p->n_running == 0)
            return now;
        double next = p->vertex[p->running[0]].end;
        if (p->held >= 0)
            p->lacked[room_lack(p, &p->vertex[p->held])] += next - now;
        now = next;
        while (p->n_running > 0 && p->vertex[p->running[0]].end <= now)
            plan_done(p, p->running[0]);
    }
}
