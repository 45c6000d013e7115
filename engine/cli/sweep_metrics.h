/* The rows of metrics.json that tasks made: what a sweep's objective and its tables are taken from. */
#ifndef ENGINE_CLI_SWEEP_METRICS_H
#define ENGINE_CLI_SWEEP_METRICS_H
#include "cache/store.h"
#include "engine/spec/spec.h"

/* The list `rows` of a task's metrics output, a new reference; an empty list when it makes none. */
json_t *sweep_rows(struct store *store, const char *dir, const struct task *t, const struct record *r,
                   struct error *err) MUST_CHECK;
/* Mean of the member `value` of all rows of this metric ("average": of all rows), over the lists of rows of
 * several tasks; NAN when there is none. */
double sweep_mean(const json_t *const *rows, int n, const char *metric);
#endif
