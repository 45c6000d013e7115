/* Private to the build: build.c drives the loop, build_task.c starts and ends a task, build_report.c tells.
 */
#ifndef ENGINE_EXEC_BUILD_IMPL_H
#define ENGINE_EXEC_BUILD_IMPL_H
#include "engine/exec/artifacts.h"
#include "engine/exec/attempt.h"
#include "engine/exec/build.h"
#include "engine/exec/build_facts.h"
#include "engine/exec/history.h"
#include "engine/exec/job.h"
#include "engine/exec/resolve.h"
#include "engine/exec/runlog.h"
#include "engine/sched/machine.h"

struct build_labelled {
    int task;
    struct digest work; /* what it does, whatever its inputs */
};
struct build_temp { /* of a task, by its index */
    bool may_go;    /* it is temporary, and neither a target nor a result that nothing needs */
    bool gone;      /* its content was let go */
    int needed;     /* uses of it, in this pass, by tasks that are not done */
};
struct build {
    const struct spec *spec;
    struct store *store;
    struct build_options opt;
    struct build_result *result;
    struct resolver resolver;
    struct plan *plan; /* of the current pass */
    struct machine machine;
    struct launcher *launcher; /* whose nodes the machine's are; NULL: workers run here */
    bool *node_there;          /* by node: as the plan was told */
    double wanted_at;          /* when it was last said how many are of use: seconds of the monotonic clock */
    struct arena mem;          /* what asks refer to */
    struct artifacts *artifacts;
    struct runlog *log;
    struct workers *workers;
    char *dir;     /* temporary folder of this run */
    char *run_dir; /* what is kept of it; NULL without a launcher */
    struct attempt **running;
    int n_running, cores, finished, count;
    struct workdirs *workdirs; /* that attempts work in */
    json_t *pending;           /* a set: keys that tasks missed and are to compute */
    int *parked;               /* tasks whose key is pending because of another task */
    int n_parked;
    int *elsewhere; /* tasks that other runs compute, by their claims */
    int n_elsewhere;
    double looked; /* when it was last seen whether they are done: seconds of the monotonic clock */
    bool *needed;  /* by task index: a freed result is; NULL: not known in this pass */
    bool *read;    /* by task index: a wanted task has it as an input, in this pass */
    int *asked;    /* tasks that the remote tier was asked for */
    int n_asked;
    bool *answered;                  /* by task index, in this pass */
    struct build_labelled *labelled; /* tasks that see private data */
    int n_labelled;
    struct build_temp *temp; /* NULL: no task is temporary */
    bool temp_due;           /* one may be over */
    double temp_freed;       /* when it was last seen to: seconds of the monotonic clock */
    bool *held;              /* what still waits for its release; NULL: nothing ever did */
    bool stopping;           /* start nothing more */
    bool again;              /* an input was damaged: plan anew when all workers are done */
    int interrupts;
    struct history *history;
    bool predicted;            /* cost and waiting hold, for the current pass */
    struct history_cost *cost; /* by task index */
    struct ask *ask;           /* likewise, before history is asked */
    bool told, untold;         /* build_status.c: the file is there; it is not what is true now */
    double told_at;            /* seconds of the monotonic clock */
    /* core-seconds of the tasks that were not started, of which history tells and of which it does not; what
     * the latter took as far as they ended, and what was guessed of them */
    double waiting, guessed, guess_took, guess_said;
    struct left_kin *kin; /* by task index: tasks of one stage; NULL: not needed yet */
    double began;         /* seconds of the monotonic clock */
    double last;          /* event, seconds since then */
    struct build_facts facts;
    struct error failure; /* the first */
};

/* build_task.c. Start: input folders, output folders, cores, worker. Over: the worker has ended, and how.
 * Keep: outputs into the store, record. False with err: the task failed; ERROR_DAMAGE from start: an input is
 * gone from the store; a->spoilt once it is over: it has to run again. */
bool attempt_start(struct build *b, const struct plan_choice *c, struct error *err) MUST_CHECK;
/* The same for the next job of a worker that is at work: it follows once that one waits. False: its worker
 * cannot have it. */
bool attempt_ahead(struct build *b, const struct plan_choice *c, struct attempt *before) MUST_CHECK;
void attempt_follow(struct build *b, struct attempt *before);
bool attempt_over(struct build *b, struct attempt *a, struct error *err) MUST_CHECK;
bool attempt_keep(struct build *b, struct attempt *a, struct error *err) MUST_CHECK;
void attempt_free(struct build *b, struct attempt *a);

/* build_failure.c: how an attempt ended. */
void failure_begin(struct build *b, struct attempt *a, int status); /* it is over: what it took */
bool failure_check(struct build *b, struct attempt *a, int status, struct error *err) MUST_CHECK;
/* The cause of what err has (NONE: by its code); false. */
bool failure_is(struct build *b, struct attempt *a, enum failure cause, struct error *err);

