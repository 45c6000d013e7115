/* The build: drive a spec's plan to its end with the store, the topology and worker processes. */
#ifndef ENGINE_EXEC_BUILD_H
#define ENGINE_EXEC_BUILD_H
#include "cache/store.h"
#include "engine/sched/plan.h"
#include "engine/spec/spec.h"

struct build_result { /* by task index */
    enum task_state state;
    struct digest key;
    bool has_key;
    double seconds; /* of the run now, or of the run that made the hit */
    struct record *record; /* NULL unless hit or done; owned by the build */
    struct error error;    /* when failed */
};
struct build_event { /* to the observer (the command line's printing) */
    enum { BUILD_HIT, BUILD_START, BUILD_PROGRESS, BUILD_DONE, BUILD_FAILED, BUILD_SKIPPED, BUILD_WARN } kind;
    const struct task *task;
    const struct build_result *result;
    double done, total; /* progress */
    const char *unit, *text;
    int finished, count; /* tasks finished so far, tasks wanted */
    const char *place;   /* start: cpuset */
    const char *log;     /* failed: log file */
};
struct build_options {
    int cores;             /* 0: all */
    bool keep_going;
    const char *const *targets; /* task names or stage names; NULL: all */
    int n_targets;
    const char *self;      /* path of the weft program, for `weft worker` */
    void (*see)(void *arg, const struct build_event *e);
    void *arg;
};
struct build;
/* Runs to the end. True when all wanted tasks hit or ran; false when one failed (err: the first failure, ERROR_TASK)
 * or on trouble of our own. *ret is set in both cases once the run began; build_free it. */
bool build_run(const struct spec *spec, struct store *store, const struct build_options *opt, struct build **ret, struct error *err) MUST_CHECK;
const struct build_result *build_result_of(const struct build *b, int task);
const char *build_run_dir(const struct build *b); /* STORE/runs/<id> */
void build_free(struct build *b);
/* What `weft plan` shows: keys and hits as far as they are known without running. known[i] false: waits for a miss. */
bool build_preview(const struct spec *spec, struct store *store, struct build_result *results, bool *known, struct error *err) MUST_CHECK;
/* Put a record's artifact `output` as plain files below dir (links to imports followed when copy_imports). */
bool build_materialise(struct store *store, const struct record_output *o, const char *dir, bool copy_imports, struct error *err) MUST_CHECK;
#endif
