#include "base/mem.h"
#include "engine/cli/sweep_impl.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sweep_text sweep_short(double x)
{
    struct sweep_text t = {""};
    if (isnan(x))
        return t;
    if (x != 0 && (fabs(x) < 0.001 || fabs(x) >= 1e9)) {
        snprintf(t.s, sizeof t.s, "%.4g", x);
        return t;
    }
    int n = snprintf(t.s, sizeof t.s, "%.4f", x);
    while (t.s[n - 1] == '0')
        t.s[--n] = '\0';
    if (t.s[n - 1] == '.')
        t.s[--n] = '\0';
    return t;
}

struct sweep_text sweep_exact(double x)
{
    struct sweep_text t = {""};
    if (isnan(x))
        return t;
    snprintf(t.s, sizeof t.s, "%.15g", x);
    if (strtod(t.s, NULL) != x)
        snprintf(t.s, sizeof t.s, "%.17g", x);
    return t;
}

const char *sweep_state_name(enum trial_state s)
{
    static const char *const name[] = {
        [TRIAL_OPEN] = "open", [TRIAL_DONE] = "done", [TRIAL_FAILED] = "failed", [TRIAL_PAUSED] = "paused"};
    return name[s];
}

double sweep_fidelity(const struct sweep_view *v, const struct sweep_trial *t)
{
    return v->over && t->rung >= 0 && t->rung < v->n_rungs ? v->rung_value[t->rung] : NAN;
}

static int compare(const struct sweep_view *v, int a, int b)
{
    const struct sweep_trial *x = &v->trial[a], *y = &v->trial[b];
    if (v->over && x->rung != y->rung)
        return x->rung > y->rung ? -1 : 1;
    if (x->objective == y->objective)
        return 0;
    return (x->objective > y->objective) == v->maximise ? -1 : 1;
}

static int compare_order(const void *a, const void *b, void *view)
{
    int i = *(const int *)a, k = *(const int *)b, c = compare(view, i, k);
    return c ? c : i - k;
}

void sweep_rank(const struct sweep_view *v, int *rank)
{
    int *order = xcalloc((size_t)v->n + 1, sizeof *order), n = 0;
    for (int i = 0; i < v->n; i++) {
        rank[i] = 0;
        if (v->objective && !isnan(v->trial[i].objective))
            order[n++] = i;
    }
    qsort_r(order, (size_t)n, sizeof *order, compare_order, (void *)v);
    for (int i = 0; i < n; i++)
        rank[order[i]] = i > 0 && compare(v, order[i - 1], order[i]) == 0 ? rank[order[i - 1]] : i + 1;
    free(order);
}
