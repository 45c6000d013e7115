/* The frame of a sweep's picture: title, legend, order and colours of the points. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/svg.h"
#include "engine/cli/sweep_impl.h"
#include <math.h>
#include <stdlib.h>

static bool all_numbers(const struct sweep_view *v, int axis)
{
    for (int i = 0; i < v->n; i++)
        if (!isfinite(v->trial[i].number[axis]))
            return false;
    return true;
}

void sweep_scale(const struct sweep_view *v, int axis, struct scale *ret, double margin)
{
    AUTO(mem) double *number = xcalloc((size_t)v->n + 1, sizeof *number);
    AUTO(mem) const char **text = xcalloc((size_t)v->n + 1, sizeof *text);
    bool numbers = axis == v->n_axes || all_numbers(v, axis);
    for (int i = 0; i < v->n; i++) {
        text[i] = axis < v->n_axes ? v->trial[i].value[axis] : "";
        number[i] = axis < v->n_axes ? v->trial[i].number[axis] : v->trial[i].objective;
    }
    if (numbers)
        scale_numbers(ret, number, v->n, margin);
    else
        scale_texts(ret, text, v->n);
}

double sweep_goodness(const struct picture *p, int trial)
{
    double x = p->view->trial[trial].objective;
    if (!p->view->objective || !isfinite(x))
        return NAN;
    double t = p->hi > p->lo ? (x - p->lo) / (p->hi - p->lo) : 1;
    return p->view->maximise || p->hi == p->lo ? t : 1 - t;
}

void sweep_tooltip(const struct picture *p, int trial)
{
    const struct sweep_view *v = p->view;
    const struct sweep_trial *t = &v->trial[trial];
    buf_puts(p->out, "<title>");
    for (int i = 0; i < v->n_axes; i++) {
        svg_escape(p->out, v->axis[i]);
        buf_puts(p->out, " = ");
        svg_escape(p->out, t->value[i]);
        buf_puts(p->out, i < v->n_axes - 1 ? ", " : "");
    }
    if (v->objective && !isnan(t->objective)) {
        buf_puts(p->out, ": ");
        svg_escape(p->out, v->objective);
        buf_printf(p->out, " = %s", sweep_short(t->objective).s);
    } else if (t->state != TRIAL_DONE) {
        buf_printf(p->out, ": %s", sweep_state_name(t->state));
    }
    buf_puts(p->out, "</title>");
}

/* From the left: the colours with what they stand for, the best, those without an objective. */
static void legend(const struct picture *p)
{
    const struct sweep_view *v = p->view;
    double y = p->height - 30, x = 20;
    if (p->placed) {
        double worst = v->maximise ? p->lo : p->hi, best = v->maximise ? p->hi : p->lo;
        AUTO(mem) char *from = xstrdup(sweep_short(worst).s);
        svg_text(p->out, x, y, "left", 90, from);
        x += svg_width(from) + 10;
        for (int i = 0; i < 40; i++)
            buf_printf(p->out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"3.5\" height=\"12\" fill=\"%s\"/>\n",
                       x + 3 * i, y - 10, svg_colour(i / 39.0).s);
        AUTO(mem) char *to = xprintf("%s  %s, the darker the better", sweep_short(best).s, v->objective);
        svg_text(p->out, x + 130, y, "left", 330, to);
        x += 130 + fmin(svg_width(to), 330) + 24;
    }
    int without = v->n - p->placed;
    if (!v->objective || without == 0)
        return;
    AUTO(mem) char *none = xprintf("%d without a value", without);
    buf_printf(p->out, "<path d=\"M%.1f %.1fh30\" class=\"line none\"/>\n", x, y - 4);
    svg_text(p->out, x + 38, y, "left", 200, none);
}

static void set_order(struct picture *p)
{
    int n = p->view->n, at = 0;
    AUTO(mem) int *by_rank = xcalloc((size_t)n + 2, sizeof *by_rank);
    for (int i = 0; i < n; i++) /* counting sort; the ranks are 0 to n */
        by_rank[p->rank[i] ? n - p->rank[i] + 1 : 0]++;
    for (int k = 0; k <= n; k++) {
        int count = by_rank[k];
        by_rank[k] = at;
        at += count;
    }
    for (int i = n - 1; i >= 0; i--)
        p->order[by_rank[p->rank[i] ? n - p->rank[i] + 1 : 0]++] = i;
}

void sweep_svg(const struct sweep_view *v, struct buf *out)
{
    AUTO(mem) int *rank = xcalloc((size_t)v->n + 1, sizeof *rank);
    AUTO(mem) int *order = xcalloc((size_t)v->n + 1, sizeof *order);
    struct picture p = {
        .view = v, .out = out, .rank = rank, .order = order, .height = 560, .lo = INFINITY, .hi = -INFINITY};
    sweep_rank(v, rank);
    set_order(&p);
    for (int i = 0; i < v->n; i++)
        if (v->objective && isfinite(v->trial[i].objective)) {
            p.placed++;
            p.lo = fmin(p.lo, v->trial[i].objective);
            p.hi = fmax(p.hi, v->trial[i].objective);
        }
    p.width = fmax(900, 260 + 150 * (v->n_axes + (v->objective != NULL) - 1));
    AUTO(mem)
    char *title = v->objective ? xprintf("%s: %s (%s) of %d point%s", v->experiment, v->objective,
                                         v->maximise ? "max" : "min", v->n, v->n == 1 ? "" : "s")
                               : xprintf("%s: %d point%s", v->experiment, v->n, v->n == 1 ? "" : "s");
    svg_open(out, p.width, p.height, title);
    if (v->n_axes >= 2)
        sweep_parallel(&p);
    else if (v->n_axes == 1)
        sweep_scatter(&p);
    legend(&p);
    buf_puts(out, "</svg>\n");
}
