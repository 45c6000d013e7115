/* The plan: which tasks are ready, which to start next and how wide. Pure state: no clock, no process, no
 * file, so that tests drive it with fakes and `weft simulate` with a virtual clock. */
#ifndef ENGINE_SCHED_PLAN_H
#define ENGINE_SCHED_PLAN_H
#include <stdbool.h>
#include <stdint.h>

enum task_state { TASK_WAIT, TASK_READY, TASK_RUN, TASK_HIT, TASK_DONE, TASK_FAILED, TASK_SKIPPED };
const char *task_state_name(enum task_state s); /* "wait" ... "hit", "ran", "failed", "skipped" */

struct plan;
/* n tasks; edges by plan_edge before plan_start. */
struct plan *plan_new(int n, int cores);
void plan_free(struct plan *p);
void plan_edge(struct plan *p, int from, int to); /* `to` needs `from`; duplicates allowed */
void plan_task(struct plan *p, int task, double seconds, int cores_min,
               int cores_max); /* estimate on one core; 0,0: any */
/* Another estimate after plan_start, of a task that was not started; priorities follow it at plan_prioritize,
 * which comes before the first plan_miss. */
void plan_estimate(struct plan *p, int task, double seconds);
void plan_prioritize(struct plan *p);
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
/* A missed task that fits into the free cores with its width, highest priority first; marks it running. */
bool plan_pick(struct plan *p, int *ret_task, int *ret_cores);
/* The task that the last plan_pick held back for want of cores, to start it wide when what runs now is done;
 * -1: none. Only while something runs. */
int plan_held(const struct plan *p);
void plan_done(struct plan *p, int task);
/* A running task's attempt came to nothing: it is a missed one again. */
void plan_retry(struct plan *p, int task);
/* A running task waits for something outside after all: it is READY, and not picked before plan_retry; or
 * plan_hit. */
void plan_postpone(struct plan *p, int task);
/* Everything downstream becomes SKIPPED; unless keep_going, everything not running does. */
void plan_failed(struct plan *p, int task, bool keep_going);
enum task_state plan_state(const struct plan *p, int task);
/* Nothing runs, nothing is ready (looked up in the cache or not): what is still WAIT waits for a hold. */
bool plan_finished(const struct plan *p);
int plan_count(const struct plan *p, enum task_state s);
double plan_priority(const struct plan *p, int task);
#endif
