#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/cli/sweep_impl.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* JSON has no NAN and no infinity: null. */
static json_t *number_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *text(const char *s)
{
    return s ? json_string(s) : json_null();
}

/* A whole number as it was written, if it is one. */
static json_t *axis_value(const char *s, double number)
{
    char *end;
    if (!isfinite(number))
        return json_string(s);
    errno = 0;
    long long whole = strtoll(s, &end, 10);
    return end != s && !*end && errno == 0 ? json_integer(whole) : json_real(number);
}

static json_t *trial_json(const struct sweep_view *v, const struct sweep_trial *t, int rank)
{
    json_t *values = json_object(), *metrics = json_object();
    for (int i = 0; i < v->n_axes; i++)
        json_object_set_new(values, v->axis[i], axis_value(t->value[i], t->number[i]));
    for (int i = 0; i < v->n_columns; i++)
        json_object_set_new(metrics, v->column[i], number_or_null(t->metric[i]));
    json_t *j = json_pack("{s:o, s:s, s:o, s:o, s:o}", "values", values, "state", sweep_state_name(t->state),
                          "objective", number_or_null(t->objective), "rank",
                          rank ? json_integer(rank) : json_null(), "metrics", metrics);
    if (v->over)
        json_object_set_new(j, "rung", t->rung >= 0 ? json_integer(t->rung) : json_null());
    return j;
}

json_t *sweep_json(const struct sweep_view *v)
{
    AUTO(mem) int *rank = xcalloc((size_t)v->n + 1, sizeof *rank);
    json_t *axes = json_array(), *points = json_array();
    sweep_rank(v, rank);
    for (int i = 0; i < v->n_axes; i++)
        json_array_append_new(axes, json_string(v->axis[i]));
    int best = 0;
    while (best < v->n && rank[best] != 1)
        best++;
    for (int i = 0; i < v->n; i++)
        json_array_append_new(points, trial_json(v, &v->trial[i], rank[i]));
    json_t *goal = v->objective ? json_string(v->maximise ? "max" : "min") : json_null();
    json_t *j = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "experiment", text(v->experiment), "objective",
                          text(v->objective), "goal", goal, "axes", axes, "points", points, "best",
                          best < v->n ? json_integer(best) : json_null());
    if (!v->over)
        return j;
    json_t *rungs = json_array();
    for (int i = 0; i < v->n_rungs; i++)
        json_array_append_new(rungs, number_or_null(v->rung_value[i]));
    json_object_set_new(j, "over", json_string(v->over));
    json_object_set_new(j, "rungs", rungs);
    return j;
}
