/* What happened in each run: STORE/runs/ID/events.jsonl, one JSON object a line, and STORE/runs/ID/log/TASK,
 * what the task's worker wrote. IDs begin with the time, so that the newest sorts last. Written as the run
 * goes on; a run that was killed leaves the lines up to then. */
#ifndef ENGINE_EXEC_RUNLOG_H
#define ENGINE_EXEC_RUNLOG_H
#include "base/json_out.h"

struct runlog;
bool runlog_open(const char *store, struct runlog **ret, struct error *err) MUST_CHECK;
void runlog_close(struct runlog *l);
const char *runlog_id(const struct runlog *l);
char *runlog_dir(const struct runlog *l); /* STORE/runs/ID; malloc'd */
const char *runlog_now(struct runlog *l); /* "2026-01-31T12:00:00Z", valid until the next call */
/* Append one event, `at` seconds after the run's begin: its members are told between the two calls. soon: it
 * is written with the next one, or by runlog_flush. A full disk costs the line, not the run. */
struct json_out *runlog_begin(struct runlog *l, double at);
void runlog_end(struct runlog *l, bool soon);
void runlog_flush(struct runlog *l);
/* Milliseconds until events that wait are to be written; -1: none waits. */
int runlog_due(const struct runlog *l);
/* Path of a task's log in this run; malloc'd. */
char *runlog_task_log(const struct runlog *l, const char *task);

/* Does the run's engine still live? It holds a lock on the run's events, which dies with it. */
bool runlog_alive(const char *store, const char *id);
/* STORE/runs/ID/status.json, which is there while the run's workers work (build_status.c); malloc'd. */
char *runlog_status_path(const char *store, const char *id);

/* The ids of all runs, newest first; malloc'd, free with fs_list_free. */
bool runlog_list(const char *store, char ***ret, size_t *ret_n, struct error *err) MUST_CHECK;
/* Hand each event of a run to see() until it returns false; a torn last line is left out. */
bool runlog_read(const char *store, const char *id, bool (*see)(void *arg, const json_t *event), void *arg,
                 struct error *err) MUST_CHECK;
char *runlog_path(const char *store, const char *id, const char *task); /* of a task's log; malloc'd */
#endif
