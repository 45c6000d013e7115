/* The plan: which tasks are ready, which to start next and how wide. Pure state: no clock, no process, no
 * file, so that tests drive it with fakes and `weft simulate` with a virtual clock. */
#ifndef ENGINE_SCHED_PLAN_H
#define ENGINE_SCHED_PLAN_H
#include "engine/sched/ask.h"
#include "engine/sched/machine.h"
#include <stdbool.h>
#include <stdint.h>

enum task_state { TASK_WAIT, TASK_READY, TASK_RUN, TASK_HIT, TASK_DONE, TASK_FAILED, TASK_SKIPPED };
const char *task_state_name(enum task_state s); /* "wait" ... "hit", "ran", "failed", "skipped" */

struct plan;
/* n tasks on a machine, which is borrowed: places are reserved in its topologies (a node without one gives no
 * places), and released with the plan. Asks by plan_task, edges by plan_edge before plan_start. */
struct plan *plan_new(int n, struct machine *m);
void plan_free(struct plan *p);
void plan_edge(struct plan *p, int from, int to); /* `to` needs `from`; duplicates allowed */
void plan_task(struct plan *p, int task, const struct ask *ask);
/* Could the task ever start, were all nodes idle and there? */
bool plan_fits(const struct plan *p, int task);
/* Another estimate after plan_start, of a task that was not started; priorities and widths follow it at
 * plan_prioritize. */
void plan_estimate(struct plan *p, int task, const struct work *w);
void plan_remember(struct plan *p, int task, int64_t memory); /* likewise: it asks for so much now */
void plan_prioritize(struct plan *p);
/* Before plan_start: the widths, and the rule for them, that another plan of the same tasks on a machine like
 * this has; plan_prioritize looks for no others then. */
void plan_follow(struct plan *p, const struct plan *other);
void plan_exclude(struct plan *p,
                  int task); /* not wanted by the targets: starts as SKIPPED without failing anything */
/* Before plan_start: the task waits for one thing more than the tasks it needs, until plan_release, once for
 * each hold. It and all that needs it stay WAIT until then, to the end if that never comes. */
void plan_hold(struct plan *p, int task);
void plan_release(struct plan *p, int task); /* one hold less; without one nothing happens */
/* Priorities (longest remaining path in seconds) and the first ready set. */
void plan_start(struct plan *p);
/* A ready task that has not been looked at, highest priority first, or -1. The caller looks in the cache:
 * plan_hit or plan_miss. */
int plan_next_ready(struct plan *p);
void plan_hit(struct plan *p, int task);
void plan_miss(struct plan *p, int task);
struct plan_choice {
    int task, node, cores;
    struct place *place; /* the plan's, until the task ends */
};
/* A missed task that fits into what is free, highest priority first, marked as running from `now` on: seconds
 * of any clock that does not go back. One that does not fit is passed by those that cannot delay it: they end
 * before it can start, by what is known of them, or leave it what it needs; and not for ever (plan_held). */
bool plan_pick(struct plan *p, double now, struct plan_choice *ret);
/* The task that the last plan_pick kept room for; -1: none. Only while something runs. */
int plan_held(const struct plan *p);
/* Which units of a named resource a running task has: ids, in machine.unit's terms; how many. */
int plan_units(const struct plan *p, int task, int unit, const int **ret_id);
void plan_done(struct plan *p, int task);
/* Before plan_done, plan_retry or plan_failed: it needs its cores and the rest no more, only its result is
 * not there yet. What is picked meanwhile is what would be picked afterwards, unless its end makes another
 * task ready, which plan_opens tells. */
void plan_leave(struct plan *p, int task);
bool plan_opens(struct plan *p, int task);
/* The missed task that is first in line, if it can have just what the running `task` has: it is marked as
 * running, in its place, to begin as soon as that one is over, which from now on holds nothing (plan_leave).
 * Until then it can be taken back: it is missed again, and the other holds what it held. */
bool plan_pick_behind(struct plan *p, int task, double now, struct plan_choice *ret);
void plan_take_back(struct plan *p, int next, int task);
/* A running task's attempt came to nothing: it is a missed one again, which is not picked before `at`. */
void plan_retry(struct plan *p, int task, double at);
double plan_due(const struct plan *p); /* when the next such time comes; infinite: none waits for one */
/* A node went away, or (back) came. What runs there is the caller's to end. */
void plan_node(struct plan *p, int node, bool there);
/* A running task waits for something outside after all: it is READY, and not picked before plan_retry; or
 * plan_hit. */
void plan_postpone(struct plan *p, int task);
/* Everything downstream becomes SKIPPED; unless keep_going, everything not running does. */
void plan_failed(struct plan *p, int task, bool keep_going);
void plan_skip_rest(struct plan *p); /* everything that does not run becomes SKIPPED */
enum task_state plan_state(const struct plan *p, int task);
/* Nothing runs, nothing is ready (looked up in the cache or not): what is still WAIT waits for a hold. */
bool plan_finished(const struct plan *p);
int plan_count(const struct plan *p, enum task_state s);
double plan_priority(const struct plan *p, int task);
#endif
