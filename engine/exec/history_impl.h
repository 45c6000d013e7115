/* Private to the history: history.c predicts, history_read.c has what the records say. */
#ifndef ENGINE_EXEC_HISTORY_IMPL_H
#define ENGINE_EXEC_HISTORY_IMPL_H
#include "engine/exec/fit.h"
#include "engine/exec/history.h"
#include "engine/exec/sizes.h"

#define HISTORY_OWN        5  /* newest runs of a task that count */
#define HISTORY_STAGE_RUNS 32 /* newest runs of a stage that count */

struct run { /* one record; texts live as long as the store */
    struct record_summary record;
    int task, host;          /* indices; host 0: this one */
    struct record_cost cost; /* of the record, or of its parameters for data of a nominal size */
    bool nominal;            /* the latter: the record does not tell */
    bool asked;              /* cost was looked for */
};
struct of_task {
    int stage;
    const struct run *newest; /* of any host: what its outputs held */
    struct run *run[HISTORY_OWN];
    int n; /* newest first, all of this host or all of others */
};
struct of_stage {
    const char *name;
    struct run *run; /* all of them; sorted newest first once prepared */
    size_t n, cap;
    bool prepared, here; /* use: of this host */
    struct run *use[HISTORY_STAGE_RUNS];
    int n_use;
    struct fit fit;
    bool by_flops;           /* work is FLOPs, which most of them know; else bytes */
    double error, own_error; /* of predictions from the stage's runs and from the task's */
    double slow;             /* median of the seconds on one core by those that a guess says; 0: no guess */
    double seconds;          /* of its runs on one core, all together */
};
struct of_host {
    const char *name;
    double factor; /* its seconds times this are ours; 0: not found yet */
};
struct history {
    struct store *store;
    const struct resolver *resolver; /* NULL: nothing is known of inputs */
    bool read;
    char here[256];                 /* the name of host 0 */
    json_t *stages, *tasks, *hosts; /* names -> index; a task's is "STAGE TASK" */
    struct of_stage *stage;
    struct of_task *task;
    struct of_host *host;
    size_t n_stages, cap_stages, n_tasks, cap_tasks, n_hosts, cap_hosts;
    double typical[2];              /* error of stages' and of tasks' predictions; below 0: not found yet */
    bool corrected;                 /* the next two are known */
    double correction, guess_error; /* of estimates */
};

/* history_read.c */
void history_read(struct history *h);                                                    /* once */
struct of_stage *history_stage_of(struct history *h, const char *name);                  /* NULL: none */
struct of_task *history_task_of(struct history *h, const char *stage, const char *task); /* NULL: none */
/* The newest runs that predictions go by, in use[] and in the tasks' run[]; their costs are there. */
void history_choose(struct history *h, struct of_stage *g);
struct cost_input history_nominal_input(void);
/* The work of a task for data of a nominal size: of two such only the proportion counts. */
struct record_cost history_nominal(const struct stage *s, const void *params);
#endif
