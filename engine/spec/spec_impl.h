/* Private to engine/spec/: what the passes over an experiment share. Order: read -> include -> vars ->
 * defaults -> expand -> params
 * -> refs -> graph -> labels; each pass adds what it finds wrong to the diagnostics and goes on. Everything
 * lives in the arena. */
#ifndef ENGINE_SPEC_SPEC_IMPL_H
#define ENGINE_SPEC_SPEC_IMPL_H
#include "engine/spec/lookup.h"
#include "engine/spec/spec.h"
#include "engine/spec/yaml.h"

struct diag { /* all errors of a file, without exact repeats */
    struct error *item;
    size_t n, cap;
    bool grown;           /* has said that something grows too large */
    const char *point;    /* what is being looked at is this point of a sweep; NULL: none */
    const struct pos *at; /* where the sweep is */
};
bool diag_add(struct diag *d, const struct pos *pos, const char *fmt, ...) PRINTF(3, 4); /* returns false */
bool diag_take(struct diag *d, const struct error *err, const struct pos *pos); /* an error from elsewhere */
/* "there is no X 'name'; did you mean 'near'?": format and arguments say all but the suggestion. */
bool diag_unknown(struct diag *d, const struct pos *pos, const char *near, const char *fmt, ...) PRINTF(4, 5);
/* Something is defined again at pos, first at `first`. */
bool diag_again(struct diag *d, const struct pos *pos, const struct pos *first, const char *fmt, ...)
    PRINTF(4, 5);
void diag_warn(struct diag *d, const struct pos *pos, const char *fmt, ...) PRINTF(3, 4);
/* All of `from`, which is empty afterwards. */
void diag_move(struct diag *d, struct diag *from);
bool diag_full(const struct diag *d); /* takes no more, so that suggestions for it are wasted */
void diag_sort(struct diag *d);       /* by file, line, column */

/* Names a value may use: ${item}, ${key}, ${round} and ${previous} of one instance, then the variables. */
struct scope {
    const struct yaml_node *vars; /* a map, never NULL */
    const struct yaml_node *item; /* NULL outside foreach and matrix */
    const char *key;
    const char *round, *previous; /* NULL without rounds; previous: "" in the first */
};
/* A copy of `vars` with the files of --vars and the texts of --set laid over it. */
struct yaml_node *overlay_vars(struct arena *a, struct diag *d, const struct yaml_node *vars,
                               const struct spec_options *opt);
/* The key nearest to `name`, for a suggestion; NULL when none is near or `map` is no map. */
const char *overlay_near(const struct yaml_node *map, const char *name);
/* The map of variables after --vars and --set, with every ${...} in it replaced; never NULL. `vars` may be
 * NULL. A variable that has an error is kept as a broken one: its users fail without a second message.
 * *ret_raw: before anything in it is replaced. */
struct yaml_node *vars_read(struct arena *a, struct diag *d, const struct yaml_node *vars,
                            const struct spec_options *opt, const struct yaml_node **ret_raw);
/* The variables `raw` with every ${...} in them replaced. */
struct yaml_node *vars_ready(struct arena *a, struct diag *d, const struct yaml_node *raw);
/* A copy of n with every ${...} replaced; NULL after adding a diagnostic. */
struct yaml_node *vars_resolve(struct arena *a, struct diag *d, const struct scope *s,
                               const struct yaml_node *n);

struct instance { /* one task of a declaration */
    struct task *task;
    const char **coord; /* texts of foreach or matrix coordinates, then the round */
    int n_coord;
    struct scope scope;
};
struct decl { /* one entry of stages: */
    const char *name;
    struct pos pos; /* of the name */
    const struct yaml_node *node;
    const struct stage *stage;        /* NULL: unknown, reported */
    const struct yaml_node *with;     /* its own, and below it the defaults' of its stage; may be NULL */
    const struct yaml_node *defaults; /* of its stage: with, resources; may be NULL */
    struct instance *instance;
    int n;
    int rounds;                   /* 0 without */
    const struct yaml_node *axes; /* of its matrix, or with rounds: a map of lists or maps; else NULL */
    const char ***axis;           /* [axis][i]: the coordinate's text */
    /* of a sweep: one of several variants of a declaration */
    const char *suffix;           /* of its tasks' names: "@lambda=0.3"; NULL: none */
    const struct yaml_node *vars; /* of its points; NULL: the experiment's */
    const int *row;       /* by declaration as written: the variant that it refers to; NULL: as written */
    struct pos sweep_pos; /* where its values come from */
};
struct experiment {
    struct arena *arena;
    struct diag *diag, *warnings;
    const char *file;               /* the main one */
    const struct spec_options *opt; /* may be NULL */
    bool pedantic;
    const struct stage *(*find)(const char *name);
    struct yaml_node *all_vars, *all_stages; /* as written in the file and in all that it includes */
    struct yaml_node *all_references;        /* each file's list, by its path */
    struct yaml_node *all_defaults;          /* likewise, as defaults_flat says */
    const struct yaml_node *vars, *raw_vars; /* raw: with --vars and --set, but ${...} as written */
    const char **files;                      /* the experiment's own, then those that it includes */
    int n_files;
    struct decl *decl;
    const char **base;       /* their names as written */
    int n, bases;            /* bases: declarations as written; n: with all variants of a sweep */
    int tasks;               /* of all declarations */
    struct lookup decls;     /* by name, to the index in decl */
    struct lookup instances; /* by a task's name, to the index in its declaration */
    struct arena *scratch;   /* emptied after each task: values on their way to it */
    const char **allow;      /* privacy.allow */
    int n_allow;
};
/* Is `map` a map whose keys are all in the NULL-ended list? Unknown ones are reported; false: no map. */
bool spec_check_map(struct experiment *e, const struct yaml_node *map, const char *const *keys,
                    const char *what);
