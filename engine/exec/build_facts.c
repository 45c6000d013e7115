/* What STORE/runs/ID keeps of a run beside its events and logs: environment.json, plan.json, trace.json. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "engine/exec/asks.h"
#include "engine/exec/build_impl.h"
#include "engine/exec/environment.h"
#include "engine/exec/targets.h"
#include "engine/sched/simulate.h"
#include <string.h>

/* It is there to be read by people and programs, later: nothing of the run needs it. */
static void publish(const struct build *b, const char *name, const char *text, size_t n)
{
    AUTO(mem) char *path = xprintf("%s/runs/%s/%s", store_path(b->store), runlog_id(b->log), name);
    (void)!fs_publish(path, text, n, false, NULL);
}

static void publish_json(const struct build *b, const char *name, const json_t *o)
{
    AUTO(mem) char *text = json_text(o, true);
    publish(b, name, text, strlen(text));
}

void facts_environment(const struct build *b)
{
    AUTO_JSON o = environment_json(&b->machine, b->spec->file);
    publish_json(b, "environment.json", o);
}

/* ---- the plan ---- */

struct schedule { /* of the run that begins */
    struct simulate_task *task;
    struct simulate_edge *edge;
    int n_edges;
    struct simulate found;
    struct arena mem;
};

/* What waits may turn out to be a hit; it counts as run. What waits for its release, and what needs that,
 * takes no part. */
static void take_tasks(const struct build *b, struct schedule *s)
{
    size_t cap = 0;
    const struct task_ref *ref;
    for (int i = 0; i < b->spec->n; i++) {
        const struct task *t = b->spec->task[i];
        struct simulate_task *to = &s->task[i];
        enum task_state state = plan_state(b->plan, i);
        to->wanted = b->result[i].wanted && !(b->held && b->held[i]);
        to->hit = state != TASK_WAIT && state != TASK_READY;
        for (int k = 0; (ref = task_input_at(t, k)); k++) {
            to->wanted = to->wanted && s->task[ref->task->index].wanted;
            s->edge = xgrow(s->edge, &cap, (size_t)s->n_edges + 1, sizeof *s->edge);
            s->edge[s->n_edges++] = (struct simulate_edge){ref->task->index, i};
        }
    }
}

static bool simulate_run(struct build *b, struct schedule *s)
{
    for (int i = 0; i < b->spec->n; i++)
        if (s->task[i].wanted && !s->task[i].hit &&
            !ask_make(b->spec->task[i], &b->machine, &b->cost[i], &s->mem, &s->task[i].ask, NULL))
            return false;
    simulate_as(b->plan, s->task, b->spec->n, s->edge, s->n_edges, &b->machine, &s->found);
    return true;
}

static void put_totals(const struct build *b, const struct schedule *s, struct buf *out)
{
    const struct simulate *f = &s->found;
    buf_printf(
        out,
        "{\"at\":%.6f,\n\"cores\":%d,\n\"seconds\":%.6g,\n\"core_seconds\":%.6g,\n\"utilisation\":%.4g,\n"
        "\"path_bound\":%.6g,\n\"work_bound\":%.6g,\n\"bound_by\":\"%s\",\n\"longest_path\":[",
        clock_seconds() - b->began, machine_cores(&b->machine), f->makespan, f->core_seconds, f->utilisation,
        f->path_bound, f->work_bound, simulate_bound_name(f->bound));
    for (int i = 0; i < f->n_path; i++) {
        buf_puts(out, i ? "," : "");
        json_put_string(out, b->spec->task[f->path[i]]->name);
    }
    buf_puts(out, "],\n\"tasks\":[");
}

static void put_task(const struct build *b, int task, const struct simulate_task *t, struct buf *out)
{
    const char *node = b->machine.node[t->node].name;
    struct json_out o = {.to = out};
    json_out_object(&o, NULL);
    json_out_text(&o, "task", b->spec->task[task]->name);
    json_out_seconds(&o, "start", t->start);
    json_out_seconds(&o, "end", t->end);
    json_out_integer(&o, "cores", t->cores);
    json_out_text(&o, "cpuset", t->cpuset ? t->cpuset : "");
    json_out_integer(&o, "memory", t->ask.memory);
    json_out_text(&o, "node", *node ? node : b->facts.host);
    json_out_text(&o, "source", history_source_name(b->cost[task].source));
    json_out_end(&o);
}

/* A task a line: there may be many, and the first of them waits. */
static void put_schedule(const struct build *b, const struct schedule *s, struct buf *out)
{
    const char *separator = "\n";
    put_totals(b, s, out);
    for (int i = 0; i < b->spec->n; i++)
        if (s->task[i].cores) {
            buf_puts(out, separator);
            put_task(b, i, &s->task[i], out);
            separator = ",\n";
        }
    buf_puts(out, "\n]}\n");
}

void facts_plan(struct build *b)
{
    if (b->facts.planned || b->n_running > 0) /* the machine has to be free */
        return;
    b->facts.planned = true;
    AUTO(buf) struct buf text = {0};
    struct schedule s = {.task = xcalloc((size_t)b->spec->n + 1, sizeof *s.task)};
    arena_init(&s.mem);
    take_tasks(b, &s);
    if (simulate_run(b, &s)) {
        put_schedule(b, &s, &text);
        publish(b, "plan.json", buf_str(&text), text.len);
    }
    simulate_done(s.task, b->spec->n, &s.found);
    free(s.task);
    free(s.edge);
    arena_done(&s.mem);
}

void facts_trace(struct build *b)
{
    AUTO(buf) struct buf text = {0};
    trace_end(&b->facts.trace);
    if (b->facts.trace.n == 0) /* nothing ran: there is nothing to see */
        return;
    trace_write(&b->facts.trace, &text);
    publish(b, "trace.json", buf_str(&text), text.len);
}
