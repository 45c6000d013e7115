/* A trace as SVG: a lane for each core, bars coloured by stage, tooltips, a legend. */
#include "base/cleanup.h"
#include "base/svg.h"
#include "engine/cli/gantt.h"
#include "engine/cli/units.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LEFT = 140, RIGHT = 30, TOP = 60, PLOT = 1060, GAP = 10 /* between two nodes */ };
enum { MOST_LANES = 64, LANE = 18, FOLDED = 1024 /* pixels of all lanes when these are more */ };
enum { LEGEND_COLUMN = 200, LEGEND_MOST = 60 };

struct canvas {
    const struct gantt *g;
    struct buf *out;
    double lane;         /* height of one */
    double axis, height; /* y of the axis below the lanes; of all */
    int columns, legend; /* of the legend; how many are in it */
    bool failed, broken; /* there are such bars */
};

static const char *const colours[] = {"#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#edc948", "#76b7b2",
                                      "#9c755f", "#ff9da7", "#1f9bcf", "#86bc25", "#8f6bb3", "#c9a66b",
                                      "#3a8f85", "#d37295", "#a0a9b4", "#5b6b9e"};
#define COLOURS (int)(sizeof colours / sizeof *colours)

static double x_of(const struct canvas *c, double seconds)
{
    return LEFT + PLOT * seconds / c->g->end;
}

static double y_of(const struct canvas *c, int lane)
{
    return TOP + lane * c->lane + GAP * c->g->lanes.lane[lane].node;
}

static bool is(const struct trace_bar *b, const char *state)
{
    return strcmp(b->state, state) == 0;
}

static void put_tooltip(const struct canvas *c, const struct trace_bar *b)
{
    char start[UNITS_MAX], took[UNITS_MAX];
    buf_puts(c->out, "<title>");
    svg_escape(c->out, b->task);
    buf_printf(c->out, " (");
    svg_escape(c->out, b->stage);
    buf_printf(c->out, "): %s from %s on, %d core%s", seconds_text(b->end - b->start, took),
               seconds_text(b->start, start), b->cores, b->cores == 1 ? "" : "s");
    if (*b->cpuset) {
        buf_puts(c->out, ", CPUs ");
        svg_escape(c->out, b->cpuset);
    }
    if (*b->node) {
        buf_puts(c->out, " of ");
        svg_escape(c->out, b->node);
    }
    buf_puts(c->out, ", ");
    svg_escape(c->out, b->state);
    buf_puts(c->out, "</title>");
}

/* Neighbouring lanes of a bar are one rectangle. */
static void put_bar(const struct canvas *c, size_t i)
{
    const struct trace_bar *b = &c->g->trace->bar[i];
    const struct trace_lanes *l = &c->g->lanes;
    double x = x_of(c, b->start), w = x_of(c, b->end) - x;
    const char *class = is(b, "failed") || is(b, "retry")      ? " class=\"failed\""
                        : is(b, "cut off") || is(b, "stopped") ? " class=\"broken\""
                                                               : "";
    for (size_t k = l->first[i]; k < l->first[i + 1];) {
        size_t next = k + 1;
        while (next < l->first[i + 1] && l->of[next] == l->of[next - 1] + 1 &&
               l->lane[l->of[next]].node == l->lane[l->of[k]].node)
            next++;
        double y = y_of(c, l->of[k]), h = (double)(next - k) * c->lane, rim = h < 4 ? 0 : h < 10 ? 0.5 : 1;
        buf_printf(c->out, "<g><rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"%s/>", x,
                   y + rim / 2, fmax(w - (w > 3), 0.3), h - rim, colours[c->g->stage_of[i] % COLOURS], class);
        put_tooltip(c, b);
        if (h >= 13 && svg_width(b->task) * 0.92 + 6 < w) {
            buf_printf(c->out, "<text x=\"%.2f\" y=\"%.2f\" class=\"name\">", x + 3, y + h / 2 + 4);
            svg_escape(c->out, b->task);
            buf_puts(c->out, "</text>");
        }
        buf_puts(c->out, "</g>\n");
        k = next;
    }
}

