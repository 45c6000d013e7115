/* Private to the build: what is told of it, to the observer as structs and to the run's log as JSON. */
#ifndef ENGINE_EXEC_BUILD_REPORT_H
#define ENGINE_EXEC_BUILD_REPORT_H
#include "engine/exec/build_impl.h"

void report_begin(struct build *b);
void report_end(struct build *b, bool ok);
void report(struct build *b, enum build_event_kind kind, const struct task *t, const char *text);
/* Of times that are past: an attempt began, a worker had ended at `when` (seconds of the monotonic clock). */
void report_start(struct build *b, const struct attempt *a, const char *where);
void report_done(struct build *b, const struct task *t, double when);
/* The same with a number of passes, of those of the task. */
void report_passes(struct build *b, enum build_event_kind kind, const struct attempt *a, int64_t done);
void report_worker_event(struct build *b, struct attempt *a, const json_t *event);
#endif
