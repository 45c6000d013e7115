/* A sweep as Markdown and CSV: the points, and over the seeds mean and sample standard deviation. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/cli/grid.h"
#include "engine/cli/sweep_impl.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_numbers(double a, double b)
{
    return a < b ? -1 : a > b;
}

/* ---- the points ---- */
struct format {
    struct sweep_text (*number)(double x);
    bool state;
};

static int count_columns(const struct sweep_view *v, bool state)
{
    return (v->objective ? 2 : 0) + v->n_axes + (v->over ? 1 : 0) + v->n_columns + state;
}

static void put_heads(struct grid *g, const struct sweep_view *v, bool state)
{
    if (v->objective)
        grid_put(g, "rank");
    for (int i = 0; i < v->n_axes; i++)
        grid_put(g, v->axis[i]);
    if (v->objective)
        grid_put(g, v->objective);
    if (v->over)
        grid_put(g, v->over);
    for (int i = 0; i < v->n_columns; i++)
        grid_put(g, v->column[i]);
    if (state)
        grid_put(g, "state");
}

static void put_trial(struct grid *g, const struct sweep_view *v, const struct sweep_trial *t, int rank,
                      const struct format *f)
{
    if (v->objective)
        grid_put(g, rank ? f->number(rank).s : "");
    for (int i = 0; i < v->n_axes; i++)
        grid_put(g, t->value[i]);
    if (v->objective)
        grid_put(g, f->number(t->objective).s);
    if (v->over)
        grid_put(g, f->number(sweep_fidelity(v, t)).s);
    for (int i = 0; i < v->n_columns; i++)
        grid_put(g, f->number(t->metric[i]).s);
    if (f->state)
        grid_put(g, sweep_state_name(t->state));
}

static void put_points(struct grid *g, const struct sweep_view *v, const struct format *f)
{
    AUTO(mem) int *rank = xcalloc((size_t)v->n + 1, sizeof *rank);
    sweep_rank(v, rank);
    g->columns = count_columns(v, f->state);
    put_heads(g, v, f->state);
    for (int i = 0; i < v->n; i++)
        put_trial(g, v, &v->trial[i], rank[i], f);
}

void sweep_csv(const struct sweep_view *v, struct buf *out)
{
    AUTO(grid) struct grid g = {0};
    put_points(&g, v, &(struct format){sweep_exact, true});
    grid_csv(&g, out);
}

/* ---- over the seeds ---- */
static bool is_seed(const char *axis)
{
    const char *dot = strrchr(axis, '.');
    return strcmp(dot ? dot + 1 : axis, "seed") == 0;
}

/* Has an axis of seeds more than one value? */
static bool has_seeds(const struct sweep_view *v)
{
    for (int a = 0; a < v->n_axes; a++)
        for (int i = 1; is_seed(v->axis[a]) && i < v->n; i++)
            if (strcmp(v->trial[i].value[a], v->trial[0].value[a]) != 0)
                return true;
    return false;
}

struct group {
    const struct sweep_trial *first;
    int n;
    double mean, sd;
};

/* Trials of one group: equal but for the seeds, and as far in the halving. */
static int compare_trials(const void *a, const void *b, void *view)
{
    const struct sweep_view *v = view;
    const struct sweep_trial *x = *(const struct sweep_trial *const *)a,
                             *y = *(const struct sweep_trial *const *)b;
    if (v->over && x->rung != y->rung)
        return y->rung - x->rung;
    for (int i = 0; i < v->n_axes; i++) {
        int c = is_seed(v->axis[i]) ? 0 : strcmp(x->value[i], y->value[i]);
        if (c)
            return c;
    }
    return 0;
}

/* The order of the points breaks ties, so that the groups' sums do not depend on the sort. */
static int compare_stable(const void *a, const void *b, void *view)
{
    const struct sweep_trial *x = *(const struct sweep_trial *const *)a,
                             *y = *(const struct sweep_trial *const *)b;
    int c = compare_trials(a, b, view);
    return c ? c : x < y ? -1 : x > y;
}

static int compare_groups(const void *a, const void *b, void *view)
{
    const struct sweep_view *v = view;
    const struct group *x = a, *y = b;
    if (v->over && x->first->rung != y->first->rung)
        return y->first->rung - x->first->rung;
    int c = compare_numbers(x->mean, y->mean);
    return c ? (v->maximise ? -c : c) : x->first < y->first ? -1 : x->first > y->first;
}

static struct group summarise(const struct sweep_trial *const *t, int n)
{
    struct group g = {.first = t[0], .n = n, .sd = NAN};
    for (int i = 0; i < n; i++)
        g.mean += t[i]->objective / n;
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (t[i]->objective - g.mean) * (t[i]->objective - g.mean);
    if (n > 1)
        g.sd = sqrt(sum / (n - 1));
    return g;
}

/* group: (v->n). Returns how many, best first. */
static int group_by_seed(const struct sweep_view *v, struct group *group)
{
    AUTO(mem) const struct sweep_trial **t = xcalloc((size_t)v->n + 1, sizeof *t);
    int n = 0, groups = 0;
    for (int i = 0; i < v->n; i++)
        if (!isnan(v->trial[i].objective))
            t[n++] = &v->trial[i];
    qsort_r(t, (size_t)n, sizeof *t, compare_stable, (void *)v);
    for (int from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && compare_trials(&t[from], &t[to], (void *)v) == 0;)
            to++;
        group[groups++] = summarise(t + from, to - from);
    }
    qsort_r(group, (size_t)groups, sizeof *group, compare_groups, (void *)v);
    return groups;
}

static void put_group(struct grid *g, const struct sweep_view *v, const struct group *x)
{
    for (int i = 0; i < v->n_axes; i++)
        if (!is_seed(v->axis[i]))
            grid_put(g, x->first->value[i]);
    AUTO(mem)
    char *spread = x->n > 1 ? xprintf("%s ± %s", sweep_short(x->mean).s, sweep_short(x->sd).s)
                            : xstrdup(sweep_short(x->mean).s);
    grid_put(g, spread);
    if (v->over)
        grid_put(g, sweep_short(sweep_fidelity(v, x->first)).s);
    grid_put(g, sweep_short(x->n).s);
}

static void put_seeds(struct grid *g, const struct sweep_view *v)
{
    AUTO(mem) struct group *group = xcalloc((size_t)v->n + 1, sizeof *group);
    int n = group_by_seed(v, group);
    for (int i = 0; i < v->n_axes; i++)
        if (!is_seed(v->axis[i]))
            grid_put(g, v->axis[i]);
    AUTO(mem) char *head = xprintf("%s (mean ± sd)", v->objective);
    grid_put(g, head);
    if (v->over)
        grid_put(g, v->over);
    grid_put(g, "seeds");
    g->columns = (int)g->n;
    for (int i = 0; i < n; i++)
        put_group(g, v, &group[i]);
}

void sweep_markdown(const struct sweep_view *v, struct buf *out)
{
    bool state = false;
    for (int i = 0; i < v->n; i++)
        state = state || v->trial[i].state != TRIAL_DONE;
    AUTO(grid) struct grid points = {0}, seeds = {0};
    put_points(&points, v, &(struct format){sweep_short, state});
    grid_markdown(&points, out);
    if (!v->objective || !has_seeds(v))
        return;
    put_seeds(&seeds, v);
    buf_putc(out, '\n');
    grid_markdown(&seeds, out);
}
