/* A sweep over one axis: the objective over it, and the mean where points share a value. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/svg.h"
#include "engine/cli/sweep_impl.h"
#include <math.h>
#include <stdlib.h>

enum { LEFT = 110, RIGHT = 60, TOP = 70, BOTTOM = 110, MOST_MEANS = 50 };

struct scatter {
    const struct picture *p;
    struct scale x, y;
    double wide, high;
};
struct spot {
    double x, y;
};

static double x_of(const struct scatter *g, double at)
{
    return LEFT + 20 + at * (g->wide - 40);
}

static double y_of(const struct scatter *g, double at)
{
    return TOP + (1 - at) * g->high;
}

static void x_axis(struct scatter *g)
{
    struct buf *out = g->p->out;
    double most = 150;
    buf_printf(out, "<path d=\"M%d %.1fh%.1f\" class=\"axis\"/>\n", LEFT, y_of(g, 0), g->wide);
    scale_thin(&g->x, g->wide - 40, true, most);
    for (int i = 0; i < g->x.n_ticks; i++) {
        double x = x_of(g, g->x.tick[i].at);
        if (g->x.tick[i].hidden)
            continue;
        buf_printf(out, "<path d=\"M%.1f %.1fv5\" class=\"axis\"/>\n", x, y_of(g, 0));
        svg_text(out, x, y_of(g, 0) + 20, "middle", most, g->x.tick[i].text);
    }
    svg_text(out, LEFT + g->wide / 2, y_of(g, 0) + 44, "head", g->wide, g->p->view->axis[0]);
}

static void y_axis(struct scatter *g)
{
    struct buf *out = g->p->out;
    scale_thin(&g->y, g->high, false, 0);
    for (int i = 0; i < g->y.n_ticks; i++) {
        double y = y_of(g, g->y.tick[i].at);
        if (g->y.tick[i].hidden)
            continue;
        buf_printf(out, "<path d=\"M%d %.1fh%.1f\" class=\"grid\"/>\n", LEFT, y, g->wide);
        svg_text(out, LEFT - 8, y + 4, "right", LEFT - 14, g->y.tick[i].text);
    }
    buf_printf(out, "<path d=\"M%d %.1fv%.1f\" class=\"axis\"/>\n", LEFT, y_of(g, 1), g->high);
    svg_text(out, LEFT - 8, TOP - 16, "left best", g->wide / 1.15, g->p->view->objective);
}

static int compare(const void *a, const void *b)
{
    const struct spot *s = a, *t = b;
    return s->x != t->x ? (s->x < t->x ? -1 : 1) : s->y < t->y ? -1 : s->y > t->y;
}

static void mean_line(const struct scatter *g)
{
    const struct sweep_view *v = g->p->view;
    AUTO(mem) struct spot *spot = xcalloc((size_t)v->n + 1, sizeof *spot);
    int n = 0;
    for (int i = 0; i < v->n; i++)
        if (!isnan(g->y.at[i]))
            spot[n++] = (struct spot){g->x.at[i], v->trial[i].objective};
    qsort(spot, (size_t)n, sizeof *spot, compare);
    int groups = n > 0;
    for (int i = 1; i < n; i++)
        groups += spot[i].x != spot[i - 1].x;
    if (groups < 2 || groups > MOST_MEANS)
        return;
    double right = LEFT + g->wide;
    buf_printf(g->p->out, "<path d=\"M%.1f %dh30\" class=\"mean\"/>\n", right - 70, TOP - 20);
    svg_text(g->p->out, right - 34, TOP - 16, "left", 60, "mean");
    buf_puts(g->p->out, "<path d=\"");
    for (int from = 0, to; from < n; from = to) {
        double sum = 0;
        for (to = from; to < n && spot[to].x == spot[from].x; to++)
            sum += spot[to].y;
        double mean = sum / (to - from);
        double at = scale_place(&g->y, mean);
        buf_printf(g->p->out, "%s%.1f %.1f", from ? "L" : "M", x_of(g, spot[from].x), y_of(g, at));
    }
    buf_puts(g->p->out, "\" class=\"mean\"><title>mean</title></path>\n");
}

static void point(const struct scatter *g, int trial)
{
    struct buf *out = g->p->out;
    if (isnan(g->y.at[trial]))
        return;
    bool best = g->p->rank[trial] == 1;
    double x = x_of(g, g->x.at[trial]), y = y_of(g, g->y.at[trial]);
    buf_printf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%d\" fill=\"%s\" fill-opacity=\"%s\" stroke=\"%s\">",
               x, y, best ? 7 : 4, svg_colour(sweep_goodness(g->p, trial)).s,
               best                  ? "1"
               : g->p->view->n > 200 ? "0.5"
                                     : "0.85",
               best ? "#000" : "#fff");
    sweep_tooltip(g->p, trial);
    buf_puts(out, "</circle>\n");
}

static void best_value(const struct scatter *g, int trial)
{
    double x = x_of(g, g->x.at[trial]), y = y_of(g, g->y.at[trial]);
    bool left = x > LEFT + g->wide / 2;
    const struct sweep_trial *t = &g->p->view->trial[trial];
    AUTO(mem) char *text = xprintf("%s at %s", sweep_short(t->objective).s, t->value[0]);
    svg_text(g->p->out, left ? x - 12 : x + 12, y + 4, left ? "right best" : "left best", g->wide / 2 - 20,
             text);
}

void sweep_scatter(const struct picture *p)
{
    const struct sweep_view *v = p->view;
    struct scatter g = {.p = p, .wide = p->width - LEFT - RIGHT, .high = p->height - TOP - BOTTOM};
    sweep_scale(v, 0, &g.x, 0);
    sweep_scale(v, 1, &g.y, 0.08);
    x_axis(&g);
    if (v->objective)
        y_axis(&g);
    if (p->placed)
        mean_line(&g);
    for (int i = 0; p->placed && i < v->n; i++)
        point(&g, p->order[i]);
    if (p->placed && !isnan(g.y.at[p->order[v->n - 1]]))
        best_value(&g, p->order[v->n - 1]);
    scale_done(&g.x);
    scale_done(&g.y);
}
