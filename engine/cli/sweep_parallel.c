/* Parallel coordinates: an upright line for every axis and the objective, a polyline for every point. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/svg.h"
#include "engine/cli/sweep_impl.h"
#include <math.h>
#include <stdlib.h>

enum { LEFT = 130, RIGHT = 130, TOP = 84, BOTTOM = 80 };

struct parallel {
    const struct picture *p;
    struct scale *scale; /* by upright line */
    int lines;
    double gap; /* between two of them */
};

static double x_of(const struct parallel *g, int line)
{
    return LEFT + line * g->gap;
}

static double y_of(const struct parallel *g, double at)
{
    return g->p->height - BOTTOM - at * (g->p->height - TOP - BOTTOM);
}

static void upright(const struct parallel *g, int line)
{
    struct buf *out = g->p->out;
    const struct sweep_view *v = g->p->view;
    struct scale *s = &g->scale[line];
    double x = x_of(g, line), most = fmin(line ? g->gap * 0.5 : LEFT, LEFT) - 14;
    buf_printf(out, "<path d=\"M%.1f %.1fV%.1f\" class=\"axis\"/>\n", x, y_of(g, 0), y_of(g, 1));
    svg_text(out, x, TOP - 22, "head", fmin(g->gap - 10, 2 * LEFT - 10) / 1.15,
             line < v->n_axes ? v->axis[line] : v->objective);
    scale_thin(s, y_of(g, 0) - y_of(g, 1), false, most);
    for (int i = 0; i < s->n_ticks; i++) {
        if (s->tick[i].hidden)
            continue;
        double y = y_of(g, s->tick[i].at);
        buf_printf(out, "<path d=\"M%.1f %.1fh-5\" class=\"axis\"/>\n", x, y);
        svg_text(out, x - 8, y + 4, "right", most, s->tick[i].text);
    }
}

static void path(const struct parallel *g, int trial)
{
    const char *command = "M";
    for (int line = 0; line < g->lines; line++) {
        double at = g->scale[line].at[trial];
        if (isnan(at))
            continue;
        buf_printf(g->p->out, "%s%.1f %.1f", command, x_of(g, line), y_of(g, at));
        command = "L";
    }
}

/* A casing in white sets the best off from those below it. */
static void polyline(const struct parallel *g, int trial, bool best)
{
    struct buf *out = g->p->out;
    double good = sweep_goodness(g->p, trial), n = g->p->view->n;
    for (int casing = best; casing >= 0; casing--) {
        buf_puts(out, "<path d=\"");
        path(g, trial);
        if (isnan(good))
            buf_puts(out, "\" class=\"line none\">");
        else
            buf_printf(out, "\" class=\"line\" stroke=\"%s\" stroke-width=\"%s\" stroke-opacity=\"%s\">",
                       casing ? "#fff" : svg_colour(good).s,
                       casing ? "7"
                       : best ? "4"
                              : "1.5",
                       best      ? "1"
                       : n > 200 ? "0.4"
                       : n > 50  ? "0.65"
                                 : "0.85");
        sweep_tooltip(g->p, trial);
        buf_puts(out, "</path>\n");
    }
}

static void best_values(const struct parallel *g, int trial)
{
    const struct sweep_trial *t = &g->p->view->trial[trial];
    for (int line = 0; line < g->lines; line++) {
        double at = g->scale[line].at[trial];
        double most = line < g->lines - 1 ? g->gap * 0.5 - 12 : RIGHT - 14;
        bool number = line >= g->p->view->n_axes || isfinite(t->number[line]);
        double x = line < g->p->view->n_axes ? t->number[line] : t->objective;
        if (!isnan(at))
            svg_text(g->p->out, x_of(g, line) + 8, y_of(g, at) + 4, "left best", number ? RIGHT : most / 1.05,
                     number ? sweep_short(x).s : t->value[line]);
    }
}

void sweep_parallel(const struct picture *p)
{
    const struct sweep_view *v = p->view;
    struct parallel g = {.p = p, .lines = v->n_axes + (v->objective != NULL)};
    AUTO(mem) struct scale *scale = g.scale = xcalloc((size_t)g.lines, sizeof *scale);
    g.gap = (p->width - LEFT - RIGHT) / (g.lines - 1);
    for (int line = 0; line < g.lines; line++)
        sweep_scale(v, line, &scale[line], 0);
    int best = v->n && p->rank[p->order[v->n - 1]] == 1 ? p->order[v->n - 1] : -1;
    for (int i = 0; i < v->n; i++)
        polyline(&g, p->order[i], p->order[i] == best);
    for (int line = 0; line < g.lines; line++)
        upright(&g, line);
    if (best >= 0)
        best_values(&g, best);
    for (int line = 0; line < g.lines; line++)
        scale_done(&scale[line]);
}
