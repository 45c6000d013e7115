#include "engine/cli/simulation.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/cli/gantt.h"
#include "engine/cli/units.h"
#include <string.h>

enum { PATH_MOST = 12 }; /* tasks of the longest chain that a line names */

/* "2 nodes of 64 cores (pack:2 core:32)" */
static char *machine_text(const struct simulation *v)
{
    const struct machine *m = v->forecast->machine;
    AUTO(mem) char *nodes = m->n > 1 ? xprintf("%d nodes of ", m->n) : xstrdup("");
    int cores = m->node[0].cores;
    return v->topology ? xprintf("%s%d core%s (%s)", nodes, cores, cores == 1 ? "" : "s", v->topology)
                       : xprintf("%s%d core%s", nodes, cores, cores == 1 ? "" : "s");
}

static void put_bounds(const struct simulation *v, struct buf *out)
{
    const struct forecast *f = v->forecast;
    const struct simulate *s = &f->found;
    char path[UNITS_MAX], work[UNITS_MAX], bound[UNITS_MAX];
    double least = forecast_bound(f);
    buf_printf(out,
               "no schedule is shorter than %s (this one: %+.0f %%): longest chain at full width %s, all "
               "work over all cores %s\n",
               seconds_text(least, bound), least > 0 ? 100 * (s->makespan / least - 1) : 0.0,
               seconds_text(s->path_bound, path), seconds_text(s->work_bound, work));
    buf_printf(out, "longest chain, %s:", seconds_text(s->path_seconds, path));
    for (int i = 0; i < s->n_path && i < PATH_MOST; i++)
        buf_printf(out, "%s%s", i ? " > " : " ", f->spec->task[s->path[i]]->name);
    if (s->n_path > PATH_MOST)
        buf_printf(out, " and %d more", s->n_path - PATH_MOST);
    buf_putc(out, '\n');
}

static void put_fifo(const struct simulation *v, struct buf *out)
{
    char time[UNITS_MAX];
    const struct forecast_fifo *o = &v->fifo;
    double makespan = v->forecast->found.makespan;
    if (!o->width)
        return;
    buf_printf(out, "first in, first out, all on %d core%s: %s, %+.0f %%, %.0f %% of the cores busy\n",
               o->width, o->width == 1 ? "" : "s", seconds_text(o->makespan, time),
               makespan > 0 ? 100 * (o->makespan / makespan - 1) : 0.0, 100 * o->utilisation);
}

static void put_hindsight(const struct hindsight *h, struct buf *out)
{
    char predicted[UNITS_MAX], was[UNITS_MAX], error[HINDSIGHT_MAX];
    if (!h)
        return;
    buf_printf(out, "run %s: predicted %s, was %s: %s\n", h->run, seconds_text(h->predicted, predicted),
               seconds_text(h->was, was), hindsight_error(h->predicted, h->was, error));
    if (h->unknown)
        buf_printf(out, "%d of the %d tasks that ran then are no longer in the experiment\n", h->unknown,
                   h->tasks);
    buf_printf(out, "%-20s %6s %11s %11s %8s\n", "stage", "tasks", "predicted", "was", "error");
    for (int i = 0; i < h->n; i++) {
        const struct hindsight_stage *s = &h->stage[i];
        buf_printf(out, "%-20s %6d %11s %11s %8s\n", s->name, s->tasks, seconds_text(s->predicted, predicted),
                   seconds_text(s->was, was), hindsight_error(s->predicted, s->was, error));
    }
}

void simulation_text(const void *simulation, int columns, struct buf *out)
{
    const struct simulation *v = simulation;
    const struct forecast *f = v->forecast;
    const struct simulate *s = &f->found;
    AUTO(mem) char *machine = machine_text(v);
    char time[UNITS_MAX];
    buf_printf(out, "%s on %s: %d hit, %d to run%s", f->spec->experiment, machine, f->hit, f->run,
               f->run ? "" : "\n");
    if (f->run == 0)
        return;
    if (f->guessed)
        buf_printf(out, ", %d of them without a history", f->guessed);
    buf_putc(out, '\n');
    AUTO(trace) struct trace t;
    AUTO(gantt) struct gantt g;
    forecast_trace(f, &t);
    gantt_init(&g, &t);
    gantt_text(&g, t.cores, columns, out);
    buf_printf(out, "predicted %s, %.0f %% of the cores busy; bound by %s\n", seconds_text(s->makespan, time),
               100 * s->utilisation, simulate_bound_name(s->bound));
    put_bounds(v, out);
    put_fifo(v, out);
    put_hindsight(v->hindsight, out);
    if (s->stuck)
        buf_puts(out, "some tasks can never start: they ask for more than any node has\n");
}

