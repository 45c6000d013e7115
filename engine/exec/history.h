/* What earlier runs tell of a task's cost, from the store's records: for priorities, widths and forecasts,
 * never for keys. The records are read once, when something is first asked. */
#ifndef ENGINE_EXEC_HISTORY_H
#define ENGINE_EXEC_HISTORY_H
#include "cache/store.h"
#include "engine/sched/work.h"
#include "engine/spec/spec.h"

enum history_source { HISTORY_ESTIMATE, HISTORY_STAGE, HISTORY_TASK };
const char *history_source_name(enum history_source s); /* "estimate", "history of the stage", ... */

struct history_cost {
    double core_seconds; /* seconds on one core; always above 0 */
    struct work work;    /* the same on any number of cores */
    double error;        /* the typical factor between such predictions and what came, less 1; 0: not known */
    int64_t memory;      /* bytes at the peak; 0: not known */
    enum history_source source;
};
struct history;
void history_open(struct store *store, struct history **ret); /* reads nothing yet; borrows the store */
void history_close(struct history *h);                        /* NULL is fine */
/* The newest record of the same stage and task, else the median over the stage's records, both scaled by the
 * work that the stage's cost function sees for the parameters then and now; else that work at a nominal
 * speed. Records that cannot be read tell nothing, which makes it an estimate. */
struct history_cost history_predict(struct history *h, const struct task *t);
/* The estimate alone, which needs no store. */
struct history_cost history_estimate(const struct task *t);
#endif
