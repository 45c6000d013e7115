/* An experiment: YAML text -> a checked graph of tasks. Finds every error of the file before anything runs.
 */
#ifndef ENGINE_SPEC_SPEC_H
#define ENGINE_SPEC_SPEC_H
#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "stages/stage.h"

struct task;
struct yaml_node; /* engine/spec/yaml.h */
struct sweep;
struct task_ref { /* one edge: an input of a task */
    struct task *task;
    int output;      /* index of the producer's output port of port->type */
    int output_also; /* of port->also, or -1 */
};
struct task_inputs {
    struct task_ref *ref;
    int n;
};
struct task {
    const char *name; /* "expert[pets]" */
    const struct stage *stage;
    struct pos pos;              /* of the stage in the YAML */
    void *params;                /* the stage's struct */
    const struct pos *param_pos; /* by index in stage->params: where it was set, line 0 when defaulted */
    struct task_inputs *inputs;  /* by index in stage->inputs */
    const char *label;           /* private: label given on this task, or NULL */
    const char **labels;         /* whose data the task sees or makes: own and inherited, sorted */
    int n_labels;
    int cores_min, cores_max; /* resources.cores; 0,0: the scheduler chooses */
    int64_t memory;           /* resources.memory in bytes, 0: unknown */
    double timeout;           /* resources.timeout in seconds, 0: none */
    int retries;              /* resources.retries: more attempts after one that failed */
    double backoff;           /* seconds before the first of these, doubled for each further one; 0: none */
    double memory_growth;     /* each asks for so many times the memory of the one before; 0: as much */
    bool exclusive;           /* resources.exclusive: a node to itself */
    bool spread;              /* resources.place: cores far apart, not close together */
    struct task_unit {        /* resources.units: named resources */
        const char *name;     /* in the order of names */
        int count;
        struct pos pos;
    } * unit;
    int n_units;
    bool temp; /* its outputs go once all that needs them is done */
    int index; /* position in spec->task, topological order */
};
struct reference { /* numbers to show beside the measured ones; percentages, as a table has them */
    const char *name, *source; /* source "" when not given */
    struct pos pos;
    struct reference_row {
        const char *system, *domain;
        double value;
    } * row;
    int n;
};
struct spec {
    const char *file, *experiment;
    struct task **task; /* in topological order, ties in file order */
    int n;
    const char *const *allow; /* privacy.allow: stages of the file that may see several clients' data */
    int n_allow;
    struct reference *reference; /* of the file and its includes; never part of a key */
    int n_references;
    const struct yaml_node *vars; /* a map: the variables after --vars and --set */
    const char **files;           /* the experiment's own, then those that it includes */
    int n_files;
    bool has_sweep;            /* the file has one */
    const struct sweep *sweep; /* engine/spec/sweep.h; NULL unless its graph was wanted */
    struct error *warning;     /* sorted by position */
    int n_warnings;
    struct arena arena; /* owns everything above but the warnings */
};
struct spec_options {
    const char *const *set; /* "name=value" texts of --set */
    int n_set;
    const char *const *vars; /* files of --vars: laid over the experiment's variables, below --set */
    int n_vars;
    bool sweep;    /* the graph of all points of sweep:, in place of the experiment's own */
    bool pedantic; /* warn of values that equal their default, too */
    const struct stage *(*find)(const char *name); /* NULL: stage_find; tests bring their own */
};
/* Read, interpolate, expand foreach and matrix, resolve references, check parameters and ports. On failure
 * *errors is an array of all errors found and of warnings (ERROR_WARNING) among them, sorted by position
 * (malloc'd, caller frees) and *n_errors > 0. */
bool spec_read(const char *path, const struct spec_options *opt, struct spec **ret, struct error **errors,
               int *n_errors) MUST_CHECK;
void spec_free(struct spec *s);
struct task *spec_find(const struct spec *s, const char *task); /* NULL when absent */
bool spec_allows(const struct spec *s, const struct task *t);   /* does privacy.allow name its stage? */
/* Whose private data an output of t carries: the task's labels, unless the port releases them. How many. */
int task_output_labels(const struct task *t, int output, const char *const **ret);

/* The canonical description of what a task computes, and its key (DESIGN section 6):
 *   weft-key 1 / stage NAME VERSION / param NAME = TEXT ... / import NAME = DIGEST ... / input PORT[i] =
 * DIGEST ... digest(arg, ref, also) yields the tree digest of a producer's output; import(arg, path) that of
 * an imported path or URL, false without a code in err where that is not fetched yet. */
struct key_source {
    bool (*output)(void *arg, const struct task *t, int output, struct digest *ret);
    bool (*import)(void *arg, const char *path, struct digest *ret, struct error *err);
    void *arg;
};
/* *ret_text malloc'd. False when a digest is not known yet (err code ERROR_NONE) or an import failed. */
bool task_key(const struct task *t, const struct key_source *src, struct digest *ret, char **ret_text,
              struct error *err) MUST_CHECK;
#endif
