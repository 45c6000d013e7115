/* Private to the build: build.c drives the loop, build_task.c starts and ends one task, build_report.c tells.
 */
#ifndef ENGINE_EXEC_BUILD_IMPL_H
#define ENGINE_EXEC_BUILD_IMPL_H
#include "engine/exec/artifacts.h"
#include "engine/exec/build.h"
#include "engine/exec/process.h"
#include "engine/exec/resolve.h"
#include "engine/exec/runlog.h"
#include "engine/topo/topo.h"

struct attempt { /* one running worker */
    const struct task *task;
    struct process process;
    struct place *place;
    char *dir;       /* private: out.PORT and scratch */
    bool done;       /* it said so */
    double deadline; /* of the monotonic clock; 0: none */
    bool timed_out;  /* past it, killed */
    size_t since;    /* artifacts_spoilt when it started */
    bool spoilt; /* an input was changed by someone else while it ran: what it made is not to be trusted */
    double seconds;
    int64_t peak_rss;
    struct error error; /* what it said was wrong */
    struct build *build;
};
struct build {
    const struct spec *spec;
    struct store *store;
    struct build_options opt;
    struct build_result *result;
    struct resolver resolver;
    struct plan *plan; /* of the current pass */
    struct topo *topo;
    struct artifacts *artifacts;
    struct runlog *log;
    char *dir; /* temporary folder of this run */
    struct attempt **running;
    int n_running, cores, finished, count;
    unsigned long attempts;
    json_t *pending; /* a set: keys that tasks missed and are to compute */
    int *parked;     /* tasks whose key is pending because of another task */
    int n_parked;
    bool *held;    /* what still waits for its release; NULL: nothing ever did */
    bool stopping; /* start nothing more */
    bool again;    /* an input was damaged: plan anew when all workers are done */
    int interrupts;
    double began;         /* seconds of the monotonic clock */
    struct error failure; /* the first */
};

/* build_task.c. Start: input folders, output folders, cores, worker. End: exit status, outputs into the
 * store, record. False with err: the task failed; ERROR_DAMAGE from start: an input is gone from the store;
 * a->spoilt after the end: it has to run again.
 */
bool attempt_start(struct build *b, const struct task *t, int cores, struct error *err) MUST_CHECK;
bool attempt_end(struct build *b, struct attempt *a, struct error *err) MUST_CHECK;
void attempt_free(struct build *b, struct attempt *a);

/* build_report.c: events to the observer and to the run's log. */
void report_begin(struct build *b);
void report_end(struct build *b, bool ok);
void report(struct build *b, enum build_event_kind kind, const struct task *t, const char *text);
void report_worker_event(struct build *b, struct attempt *a, const json_t *event);
#endif
