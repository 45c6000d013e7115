/* A stage is one row: what it is called, what it takes, what it makes, what it costs, how to run it.
 * Validation, `weft stages`, `weft help STAGE`, the schema and the key derive from the row. A stage knows
 * neither the scheduler nor the store: run() sees a context and nothing else.
 *
 * An artifact is a folder of named files. A file in an output folder may also be a symbolic link to a file of
 * an input or of an imported path: the store then refers to that content instead of copying it. */
#ifndef STAGES_STAGE_H
#define STAGES_STAGE_H
#include "base/arena.h"
#include "base/error.h"
#include "base/param.h"
#include "base/rng.h"

/* Artifact types and the files they hold: docs/artifacts.md. */
enum artifact {
    ARTIFACT_NONE,
    ARTIFACT_IMAGES,      /* dataset.json, samples.jsonl, source (file or folder); see stages/io/dataset.h */
    ARTIFACT_MODEL,       /* Hugging Face folder, or weft_moe: config.json, model.safetensors, ...; see
                             stages/model/ */
    ARTIFACT_FEATURES,    /* features.safetensors: "features" (N,D) F32; ids.json: N sample ids */
    ARTIFACT_RELEVANCE,   /* relevance.safetensors: "relevance" (N) F32 in (0,1), rows as in features */
    ARTIFACT_SELECTION,   /* selection.json: ids and indices of chosen samples of a public data set, in pick
                             order */
    ARTIFACT_ADAPTER,     /* PEFT folder: adapter_config.json, adapter_model.safetensors */
    ARTIFACT_ROUTER,      /* router.safetensors: "mean.<l>" (C) F32 per layer, router.json */
    ARTIFACT_METRICS,     /* metrics.json: {"rows": [{system, domain, metric, value, n, ...}], ...} */
    ARTIFACT_PREDICTIONS, /* predictions.json, predictions.jsonl: id, label, predicted class of every sample
                           */
    ARTIFACT_TABLE,       /* table.md, table.json */
    ARTIFACT_PICTURE,     /* picture.svg or picture.png, picture.json: what it shows */
    ARTIFACT_FILES,       /* whatever a user's program writes; only its inputs take it */
    ARTIFACT_ANY          /* input ports only: any of the above */
};
const char *artifact_name(enum artifact a);    /* "images", "model", ... */
enum artifact artifact_find(const char *name); /* ARTIFACT_NONE when an output cannot be of that type */

struct port {
    const char *name;
    enum artifact type;
    enum artifact also;  /* inputs: a second artifact taken from the same task (expert: ADAPTER and ROUTER) */
    bool many, optional; /* inputs */
    bool private_ok;     /* inputs: labelled (client) data may enter here */
    bool releases;       /* outputs: drops its inputs' labels; release says what leaves */
    const char *release; /* "ids of public samples" */
    const char *doc;
};

/* What the scheduler may know before a task runs. Unknown quantities are 0. */
struct cost_input {
    int64_t samples; /* of the largest data set input */
    int64_t bytes;   /* of all inputs */
    int64_t own;     /* samples of the largest where private data may enter: what a client works on */
    int64_t chosen;  /* samples of all selections together */
    int64_t model;   /* bytes of the largest model input */
    double forward;  /* FLOPs of one sample's way through it */
};
/* Of the task's first output, before there is one: what waits for it is foreseen by that. The others are
 * small beside it. */
struct cost_output {
    int64_t samples; /* of a data set or a selection */
    int64_t bytes;
    double forward; /* of a model, as above */
};
struct cost {
    double flops;  /* floating-point operations, as fast as those of matrix products: slower ones count for
                      more */
    int64_t bytes; /* read and written */
    int64_t peak;  /* bytes of memory at the peak */
    struct cost_output makes;
};
#define COST_RULE   3    /* raise it when a cost function counts otherwise: records say by which they went */
#define COST_WORKER 24e6 /* bytes of memory that any worker has */
#define COST_SCALAR 60   /* FLOPs as long as one operation that is none of a matrix product */
int64_t cost_count(double x); /* of bytes or samples: what is more than 2^62 is that */