/* The name of each lane, or of each group of thin ones: "core 3", "cores 0-15". */
static void put_lane_names(const struct canvas *c)
{
    const struct trace_lanes *l = &c->g->lanes;
    int group = (l->n + MOST_LANES - 1) / MOST_LANES;
    for (int i = 0; i < l->n;) {
        char name[64];
        int last = i;
        while (last + 1 < l->n && last + 1 < i + group && l->lane[last + 1].node == l->lane[i].node)
            last++;
        double y = y_of(c, i), h = y_of(c, last) + c->lane - y;
        if (last > i)
            snprintf(name, sizeof name, "cores %d-%d", l->lane[i].core, l->lane[last].core);
        else
            snprintf(name, sizeof name, "core %d", l->lane[i].core);
        buf_printf(c->out, "<path class=\"grid\" d=\"M%d %.2fh%d\"/>\n", LEFT, y + h, PLOT);
        svg_text(c->out, LEFT - 8, y + h / 2 + 4, "right", LEFT - 16, name);
        if (i == 0 || l->lane[i - 1].node != l->lane[i].node)
            if (l->n_nodes > 1) /* in the gap above, or over the first */
                svg_text(c->out, LEFT, y - 1, "node", PLOT, l->node[l->lane[i].node]);
        i = last + 1;
    }
}

static void put_axis(const struct canvas *c)
{
    double step = gantt_step(c->g->end, 10);
    buf_printf(c->out, "<path class=\"axis\" d=\"M%d %.2fh%d\"/>\n", LEFT, c->axis, PLOT);
    for (int i = 0; i * step <= c->g->end * (1 + 1e-9); i++) {
        char text[UNITS_MAX] = "0";
        double x = x_of(c, i * step);
        if (i)
            seconds_text(i * step, text);
        buf_printf(c->out, "<path class=\"grid\" d=\"M%.2f %dV%.2f\"/>\n", x, TOP, c->axis);
        svg_text(c->out, x, c->axis + 16, "middle", 100, text);
    }
}

static void put_legend(const struct canvas *c)
{
    double y = c->axis + 44;
    for (int i = 0; i < c->legend; i++) {
        double x = LEFT + LEGEND_COLUMN * (i % c->columns), at = y + 20 * (i / c->columns);
        buf_printf(c->out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\" fill=\"%s\"/>\n", x,
                   at - 10, colours[i % COLOURS]);
        svg_text(c->out, x + 18, at, "left", LEGEND_COLUMN - 30, c->g->stage[i].name);
    }
    y += 20 * ((c->legend + c->columns - 1) / c->columns);
    char more[64] = "";
    if (c->g->n_stages > c->legend)
        snprintf(more, sizeof more, "and %d more stages; ", c->g->n_stages - c->legend);
    AUTO(buf) struct buf line = {0};
    buf_puts(&line, more);
    if (c->failed)
        buf_puts(&line, "red rim: the attempt failed; ");
    if (c->broken)
        buf_puts(&line, "dashed rim: it was stopped or cut off; ");
    if (line.len) {
        line.data[line.len -= 2] = '\0';
        svg_text(c->out, LEFT, y, "left", PLOT, buf_str(&line));
    }
}

void gantt_svg(const struct gantt *g, const char *title, struct buf *out)
{
    int n = g->lanes.n > 0 ? g->lanes.n : 1, nodes = g->lanes.n_nodes > 0 ? g->lanes.n_nodes : 1;
    struct canvas c = {.g = g,
                       .out = out,
                       .lane = n <= MOST_LANES ? LANE : (double)FOLDED / n,
                       .columns = PLOT / LEGEND_COLUMN,
                       .legend = g->n_stages < LEGEND_MOST ? g->n_stages : LEGEND_MOST};
    for (size_t i = 0; i < g->trace->n; i++) {
        const struct trace_bar *b = &g->trace->bar[i];
        c.failed = c.failed || is(b, "failed") || is(b, "retry");
        c.broken = c.broken || is(b, "cut off") || is(b, "stopped");
    }
    c.axis = TOP + n * c.lane + GAP * (nodes - 1) + 4;
    c.height = c.axis + 60 + 20 * ((c.legend + c.columns - 1) / c.columns) + 16;
    svg_open(out, LEFT + PLOT + RIGHT, c.height, title);
    buf_puts(out, "<style>.name{font-size:11px;fill:#fff;stroke:none}"
                  ".node{font-size:10px;font-weight:bold}.failed{stroke:#d00;stroke-width:2}"
                  ".broken{stroke:#222;stroke-dasharray:4 3}</style>\n");
    put_axis(&c);
    put_lane_names(&c);
    for (size_t i = 0; i < g->trace->n; i++)
        put_bar(&c, i);
    put_legend(&c);
    buf_puts(out, "</svg>\n");
}
