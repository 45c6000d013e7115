/* A forecast beside a run that did what it foretells. */
#ifndef ENGINE_CLI_HINDSIGHT_H
#define ENGINE_CLI_HINDSIGHT_H
#include "engine/cli/forecast.h"

struct hindsight_stage { /* of the experiment, as in gantt.h */
    char *name;
    int tasks;
    double predicted, was; /* seconds of its tasks one after another */
};
struct hindsight {
    const char *run;       /* its id; in the arena of the trace */
    struct trace trace;    /* of the run */
    bool *ran;             /* by task index: it ran there */
    int tasks, unknown;    /* that ran there; of these, not in the experiment */
    int cores;             /* that it had */
    double predicted, was; /* from the first start to the last end */
    struct hindsight_stage *stage;
    int n;
};
/* What ran in that run (its id, the beginning of one, or "last"). ERROR_INPUT when none of it is in the
 * experiment. */
bool hindsight_read(struct hindsight *h, const struct spec *s, const char *store, const char *run,
                    struct error *err) MUST_CHECK;
/* Of these tasks' forecast. */
void hindsight_compare(struct hindsight *h, const struct forecast *f);
void hindsight_done(struct hindsight *h); /* also after a failure, and of {0} */
static inline void hindsight_auto(struct hindsight *h)
{
    hindsight_done(h);
}
/* "+7 %": by how much of what was the prediction is more. */
#define HINDSIGHT_MAX 24
const char *hindsight_error(double predicted, double was, char out[HINDSIGHT_MAX]);
#endif
