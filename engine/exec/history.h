/* What earlier runs tell of a task's cost, from the store's records: for priorities, widths, admission and
 * forecasts, never for keys. The records' index is read once, when something is first asked.
 * docs/scheduling.md, "What a task will take", says how the predictions are made. */
#ifndef ENGINE_EXEC_HISTORY_H
#define ENGINE_EXEC_HISTORY_H
#include "cache/store.h"
#include "engine/exec/resolve.h"
#include "engine/sched/work.h"
#include "engine/spec/spec.h"

enum history_source { HISTORY_ESTIMATE, HISTORY_STAGE, HISTORY_TASK };
const char *history_source_name(enum history_source s); /* "estimate", "history of the stage", ... */

struct history_cost {
    double core_seconds; /* seconds on one core; always above 0 */
    struct work work;    /* the same on any number of cores */
    double error;        /* the typical factor between such predictions and what came, less 1; 0: not known */
    int64_t memory;      /* bytes to admit it with: as asked for, else what runs of its kind needed and some
                            more; 0: not known */
    int runs;            /* how many records it is made of */
    enum history_source source;
};
struct history;
void history_open(struct store *store, struct history **ret); /* reads nothing yet; borrows the store */
void history_close(struct history *h);                        /* NULL is fine */
/* The sizes of inputs are what r knows of the tasks that make them. Without it, or where such a task has no
 * result yet, they are what they were before. Borrowed. */
void history_look(struct history *h, const struct resolver *r);
/* From records of the same stage and task, else of the stage, else from what the stage's cost function says
 * at the speed that other stages had. Records of this host go first; those of others are scaled by what both
 * have run. The same records and task give the same prediction. */
struct history_cost history_predict(struct history *h, const struct task *t);
/* At a nominal speed, which needs no store. */
struct history_cost history_estimate(const struct task *t);

struct history_stage { /* what the records tell of a stage */
    const char *name;
    int runs;
    double seconds; /* median, as they ran */
    double flops;   /* a second on one core, median; 0: not known */
    double serial;  /* part of the time on one core that more cores do not shorten */
    bool widths;    /* that was seen; else it is assumed */
    double error;   /* of predictions of a task from others of the stage; 0: not known */
    int64_t memory; /* the most that one needed */
};
/* Sorted by name; malloc'd, the names live as long as h. */
size_t history_stages(struct history *h, struct history_stage **ret);
#endif
