/* weft graph: the experiment drawn, as text for graphviz or Mermaid, or as SVG. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/cli/cmd.h"
#include "engine/cli/graphview.h"
#include "engine/cli/output.h"
#include "engine/exec/targets.h"
#include <string.h>

static const struct opt opts[] = {
    {"format", 'f', OPT_STRING, "dot|mermaid|svg", "default: what FILE ends in, else dot"},
    {"collapse", 0, OPT_FLAG, NULL, "draw all tasks of a foreach or matrix as one node"},
    {"states", 0, OPT_FLAG, NULL, "colour what is a hit, would run, or wait"},
    {"target", 't', OPT_LIST, "TASK", "only this task or stage and what it needs; repeatable"},
    OPT_ROW_OUTPUT,
    OPT_ROW_SET,
    OPT_ROW_VARS,
    OPT_ROW_STORE,
    OPT_ROW_SWEEP,
    OPT_ROW_JSON,
    {0}};

enum format { DOT, MERMAID, SVG, FORMATS };
static const struct {
    const char *name, *ending;
} formats[] = {[DOT] = {"dot", ".dot"}, [MERMAID] = {"mermaid", ".mmd"}, [SVG] = {"svg", ".svg"}};

static enum format find_format(const struct cmd_args *a)
{
    const char *name = cmd_opt(a, "format")->string, *file = cmd_opt(a, "output")->string;
    for (int i = 0; i < FORMATS; i++) {
        size_t n = strlen(formats[i].ending);
        if (name ? strcmp(name, formats[i].name) == 0
                 : file && strlen(file) > n && strcmp(file + strlen(file) - n, formats[i].ending) == 0)
            return (enum format)i;
    }
    return DOT;
}

static bool find_states(const struct cmd_args *a, const struct spec *s, enum resolution *state,
                        struct error *err)
{
    AUTO(store) struct store *store = NULL;
    struct resolver r;
    if (!cmd_open_store(a, &store, err))
        return false;
    resolver_init(&r, s, store);
    bool ok = resolve_all(&r, s, state, err);
    if (ok)
        resolve_needed(s, NULL, NULL, state);
    resolver_done(&r, s);
    return ok;
}

static json_t *graph_json(const struct graphview *g)
{
    json_t *nodes = json_array(), *edges = json_array();
    for (int i = 0; i < g->n; i++) {
        const struct graph_node *n = &g->node[i];
        json_t *o = json_pack("{s:s, s:s, s:i}", "name", n->name, "stage", n->stage, "tasks", n->tasks);
        if (graph_state(n))
            json_object_update_new(o, json_pack("{s:s, s:i, s:i, s:i}", "state", graph_state(n), "hit",
                                                n->hit, "run", n->miss, "wait", n->wait));
        json_array_append_new(nodes, o);
    }
    for (int i = 0; i < g->n_edges; i++)
        json_array_append_new(
            edges, json_pack("[s, s]", g->node[g->edge[i].from].name, g->node[g->edge[i].to].name));
    return json_pack("{s:s, s:o, s:o}", "experiment", g->title, "nodes", nodes, "edges", edges);
}

static bool draw(const struct cmd_args *a, const struct graphview *g, enum format format, struct error *err)
{
    AUTO(buf) struct buf text = {0};
    if (format == DOT)
        graph_dot(g, &text);
    else if (format == MERMAID)
        graph_mermaid(g, &text);
    else if (!graph_svg(g, &text, err))
        return false;
    return output_text(a, &text, err);
}

static int graph(const struct cmd_args *a, const struct spec *s)
{
    AUTO(arena) struct arena mem;
    AUTO(mem) bool *wanted = xcalloc((size_t)s->n + 1, sizeof *wanted);
    AUTO(mem) enum resolution *state = xcalloc((size_t)s->n + 1, sizeof *state);
    const struct opt_value *targets = cmd_opt(a, "target");
    bool states = cmd_opt(a, "states")->set;
    struct error err = {0};
    struct graphview g;
    arena_init(&mem);
    if (!targets_choose(s, targets->list, targets->n, wanted, &err) ||
        (states && !find_states(a, s, state, &err)))
        return cmd_fail(&err);
    const struct graph_options o = {
        .wanted = wanted, .states = states ? state : NULL, .collapse = cmd_opt(a, "collapse")->set};
    graphview_make(s, &o, &mem, &g);
    if (cmd_opt(a, "json")->set)
        return cmd_print_json(graph_json(&g));
    return draw(a, &g, find_format(a), &err) ? 0 : cmd_fail(&err);
}

static int run(const struct cmd_args *a)
{
    return cmd_with_spec(a, graph);
}

const struct cmd cmd_graph = {
    .name = "graph",
    .group = "Run experiments",
    .doc = "Draw an experiment's tasks and what they need.",
    .details =
        "As text for graphviz or Mermaid, or as SVG, which graphviz's dot draws: it has to be "
        "installed, and has 20 seconds. --collapse draws the tasks of a foreach or matrix as one node; "
        "--states colours hits green, what would run orange, what waits grey.",
    .args = (const struct arg[]){{.name = "EXPERIMENT", .doc = "the experiment, a YAML file"}, {0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft graph exp.yaml --collapse --states -o exp.svg", "a picture"},
                                         {"weft graph exp.yaml --format mermaid", "for a Markdown file"},
                                         {0}},
    .run = run};