/* build_flight.c: a key is computed once, whoever wants it. */
/* Is the picked task this run's to compute? No: another run does, and it waits; or it has come in between. */
bool flight_begin(struct build *b, const struct task *t, struct error *err) MUST_CHECK;
/* The same, without a change of anything when it is not. */
bool flight_claim(struct build *b, const struct task *t);
/* Tasks that other runs were to compute: look again at those that they gave up. */
void flight_look(struct build *b);
int flight_due(const struct build *b); /* milliseconds until then; -1: not at all */
/* A result whose content was let go: is that needed by what this pass will run? */
bool flight_needs(struct build *b, const struct task *t);

/* build_temp.c: results that go when all that needs them is done. Nothing here fails a run. */
bool temp_begin(struct build *b, struct error *err) MUST_CHECK; /* which tasks; err: a target is none */
void temp_plan(struct build *b);                                /* a pass begins */
void temp_finished(struct build *b, const struct task *t);      /* t is done, in this pass */
void temp_free(struct build *b, bool at_end);                   /* those that are over, now and then */

/* build_remote.c: the remote tier; nothing happens without one. */
void tier_begin(struct build *b);
void tier_plan(struct build *b); /* a pass begins */
/* Is a task that is a miss here asked for there? It stays READY until the answer, then it is looked up. */
bool tier_ask(struct build *b, const struct task *t);
void tier_take(struct build *b);                        /* answers that came */
int tier_fd(const struct build *b);                     /* readable when some did; -1: none will */
void tier_offer(struct build *b, const struct task *t); /* it ran: upload what it made */
size_t tier_uploads(const struct build *b);             /* that are not done */
void tier_finish(struct build *b);                      /* wait for them, until an interrupt */

/* build_nodes.c: the nodes of a launcher; without one nothing happens, and no node is ever lost. */
bool nodes_open(struct build *b, struct error *err) MUST_CHECK; /* they become the machine's */
void nodes_plan(struct build *b);                               /* a pass begins */
void nodes_look(struct build *b);          /* who went and who came; now and then, what is of use */
int nodes_due(const struct build *b);      /* milliseconds until then; -1: not at all */
bool nodes_awaited(const struct build *b); /* some may come, and there is work for them */
/* Nothing runs and nothing is awaited: false when something still has to run. */
bool nodes_left(const struct build *b, struct error *err) MUST_CHECK;
/* A worker there: its command, in the arena. */
void nodes_argv(const struct build *b, const struct attempt *a, struct arena *mem,
                const char *const **ret_argv, const char *const **ret_env);
char *nodes_where(const struct build *b, const struct attempt *a); /* its CPUs, or "n1, 4 cores"; malloc'd */
void nodes_begin(struct build *b, struct attempt *a);
/* Its carrier has ended with *status; false: a->lost. Else *status is the worker's own. */
bool nodes_ended(struct build *b, struct attempt *a, int *status, struct error *err) MUST_CHECK;
void nodes_free(struct build *b, const struct attempt *a);

/* build.c: hit or miss, for a task that is ready. */
void build_look_up(struct build *b, int task);
void build_interrupt(struct build *b); /* take what signals came */

/* build_left.c: how long the run will still take. */
void left_predict(struct build *b); /* at the first miss of a pass: costs from history, to the plan too */
void left_start(struct build *b, struct attempt *a);
void left_finish(struct build *b, int task);
void left_add(struct build *b, int task);                  /* it was held, and may start now */
void left_learn(struct build *b, const struct attempt *a); /* it is done: what others of its kind will take */
double left_seconds(const struct build *b);                /* below 0: not known */

/* build_status.c: what is at work, as STORE/runs/ID/status.json, while workers are. */
void status_note(struct build *b);     /* something happened */
int status_due(const struct build *b); /* milliseconds until the file has to be written; -1: not at all */
void status_write(struct build *b);    /* if it has to be */
void status_end(struct build *b);
/* build_checkpoint.c. Nothing here fails a task: what cannot be kept or found is a warning. */
/* What the job says about states; one to go on from is looked for. */
void checkpoint_begin(struct build *b, struct attempt *a, struct arena *mem, struct job *job);
/* Take a file of the worker's scratch folder into the store, in place of the state before. */
void checkpoint_take(struct build *b, struct attempt *a, int64_t step, const char *name, double seconds);
/* The task has its record: states that serve no other go. */
void checkpoint_done(struct build *b, const struct attempt *a);
/* Ask the workers that keep states to stop after their next one. */
void checkpoint_stop_all(struct build *b);
#endif