bool spec_unknown_stage(struct experiment *e, const struct pos *pos, const char *name); /* returns false */
/* A map that a pass makes itself. */
struct yaml_node *map_new(struct arena *a, struct pos pos);
void map_append(struct arena *a, struct yaml_node *map, struct yaml_node *key, struct yaml_node *item);
/* The defaults of one file, checked: a map from "STAGE.with.NAME" or "STAGE.resources.NAME" to the value. */
struct yaml_node *defaults_flat(struct experiment *e, const struct yaml_node *root);
void reference_read(struct experiment *e, struct spec *s); /* e->all_references -> s->reference */
void defaults_apply(struct experiment *e); /* e->all_defaults -> with and defaults of each declaration */
/* include: fills e->all_vars, e->all_defaults and e->all_stages; false: a file could not be had, so that
 * nothing of what needs all of them can be said. */
bool include_read(struct experiment *e, const struct yaml_node *root, const char *path);
void expand_decl(struct experiment *e, struct decl *d); /* foreach, matrix, rounds -> instances */
/* rounds: -> d->rounds; false after a diagnostic. */
bool rounds_read(struct experiment *e, struct decl *d);
/* Once d->n says how many tasks a round has: the axis "round" behind the others, of which a foreach has one,
 * "item" (its list or map; NULL: no foreach). */
void rounds_axis(struct experiment *e, struct decl *d, const struct yaml_node *items);
/* in: as this task has it. In the first round without what names the previous one, and with first: over it.
 * NULL: it has none. */
const struct yaml_node *rounds_inputs(struct experiment *e, const struct decl *d, const struct instance *in);

struct exclude { /* combinations that a matrix leaves out */
    int **row;   /* each by axis: the index it names, -1 for any */
    int n;
};
/* The list `exclude` of a matrix with these axes, whose coordinates are coord[axis][index]. */
bool exclude_read(struct experiment *e, const struct yaml_node *axes, const char ***coord,
                  const struct yaml_node *exclude, struct exclude *ret);
bool exclude_has(const struct exclude *x, const int *at, int axes); /* at: an index by axis */

/* uses: command. Declare: the task's own row, from with:, outputs: and the names in in:, before any reference
 * is resolved; check: the placeholders of argv, once the inputs are known. */
void command_declare(struct experiment *e, const struct decl *d, struct instance *in);
void command_check(struct experiment *e, const struct instance *in);

/* Can the parameter hold the value as it is written, to the last digit? */
bool number_kept(const struct param *row, const struct yaml_node *v, struct error *err) MUST_CHECK;
/* Add to what a refused value's error says how to write what was meant, if that can be told. */
void number_explain(struct error *err, const struct param *row, const struct yaml_node *written,
                    const struct yaml_node *v);
void params_set(struct experiment *e, const struct decl *d,
                struct instance *in); /* with:, resources:, private: */
/* resources: what the stage says itself, over what its defaults say; either may be NULL. */
void resources_set(struct experiment *e, struct instance *in, const struct yaml_node *own,
                   const struct yaml_node *below);
void refs_resolve(struct experiment *e, const struct decl *d, struct instance *in); /* in: */
struct selector { /* which instances a reference means */
    const char *coord;
    const char **value; /* by axis, NULL: any; NULL: coord is in order */
};
/* The text in a reference's brackets; false after a diagnostic. */
bool select_parse(struct experiment *e, const struct decl *d, const char *coord, const struct pos *pos,
                  struct selector *ret);
bool select_has(const struct selector *s, const struct instance *in);
bool graph_order(struct experiment *e, struct spec *s); /* fills s->task; false: a cycle, reported */
void labels_flow(struct experiment *e, struct spec *s); /* private labels along the edges */

/* What an experiment without errors has that may be a mistake: variables, defaults and stages that nothing
 * uses. */
void warn_all(struct experiment *e, const struct spec *s, const struct yaml_node *root);
void warn_tags(struct experiment *e, const struct yaml_node *tags); /* a list of texts */
/* Pedantic: the parameter was set to what it would be anyway. */
void warn_default(struct experiment *e, const struct decl *d, const struct instance *in,
                  const struct param *row, const struct yaml_node *written);
bool privacy_allows(const struct experiment *e, const struct decl *d); /* is d named in privacy.allow? */
#endif
