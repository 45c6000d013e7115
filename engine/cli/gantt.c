/* What both pictures of a trace go by. */
#include "engine/cli/gantt.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t gantt_stage_length(const char *task)
{
    return strcspn(task, "[@");
}

static int stage_of(struct gantt *g, json_t *index, size_t *cap, const char *task)
{
    AUTO(mem) char *name = xstrndup(task, gantt_stage_length(task));
    const json_t *known = json_object_get(index, name);
    if (known)
        return (int)json_integer_value(known);
    g->stage = xgrow(g->stage, cap, (size_t)g->n_stages + 1, sizeof *g->stage);
    g->stage[g->n_stages] = (struct gantt_stage){.name = xstrdup(name)};
    json_object_set_new(index, name, json_integer(g->n_stages));
    return g->n_stages++;
}

void gantt_init(struct gantt *g, const struct trace *t)
{
    AUTO_JSON index = json_object();
    size_t cap = 0;
    *g = (struct gantt){.trace = t, .stage_of = xcalloc(t->n + 1, sizeof *g->stage_of), .end = 1e-6};
    trace_lanes_find(t, &g->lanes);
    for (size_t i = 0; i < t->n; i++) {
        const struct trace_bar *b = &t->bar[i];
        g->stage_of[i] = stage_of(g, index, &cap, b->task); /* may move the stages */
        struct gantt_stage *s = &g->stage[g->stage_of[i]];
        s->bars++;
        s->core_seconds += (b->end - b->start) * b->cores;
        g->end = fmax(g->end, b->end);
    }
}

void gantt_done(struct gantt *g)
{
    for (int i = 0; i < g->n_stages; i++)
        free((char *)(uintptr_t)g->stage[i].name);
    free(g->stage);
    free(g->stage_of);
    trace_lanes_done(&g->lanes);
}

double gantt_step(double end, int n)
{
    static const double steps[] = {1,   2,    5,    10,   15,   30,    60,    120,   300,
                                   600, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400};
    double least = end / n;
    if (least < 1) {
        double power = pow(10, floor(log10(least)));
        return power * (least > 5 * power ? 10 : least > 2 * power ? 5 : least > power ? 2 : 1);
    }
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (steps[i] >= least)
            return steps[i];
    return ceil(least / 86400) * 86400;
}
