/* Private to the plan: plan.c keeps the states of the graph, room.c what is free, pick.c chooses what starts,
 * behind.c what follows, width.c how wide. */
#ifndef ENGINE_SCHED_PLAN_IMPL_H
#define ENGINE_SCHED_PLAN_IMPL_H
#include "engine/sched/heap.h"
#include "engine/sched/plan.h"
#include <stddef.h>

struct vertex {
    enum task_state state;
    struct ask ask; /* cores_min and cores_max within the widest node */
    int width;      /* that the whole graph wants it to have */
    int *next;      /* tasks that need this one */
    size_t n_next, cap_next;
    int waits; /* unfinished tasks this one needs, and holds */
    int holds;
    bool excluded;
    bool missed; /* in a group */
    int group;
    double not_before; /* among the delayed ones */
    /* while it runs */
    int node, cores;
    struct place *place;
    double start, end; /* the latter as predicted */
    int *unit;         /* ids it has, those of ask.units in turn; NULL: none */
    bool gone;         /* it gave back what it had: nothing but its result is waited for */
    /* for its place */
    int near_task; /* the longest of those it needs that ran; -1: none did */
    int near_node;
    char *near; /* cpuset there */
    /* while room is kept for it */
    double waited_from; /* when that began, below 0: it did not */
    int passed;         /* tasks that went ahead */
};
/* Tasks that are missed and ask for the same: when the first does not fit, none does. */
struct group {
    struct ask ask; /* of the first that came */
    struct heap heap;
};
struct room { /* what is free on a node */
    bool there;
    int cores, running;
    int64_t memory;
    bool exclusive; /* taken by one that wants it to itself */
};
enum lack { LACK_CORES, LACK_MEMORY, LACK_UNIT, LACKS }; /* why a task that has priority does not start */
/* How widths are chosen; width.c has the rows. */
enum width_rule { WIDTH_SHARE, WIDTH_PATH, WIDTH_EVEN, WIDTH_FIXED };
struct policy {
    const char *name;
    enum width_rule rule;
    int parts;   /* EVEN: of the machine, one for each task */
    double stop; /* PATH: widen until the longest path is this part of the work over all cores */
    bool levels; /* PATH: what lies side by side shares the machine */
    bool expand; /* take what nobody else could use */
    bool wait;   /* for more cores, if that ends sooner */
    bool fifo;   /* in the order of the numbers, and nobody passes anybody */
};
struct plan {
    struct machine *machine;
    struct vertex *vertex;
    double *priority;
    int n, cores, widest;
    struct policy policy;
    bool chosen;             /* the policy is given: not to be chosen anew */
    struct room *room;       /* by node */
    bool **taken;            /* by unit * nodes + node: which ids; of one that is not per node, node 0 */
    int *running, n_running; /* by predicted end */
    size_t cap_running;
    int held;             /* the task that plan_pick kept room for last, -1: none */
    double lacked[LACKS]; /* seconds of the virtual clock for which room was kept, by what was missing */
    int count[TASK_SKIPPED + 1];
    struct heap ready; /* not looked at yet */
    struct group *group;
    size_t n_groups, cap_groups;
    int *delayed, n_delayed;
    size_t cap_delayed;
    int64_t demand; /* cores that all missed tasks could use, at most */
    int64_t wanted; /* and cores that they want */
    int n_missed;
    int64_t work; /* core-microseconds of all missed ones: whole, so that the order of a sum does not count */
    bool started;
    int *scratch; /* (n) */
};

/* plan.c */
void plan_priorities(struct plan *p);
int *plan_order(const struct plan *p, int *ret_n); /* open tasks, each after those it needs; malloc'd */
bool plan_is_open(const struct plan *p, int task); /* it may still run */
double plan_one_core(const struct vertex *v);      /* its seconds on one core */
int64_t plan_ticks(const struct vertex *v);        /* the same in microseconds */
void plan_set_state(struct plan *p, int task, enum task_state s);
void plan_join_missed(struct plan *p, int task);
void plan_leave_missed(struct plan *p, int task); /* its group's heap may keep it: see pick.c */

void plan_draw_near(struct plan *p, int from);    /* those that need it, to where it runs */
void plan_drop_running(struct plan *p, int task); /* from the list */

/* pick.c */
int plan_first_missed(struct plan *p,
                      const bool *hopeless);       /* of all groups but those, NULL: of all; or -1 */
void plan_waits_no_more(struct plan *p, int task); /* for room */
void plan_mark_begun(struct plan *p, int task, int cores, double now); /* it has yet to get its room */
void plan_add_running(struct plan *p, int task);

/* room.c */
void room_init(struct plan *p);
void room_free(struct plan *p);
/* Does it fit now on a node, with the least that it asks for? */
bool room_fits(const struct plan *p, const struct vertex *v, int node);
/* Would it on an idle one? */
bool room_could_fit(const struct plan *p, const struct vertex *v, int node);
enum lack room_lack(const struct plan *p, const struct vertex *v); /* of one that room is kept for */
/* What is free on a node once the tasks that end until `until` have. */
struct room room_later(const struct plan *p, int node, double until);
bool room_holds(const struct plan *p, const struct room *r, const struct vertex *v, int node);
void room_take(struct plan *p, int task, int node, int cores);
void room_give(struct plan *p, int task);

/* drive.c: to the end of the plan with a virtual clock, whose last time is returned. hit: by task, NULL: none
 * is. start() is told of each start. */
double plan_drive(struct plan *p, const bool *hit,
                  void (*start)(void *arg, const struct plan_choice *c, double now), void *arg);

/* width.c */
void width_choose(struct plan *p); /* sets the policy and all widths, for the tasks that are open */
/* Of a missed one that starts on a node with `free` free cores. */
int width_now(const struct plan *p, const struct vertex *v, int node, int free);
void plan_set_policy(struct plan *p, const struct policy *policy, int width); /* before plan_start */
extern const struct policy policy_share, policy_fifo;
#endif
