/* The numbers of two results of one task side by side: rows of metrics and tables. */
#ifndef ENGINE_CLI_RESULTDIFF_H
#define ENGINE_CLI_RESULTDIFF_H
#include "cache/store.h"

/* Appends to the list, for each row that is not the same in both, {"task", "output", "system", "domain",
 * "metric", "replicate", "before", "now", "difference"}; null where a row, or a difference, is not there.
 * *same counts the rows that are. Results that are no longer in the store have no rows. */
bool resultdiff(struct store *store, const char *task, const struct digest *before, const struct digest *now,
                json_t *list, int *same, struct error *err) MUST_CHECK;
#endif
