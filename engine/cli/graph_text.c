/* A graph in the languages of graphviz and of Mermaid. Nodes are numbered; names are only ever labels. */
#include "base/cleanup.h"
#include "engine/cli/graphview.h"
#include <string.h>

static const struct look { /* states as people know them from traffic lights, readable on both grounds */
    const char *state, *fill, *line;
} looks[] = {{"hit", "#c8e6c9", "#2e7d32"}, {"run", "#ffe0b2", "#ef6c00"}, {"wait", "#eceff1", "#78909c"}};
#define LOOKS (sizeof looks / sizeof *looks)

struct escape {
    char c;
    const char *text;
};
static const struct escape dot_escapes[] = {{'"', "\\\""}, {'\\', "\\\\"}, {'&', "&amp;"},
                                            {'<', "&lt;"}, {'>', "&gt;"},  {0}};
static const struct escape mermaid_escapes[] = {
    {'"', "#quot;"}, {'#', "#35;"},  {'&', "#amp;"}, {'<', "#lt;"},
    {'>', "#gt;"},   {'\\', "#92;"}, {'`', "#96;"},  {0}};

/* Control characters would break lines, and terminals. */
static void add_text(const char *text, const struct escape *table, struct buf *out)
{
    for (const char *c = text; *c; c++) {
        const struct escape *e = table;
        while (e->c && e->c != *c)
            e++;
        if (e->c)
            buf_puts(out, e->text);
        else
            buf_putc(out, (unsigned char)*c < ' ' || *c == 127 ? '?' : *c);
    }
}

static void add_label(const struct graph_node *n, const struct escape *table, const char *newline,
                      struct buf *out)
{
    AUTO(buf) struct buf label = {0};
    graph_label(n, &label);
    add_text(buf_str(&label), table, out);
    if (strcmp(n->name, n->stage) == 0)
        return;
    buf_puts(out, newline);
    add_text(n->stage, table, out);
}

static const struct look *look_of(const struct graph_node *n)
{
    const char *state = graph_state(n);
    for (size_t i = 0; state && i < LOOKS; i++)
        if (strcmp(looks[i].state, state) == 0)
            return &looks[i];
    return NULL;
}

static void dot_node(const struct graphview *g, int i, struct buf *out)
{
    const struct look *look = look_of(&g->node[i]);
    buf_printf(out, "  n%d [label=\"", i);
    add_label(&g->node[i], dot_escapes, "\\n", out);
    buf_putc(out, '"');
    if (look)
        buf_printf(out, ", fillcolor=\"%s\", color=\"%s\"", look->fill, look->line);
    buf_puts(out, g->node[i].tasks > 1 ? ", peripheries=2];\n" : "];\n");
}

void graph_dot(const struct graphview *g, struct buf *out)
{
    buf_puts(out, "digraph \"");
    add_text(g->title, dot_escapes, out);
    buf_puts(out, "\" {\n"
                  "  graph [rankdir=TB, fontname=\"Helvetica\", fontsize=11];\n"
                  "  node [shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\", color=\"#455a64\", "
                  "fontname=\"Helvetica\", fontsize=11];\n"
                  "  edge [color=\"#78909c\", arrowsize=0.7];\n");
    for (int k = 0; k < g->n_groups; k++) {
        buf_printf(out, "  subgraph cluster_%d {\n  label=\"", k);
        add_text(g->group[k], dot_escapes, out);
        buf_puts(out, "\"; style=\"rounded\"; color=\"#b0bec5\";\n");
        for (int i = 0; i < g->n; i++)
            if (g->node[i].group == k)
                dot_node(g, i, out);
        buf_puts(out, "  }\n");
    }
    for (int i = 0; i < g->n; i++)
        if (g->node[i].group < 0)
            dot_node(g, i, out);
    for (int i = 0; i < g->n_edges; i++)
        buf_printf(out, "  n%d -> n%d;\n", g->edge[i].from, g->edge[i].to);
    buf_puts(out, "}\n");
}

static void mermaid_node(const struct graphview *g, int i, struct buf *out)
{
    bool many = g->node[i].tasks > 1;
    buf_printf(out, "  n%d%s\"", i, many ? "[[" : "[");
    add_label(&g->node[i], mermaid_escapes, "<br/>", out);
    buf_printf(out, "\"%s\n", many ? "]]" : "]");
}

void graph_mermaid(const struct graphview *g, struct buf *out)
{
    bool states = false;
    buf_puts(out, "flowchart TB\n");
    for (int k = 0; k < g->n_groups; k++) {
        buf_printf(out, "  subgraph g%d[\"", k);
        add_text(g->group[k], mermaid_escapes, out);
        buf_puts(out, "\"]\n");
        for (int i = 0; i < g->n; i++)
            if (g->node[i].group == k)
                mermaid_node(g, i, out);
        buf_puts(out, "  end\n");
    }
    for (int i = 0; i < g->n; i++)
        if (g->node[i].group < 0)
            mermaid_node(g, i, out);
    for (int i = 0; i < g->n_edges; i++)
        buf_printf(out, "  n%d --> n%d\n", g->edge[i].from, g->edge[i].to);
    for (int i = 0; i < g->n; i++)
        if (graph_state(&g->node[i])) {
            buf_printf(out, "  class n%d %s\n", i, graph_state(&g->node[i]));
            states = true;
        }
    for (size_t i = 0; states && i < LOOKS; i++)
        buf_printf(out, "  classDef %s fill:%s,stroke:%s,color:#000\n", looks[i].state, looks[i].fill,
                   looks[i].line);
}