struct stage_context; /* below */
struct command;       /* stages/command.h */
struct stage {
    const char *name;
    int version; /* raise it when outputs change for equal inputs */
    const char *doc;
    const struct param *params; /* {0}-ended, may be NULL */
    size_t params_size;
    const struct port *inputs, *outputs; /* {0}-ended */
    /* Optional: what no single row of the table can say (size against pool). Called after all parameters are
     * set, before anything runs; the engine adds the position. */
    bool (*check)(const void *params, struct error *err);
    /* With a PARAM_EPOCHS row: is the state after n passes the same whatever their number in all, because no
     * schedule looks at the end? Then a run with more passes goes on from one with fewer. NULL: no. */
    bool (*prefix)(const void *params);
    void (*cost)(const void *params, const struct cost_input *in, struct cost *ret);
    bool (*run)(struct stage_context *ctx, struct error *err);
    const struct command *command; /* a user's program: what its task declares. NULL for all other stages */
};
/* All stages, NULL-ended, sorted by name. */
extern const struct stage *const stage_registry[];
const struct stage *stage_find(const char *name);
int stage_port_index(const struct port *ports, const char *name); /* -1 when absent */
int stage_port_count(const struct port *ports);
/* Value of the PARAM_EPOCHS row; 0: there is none, the stage keeps no states. */
int64_t stage_passes(const struct stage *s, const void *params);
bool stage_shares(const struct stage *s, const void *params); /* prefix() says so */

/* ---- the context of one run; the engine fills it, stages call the functions ---- */
struct stage_input {      /* one reference of an input port */
    const char *dir;      /* folder of the artifact of port->type; files are read-only */
    const char *also_dir; /* folder of the port->also artifact, or NULL */
};
struct stage_inputs {
    struct stage_input *item;
    int n;
};
enum stage_due { STAGE_GO_ON, STAGE_KEEP, STAGE_KEEP_AND_STOP };
struct stage_context {
    const struct stage *stage;
    const void *params;                /* the stage's struct, checked, defaults filled in */
    const struct stage_inputs *inputs; /* by index in stage->inputs */
    const char *const *outputs;        /* existing empty folders, by index in stage->outputs */
    const char *scratch;               /* private folder, removed afterwards */
    int threads;                       /* OpenMP and BLIS threads this run may use; never changes a result */
    struct arena *arena;               /* lives as long as the run */
    /* Reporters; each may be called from the main thread at any rate (the engine throttles). */
    void (*progress)(struct stage_context *ctx, double done, double total, const char *unit);
    void (*metric)(struct stage_context *ctx, const char *name, double value, int64_t step);
    void (*warn)(struct stage_context *ctx, const char *text);
    /* Checkpoints: all NULL where the run keeps none. */
    const char *resume;                         /* file of the state that an earlier run kept, or NULL */
    int64_t resume_step;                        /* passes behind it */
    void (*resumed)(struct stage_context *ctx); /* the stage has taken it up */
    enum stage_due (*due)(struct stage_context *ctx, int64_t step);
    void (*checkpoint)(struct stage_context *ctx, int64_t step,
                       const char *name); /* takes the file of scratch */
    bool checkpoint_failed;               /* that was said */
    int64_t program_peak; /* set by the stage: bytes that a program which it ran held, 0: it ran none */
    void *engine;         /* the reporters' own */
};
/* Folder of reference i of input port `port`; NULL when an optional port is not connected. */
const char *stage_in(const struct stage_context *ctx, const char *port, int i);
const char *stage_in_also(const struct stage_context *ctx, const char *port, int i);
int stage_in_count(const struct stage_context *ctx, const char *port);
/* "DIR/FILE" of an input or output folder, in the run's arena. */
const char *stage_in_file(struct stage_context *ctx, const char *port, int i, const char *file);
const char *stage_out_file(struct stage_context *ctx, const char *port, const char *file);
void stage_progress(struct stage_context *ctx, double done, double total, const char *unit);
void stage_metric(struct stage_context *ctx, const char *name, double value, int64_t step);
void stage_warn(struct stage_context *ctx, const char *fmt, ...) PRINTF(2, 3);
/* The state of the context has been taken up: the passes behind it. */
int64_t stage_resumed(struct stage_context *ctx);
/* After pass `step`: where it is time for it, save() writes the state to a new file, and the run is told. A
 * state that cannot be written is a warning. False: the run is to end here (ERROR_INTERRUPT). */
bool stage_checkpoint(struct stage_context *ctx, int64_t step,
                      bool (*save)(void *arg, const char *path, struct error *err), void *arg,
                      struct error *err) MUST_CHECK;
#endif
