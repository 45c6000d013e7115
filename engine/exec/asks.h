/* What a task asks of the scheduler: what its resources say, and what history tells where they do not. The
 * same for a run, for `weft plan` and for `weft simulate`. */
#ifndef ENGINE_EXEC_ASKS_H
#define ENGINE_EXEC_ASKS_H
#include "engine/exec/history.h"
#include "engine/sched/ask.h"
#include "engine/sched/machine.h"

/* Units in the arena. ERROR_INPUT where it asks for a named resource that the machine has not, or for more
 * memory or units than any node has. */
bool ask_make(const struct task *t, const struct machine *m, const struct history_cost *c, struct arena *mem,
              struct ask *ret, struct error *err) MUST_CHECK;
/* What a guess of its memory asks for. It never keeps a task from running: the largest node is enough then.
 */
int64_t ask_guess(const struct machine *m, int64_t bytes);
/* Bytes for its attempt after so many that failed, the largest node's at most; 0: the experiment does not
 * say. */
int64_t ask_memory(const struct task *t, const struct machine *m, int failed);
/* Seconds to wait before that attempt. */
double ask_backoff(const struct task *t, int failed);
#endif
