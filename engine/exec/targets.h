/* --target: tasks by name, or all tasks of a stage by its name in the experiment, with everything they need.
 */
#ifndef ENGINE_EXEC_TARGETS_H
#define ENGINE_EXEC_TARGETS_H
#include "engine/spec/spec.h"

/* named[i] by task index: a target names it. */
bool targets_find(const struct spec *s, const char *const *targets, int n, bool *named,
                  struct error *err) MUST_CHECK;
/* wanted[i] by task index; all tasks without targets. ERROR_INPUT when one names nothing, with a suggestion.
 */
bool targets_choose(const struct spec *s, const char *const *targets, int n, bool *wanted,
                    struct error *err) MUST_CHECK;
/* The i-th reference over all input ports of t; NULL past the last. */
const struct task_ref *task_input_at(const struct task *t, int i);
#endif
