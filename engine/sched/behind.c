/* One task behind another, on the same cores: whoever runs many short tasks gives a worker the next before it
 * is done with the last. */
#include "engine/sched/plan_impl.h"

/* It would start where the other is, as wide, and needs nothing else. */
static bool may_follow(const struct vertex *v, const struct vertex *next)
{
    return v->state == TASK_RUN && !v->gone && v->group == next->group && v->ask.n_units == 0 &&
           next->ask.cores_min == v->cores && next->ask.cores_max == v->cores &&
           next->ask.policy == v->ask.policy;
}

/* What one holds is the other's from now on. */
static void hand_over(struct plan *p, int from, int to)
{
    struct vertex *f = &p->vertex[from], *t = &p->vertex[to];
    plan_drop_running(p, from);
    f->gone = true;
    t->gone = false;
    t->node = f->node;
    t->cores = f->cores;
    t->place = f->place;
    f->place = NULL;
    plan_add_running(p, to);
}

bool plan_pick_behind(struct plan *p, int task, double now, struct plan_choice *ret)
{
    int next = p->n_delayed ? -1 : plan_first_missed(p, NULL);
    if (next < 0 || !may_follow(&p->vertex[task], &p->vertex[next]))
        return false;
    struct vertex *v = &p->vertex[next];
    heap_pop(&p->group[v->group].heap);
    plan_draw_near(p, task);
    plan_mark_begun(p, next, p->vertex[task].cores, now);
    hand_over(p, task, next);
    *ret = (struct plan_choice){next, v->node, v->cores, v->place};
    return true;
}

void plan_take_back(struct plan *p, int next, int task)
{
    hand_over(p, next, task);
    plan_set_state(p, next, TASK_READY);
    plan_join_missed(p, next);
}
