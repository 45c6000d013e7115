/* The graph of an experiment as it is drawn: its tasks, or its stages with each foreach or matrix as one
 * node. */
#ifndef ENGINE_CLI_GRAPHVIEW_H
#define ENGINE_CLI_GRAPHVIEW_H
#include "base/arena.h"
#include "base/buf.h"
#include "engine/exec/resolve.h"
#include "engine/spec/spec.h"

struct graph_node { /* strings in the arena */
    const char *name, *stage;
    int group;           /* whose node it is; -1: of a stage with a single task, or a group itself */
    int tasks;           /* 1 unless it is a group */
    int hit, miss, wait; /* how many of them; all 0 without states */
};
struct graph_edge {
    int from, to;
};
struct graphview {
    const char *title;
    struct graph_node *node;
    int n;
    struct graph_edge *edge; /* each once */
    int n_edges;
    const char **group; /* names of the stages of several tasks; none when they are collapsed */
    int n_groups;
};
struct graph_options {
    const bool *wanted;            /* by task index */
    const enum resolution *states; /* by task index; NULL: not asked for */
    bool collapse;
};
void graphview_make(const struct spec *s, const struct graph_options *o, struct arena *a,
                    struct graphview *ret);
const char *
graph_state(const struct graph_node *n); /* "run", "wait", "hit", the first of which there is one; or NULL */
/* "expert[pets]", "expert x3", with states "expert x3: 2 hit, 1 run". */
void graph_label(const struct graph_node *n, struct buf *out);

void graph_dot(const struct graphview *g, struct buf *out); /* graph_text.c */
void graph_mermaid(const struct graphview *g, struct buf *out);
/* The text of graph_dot through graphviz, which has 20 s; graph_svg.c. */
bool graph_svg(const struct graphview *g, struct buf *out, struct error *err) MUST_CHECK;
#endif
