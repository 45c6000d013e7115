/* Private to the sweep's files in engine/spec/: axes -> points -> cells -> variants of the declarations. */
#ifndef ENGINE_SPEC_SWEEP_IMPL_H
#define ENGINE_SPEC_SWEEP_IMPL_H
#include "engine/spec/spec_impl.h"
#include "engine/spec/sweep.h"

#define SWEEP_POINTS_MAX 10000
#define SWEEP_CELLS_MAX  4000000  /* declarations of all points at all rungs */
#define SWEEP_TASKS_MAX  10000000 /* of all points at all rungs, each counted for itself */
#define SWEEP_AXES_MAX   60       /* a declaration's axes are bits of a word */

enum axis_kind { AXIS_LIST, AXIS_UNIFORM, AXIS_LOGUNIFORM, AXIS_INTEGER };
struct axis { /* one entry of sweep: */
    enum axis_kind kind;
    struct pos pos;
    int first, n_names;            /* its variables: columns first .. first + n_names - 1 */
    const struct yaml_node **item; /* LIST: [value * n_names + name] */
    int n;                         /* LIST: values */
    double lo, hi;                 /* else */
};
enum search_method { SEARCH_GRID, SEARCH_ZIP, SEARCH_RANDOM, SEARCH_LHS };
struct sweep_plan {
    struct axis *axis;
    int n_axes;
    const char **name; /* the variables, by column */
    int n_names;
    const struct yaml_node *path_of[SWEEP_AXES_MAX]; /* the keys that name them, for their places */
    enum search_method method;
    int64_t count, seed;
    const struct yaml_node *where;   /* a list of texts; NULL */
    const struct yaml_node ***point; /* [point][column] */
    int n;
    const struct yaml_node **rung; /* halving: the values of `over`; NULL without */
    int objective_decl;            /* -1: none */
    const char *objective_coord;   /* NULL: all of it */
    struct pos objective_pos;
    struct sweep sweep; /* what becomes known on the way */
};
/* sweep:, objective: and search: of the file -> points. False after diagnostics. */
bool sweep_read(struct experiment *e, const struct yaml_node *root, struct sweep_plan *p);
/* A variable that --set fixes is no axis in this call of weft sweep: "a" fixes "a.b", too. */
bool sweep_is_fixed(const struct experiment *e, const char *axis);
/* sweep: -> axes. */
bool sweep_axes(struct experiment *e, const struct yaml_node *node, struct sweep_plan *p);
/* objective: and search:. */
bool sweep_options(struct experiment *e, const struct yaml_node *root, struct sweep_plan *p);
/* Axes by the method, without what `where` forbids. */
bool sweep_points(struct experiment *e, struct sweep_plan *p);
/* The variables of a point: a copy of the raw ones with the point's values in their places, resolved. */
const struct yaml_node *sweep_vars(struct experiment *e, const struct sweep_plan *p,
                                   const struct yaml_node *const *point, const struct yaml_node *rung);
/* Is the condition true of these variables? False with *bad: it cannot be understood, reported. */
bool where_holds(struct experiment *e, const struct yaml_node *condition, const struct yaml_node *vars,
                 bool *bad);
/* e->decl becomes its variants, one for each combination of values that a declaration depends on; each cell's
 * row of them is kept in cell_row[cell][declaration]. */
bool sweep_variants(struct experiment *e, struct sweep_plan *p, int ***cell_row);
/* After the graph: each cell's tasks and its objective's. */
void sweep_cells(struct experiment *e, struct sweep_plan *p, int **cell_row);
/* A value as the text of a name: itself where it can be one, else "#INDEX". */
const char *sweep_value_text(struct arena *a, const struct yaml_node *value, int index);
#endif
