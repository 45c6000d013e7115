/* The build: drive an experiment's plan to its end with the store, the topology and worker processes. */
#ifndef ENGINE_EXEC_BUILD_H
#define ENGINE_EXEC_BUILD_H
#include "cache/remote.h"
#include "cache/store.h"
#include "engine/exec/failure.h"
#include "engine/exec/launcher.h"
#include "engine/sched/machine.h"
#include "engine/sched/plan.h"
#include "engine/spec/spec.h"

struct build_result { /* of one task */
    bool wanted;      /* by the targets */
    enum task_state state;
    bool has_key;
    struct digest key;
    int attempts;                /* that failed */
    int losses;                  /* of nodes under it, since it kept a state last */
    double seconds;              /* of the run now, or of the run that made the hit; as in the record */
    int64_t resumed;             /* the run now went on after this pass; 0: from the beginning, or a hit */
    bool remote;                 /* a hit that came from the remote tier now */
    const struct record *record; /* NULL unless hit or done; lives as long as the build */
    char *error;                 /* what was wrong; NULL unless failed */
    enum failure cause;          /* likewise; of the last attempt */
    int64_t memory,
        peak_rss; /* of the run now, in bytes: asked for (0: nothing); taken at most (0: not known) */
};
struct build_event { /* what the command line shows, and the run's log keeps */
    enum build_event_kind {
        BUILD_HIT,
        BUILD_START,
        BUILD_PROGRESS,
        BUILD_METRIC,
        BUILD_WARN,
        BUILD_DONE,
        BUILD_RETRY, /* an attempt failed; the task starts again */
        BUILD_FAILED,
        BUILD_SKIPPED,
        BUILD_HEAL, /* a result was found damaged or gone: what made it will run again */
        BUILD_INTERRUPT,
        BUILD_ELSEWHERE,  /* another run computes the task: it is waited for */
        BUILD_RESUME,     /* the task goes on from a state that an earlier run kept */
        BUILD_FREED,      /* its content was let go: it is temporary, and all that needs it is done */
        BUILD_CHECKPOINT, /* its state is in the store */
        BUILD_STOP,       /* it has stopped there, because of the interrupt */
        BUILD_NODE,       /* a node came or went, an allocation is asked for or waits */
        BUILD_UPLOAD,     /* all is done; uploads are waited for */
        BUILD_TICK        /* nothing happened for a while */
    } kind;
    const struct task
        *task; /* NULL for HEAL, INTERRUPT, NODE, UPLOAD, TICK and warnings that are of no task */
    const struct build_result *result; /* of the task */
    int finished, count;               /* tasks finished so far, tasks wanted */
    int running;                       /* workers at work */
    double done, total, value;         /* PROGRESS; METRIC; RESUME, CHECKPOINT, STOP: passes done, of all */
    double left;                       /* seconds until the run's end; below 0: not known */
    const char *text; /* unit, metric's name, warning, cpuset or "n1, 4 cores", log of a failure, damage */
};
struct build_options {
    int cores;    /* at most, of each node; 0: all of them */
    bool threads; /* each hardware thread is one of these */
    bool keep_going;
    const char *const *targets; /* names of tasks or stages; with what they need. None: all */
    int n_targets;
    const char *const *set; /* --set texts, for the run's log */
    int n_set;
    const char *const *vars; /* --vars files, likewise */
    int n_vars;
    const struct machine_unit *units; /* named resources that this run has */
    int n_units;
    const char *self;                        /* path of the weft program, for `weft worker` */
    const struct launcher_options *launcher; /* where workers run; NULL: on this machine */
    double checkpoint_every; /* seconds, at least, between two states that a task keeps; 0: the build's
                                choice, below 0: one after every pass */
    int interrupts; /* a signalfd: one lets running tasks keep their state and stop, or finish; a second one
                       kills them; -1: none */
    int tick;       /* milliseconds without an event after which see() gets a TICK; 0: none */
    struct remote *remote; /* cache/remote.h, of this store; NULL: none */
    unsigned remote_mode;
    void (*see)(void *arg, const struct build_event *e);
    /* Successive halving: tasks that do not start, by index, before release() has named them, which is asked
     * after each task's end until it says -1. What is never released stays in the state WAIT. NULL: none. */
    const bool *held;
    int (*release)(void *arg);
    void *arg; /* of both */
};
struct build;
/* Runs to the end. False with the first failure when a task failed (its own code, ERROR_INPUT for bad data),
 * on ERROR_INTERRUPT, and on trouble of our own. *ret is set, and to be freed, once the run began, in both
 * cases. */
bool build_run(const struct spec *spec, struct store *store, const struct build_options *opt,
               struct build **ret, struct error *err) MUST_CHECK;
const struct build_result *build_result_of(const struct build *b, int task);
const char *build_run_id(const struct build *b);
char *build_task_log(const struct build *b,
                     int task); /* path of its log, whether it is there or not; malloc'd */
void build_free(struct build *b);
#endif