void simulation_svg(const void *simulation, int columns, struct buf *out)
{
    const struct simulation *v = simulation;
    AUTO(mem) char *machine = machine_text(v);
    char time[UNITS_MAX];
    AUTO(mem)
    char *title = xprintf("%s on %s: predicted %s", v->forecast->spec->experiment, machine,
                          seconds_text(v->forecast->found.makespan, time));
    AUTO(trace) struct trace t;
    AUTO(gantt) struct gantt g;
    forecast_trace(v->forecast, &t);
    gantt_init(&g, &t);
    gantt_svg(&g, title, out);
}

void simulation_trace(const void *simulation, int columns, struct buf *out)
{
    AUTO(trace) struct trace t;
    forecast_trace(((const struct simulation *)simulation)->forecast, &t);
    trace_write(&t, out);
}

/* ---- JSON ---- */

static json_t *machine_json(const struct machine *m)
{
    json_t *list = json_array();
    for (int i = 0; i < m->n; i++)
        json_array_append_new(list, json_pack("{s:s, s:i, s:I}", "name", m->node[i].name, "cores",
                                              m->node[i].cores, "memory", (json_int_t)m->node[i].memory));
    return list;
}

static json_t *task_json(const struct forecast *f, int i)
{
    const struct simulate_task *t = &f->task[i];
    const struct task *task = f->spec->task[i];
    json_t *o = json_pack("{s:s, s:s, s:s}", "task", task->name, "stage", task->stage->name, "state",
                          t->hit ? "hit" : "run");
    if (!t->hit)
        json_object_update_new(o, json_pack("{s:s, s:I}", "source", history_source_name(f->cost[i].source),
                                            "memory", (json_int_t)t->ask.memory));
    if (t->cores)
        json_object_update_new(o, json_pack("{s:f, s:f, s:i, s:s, s:s}", "start", t->start, "end", t->end,
                                            "cores", t->cores, "node", f->machine->node[t->node].name,
                                            "cpuset", t->cpuset));
    return o;
}

static json_t *totals_json(const struct simulation *v)
{
    const struct forecast *f = v->forecast;
    const struct simulate *s = &f->found;
    json_t *path = json_array();
    for (int i = 0; i < s->n_path; i++)
        json_array_append_new(path, json_string(f->spec->task[s->path[i]]->name));
    json_t *o =
        json_pack("{s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:f}", "hit", f->hit, "run", f->run, "guessed",
                  f->guessed, "cores", machine_cores(f->machine), "seconds", s->makespan, "core_seconds",
                  s->core_seconds, "utilisation", s->utilisation, "bound_seconds", forecast_bound(f));
    json_object_update_new(o,
                           json_pack("{s:f, s:f, s:s, s:I, s:o, s:f, s:b}", "path_bound", s->path_bound,
                                     "work_bound", s->work_bound, "bound_by", simulate_bound_name(s->bound),
                                     "memory", (json_int_t)s->memory, "longest_path", path,
                                     "longest_path_seconds", s->path_seconds, "stuck", s->stuck));
    if (v->fifo.width)
        json_object_set_new(o, "fifo",
                            json_pack("{s:i, s:f, s:f}", "width", v->fifo.width, "seconds", v->fifo.makespan,
                                      "utilisation", v->fifo.utilisation));
    return o;
}

static json_t *hindsight_json(const struct hindsight *h)
{
    json_t *stages = json_array();
    for (int i = 0; i < h->n; i++)
        json_array_append_new(stages, json_pack("{s:s, s:i, s:f, s:f}", "stage", h->stage[i].name, "tasks",
                                                h->stage[i].tasks, "predicted", h->stage[i].predicted, "was",
                                                h->stage[i].was));
    return json_pack("{s:s, s:i, s:i, s:f, s:f, s:o}", "run", h->run, "tasks", h->tasks, "unknown",
                     h->unknown, "predicted", h->predicted, "was", h->was, "stages", stages);
}

void simulation_json(const void *simulation, int columns, struct buf *out)
{
    const struct simulation *v = simulation;
    const struct forecast *f = v->forecast;
    json_t *tasks = json_array();
    for (int i = 0; i < f->spec->n; i++)
        if (f->task[i].wanted)
            json_array_append_new(tasks, task_json(f, i));
    AUTO_JSON o = json_pack("{s:s, s:o, s:o, s:o}", "experiment", f->spec->experiment, "nodes",
                            machine_json(f->machine), "tasks", tasks, "totals", totals_json(v));
    if (v->hindsight)
        json_object_set_new(o, "against", hindsight_json(v->hindsight));
    AUTO(mem) char *text = json_text(o, true);
    buf_puts(out, text);
    buf_putc(out, '\n');
}
