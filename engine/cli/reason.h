/* A change of a task's key in words and as JSON, with the place in the experiment that says so. */
#ifndef ENGINE_CLI_REASON_H
#define ENGINE_CLI_REASON_H
#include "base/buf.h"
#include "engine/cli/keydiff.h"
#include "engine/spec/spec.h"

/* "param lambda: 0.3 -> 0.5 (exp.yaml:12:14)", "input model[0]: 12ab.. -> 34cd.. (from task 'seed')". t NULL:
 * without the place. */
void reason_text(const struct task *t, const struct key_change *c, struct buf *out);
/* {"field", "before", "now"[, "from"][, "file", "line", "col"]} of one change, and of all in a list. */
json_t *reason_json(const struct task *t, const struct key_change *c);
json_t *reasons_json(const struct task *t, const struct key_diff *d);
#endif
