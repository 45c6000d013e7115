/* One task from plan to record: folders, worker, outputs. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/asks.h"
#include "engine/exec/build_report.h"
#include "engine/exec/fetched.h"
#include "engine/exec/sizes.h"
#include "engine/exec/workdirs.h"
#include "engine/exec/workers.h"
#include <string.h>

static bool input_folder(struct build *b, struct attempt *a, const struct task_ref *ref, int output,
                         const char **ret, struct error *err)
{
    const struct record_output *o =
        record_find_output(resolve_record(&b->resolver, ref->task), ref->task->stage->outputs[output].name);
    if (artifacts_folder(b->artifacts, o, ret, err)) {
        a->input = xgrow(a->input, &a->cap_input, a->n_input + 1, sizeof *a->input);
        a->input[a->n_input++] = o->digest;
        return true;
    }
    return error_context(err, "input from task '%s'", ref->task->name);
}

static bool lay_inputs(struct build *b, struct attempt *a, struct arena *mem, struct job *job,
                       struct error *err)
{
    const struct task *t = a->task;
    int ports = stage_port_count(t->stage->inputs);
    job->inputs = arena_alloc(mem, (size_t)(ports + 1) * sizeof *job->inputs);
    for (int p = 0; p < ports; p++) {
        struct stage_inputs *in = &job->inputs[p];
        in->item = arena_alloc(mem, (size_t)(t->inputs[p].n + 1) * sizeof *in->item);
        for (; in->n < t->inputs[p].n; in->n++) {
            const struct task_ref *ref = &t->inputs[p].ref[in->n];
            struct stage_input *item = &in->item[in->n];
            if (!input_folder(b, a, ref, ref->output, &item->dir, err) ||
                (ref->output_also >= 0 && !input_folder(b, a, ref, ref->output_also, &item->also_dir, err)))
                return false;
        }
    }
    return true;
}

static bool make_folders(const struct build *b, const struct attempt *a, struct arena *mem, struct job *job,
                         struct error *err)
{
    const struct stage *s = a->task->stage;
    int ports = stage_port_count(s->outputs);
    job->outputs = arena_alloc(mem, (size_t)(ports + 1) * sizeof *job->outputs);
    job->scratch = arena_printf(mem, "%s/scratch", a->dir);
    if (!workdirs_sub(b->workdirs, a->dir, "scratch", err))
        return false;
    for (int p = 0; p < ports; p++) {
        const char *name = arena_printf(mem, "out.%s", s->outputs[p].name);
        job->outputs[p] = arena_printf(mem, "%s/%s", a->dir, name);
        if (!workdirs_sub(b->workdirs, a->dir, name, err))
            return false;
    }
    return true;
}

/* Without a keeper each worker is a start of its own, which costs some milliseconds and nothing else. */
static bool start_worker(struct build *b, struct attempt *a, struct job *job, struct arena *mem,
                         struct error *err)
{
    AUTO(mem) char *log = runlog_task_log(b->log, a->task->name);
    bool served = job->stage->command && !b->launcher && !job->memory && !job->n_units;
    job->serve = served ? log : NULL;
    AUTO(mem) char *text = job_write(job);
    const char *const here[] = {b->opt.self, "worker", NULL}, *const *argv = here, *const *env = NULL;
    struct error why = {0};
    if (b->launcher) {
        nodes_argv(b, a, mem, &argv, &env);
        return process_start(&a->process, argv, env, text, log, err);
    }
    if (workers_ready(b->workers, &why))
        return served ? process_start_served(&a->process, b->workers, text, log, err)
                      : process_start_kept(&a->process, b->workers, text, job->memory, log, err);
    if (why.text[0])
        report(b, BUILD_WARN, NULL, why.text);
    return process_start(&a->process, argv, NULL, text, log, err);
}

/* What its worker did before, this one does too: both are of one kind (plan_pick_behind). */
static bool give_ahead(const struct build *b, const struct attempt *a, struct attempt *before,
                       struct job *job)
{
    AUTO(mem) char *log = runlog_task_log(b->log, a->task->name);
    if (!job->stage->command || job->memory || job->n_units)
        return false;
    job->serve = log;
    AUTO(mem) char *text = job_write(job);
    return process_give_ahead(&before->process, text);
}

/* The devices it has; of units that are counted alone there is nothing to tell. */
static void tell_units(const struct build *b, const struct task *t, struct arena *mem, struct job *job)
{
    struct job_unit *unit = arena_alloc(mem, (size_t)(t->n_units + 1) * sizeof *unit);
    for (int u = 0; u < b->machine.n_units; u++) {
        const struct machine_unit *m = &b->machine.unit[u];
        const int *at;
        AUTO(buf) struct buf ids = {0};
        int n = plan_units(b->plan, t->index, u, &at);
        for (int i = 0; i < n; i++)
            buf_printf(&ids, "%s%d", i ? "," : "", m->id ? m->id[at[i]] : at[i]);
        if (n > 0 && m->per_node)
            unit[job->n_units++] = (struct job_unit){m->name, arena_strdup(mem, buf_str(&ids))};
    }
    job->unit = unit;
}

/* Its folders, and what a worker is told of it. */
static bool prepare(struct build *b, const struct plan_choice *c, struct arena *mem, struct attempt *a,
                    struct job *job, struct error *err)
{
    const struct task *t = b->spec->task[c->task];
    *a = (struct attempt){.task = t,
                          .build = b,
                          .node = c->node,
                          .cores = c->cores,
                          .cpuset = xstrdup(c->place ? place_cpuset(c->place) : ""),
                          .process = PROCESS_NONE,
                          .memory = t->memory ? ask_memory(t, &b->machine, b->result[t->index].attempts) : 0,
                          .since = artifacts_spoilt(b->artifacts)};
    a->dir = workdirs_take(b->workdirs, err);
    *job = (struct job){.task = t->name,
                        .stage = t->stage,
                        .threads = c->cores,
                        .cpuset = a->cpuset,
                        .nodes = c->place ? place_nodes(c->place) : "",
                        .memory = a->memory,
                        .parent = getpid()};
    if (!a->dir || !fetched_params(b->store, t, mem, &job->params, err) || !lay_inputs(b, a, mem, job, err) ||
        !make_folders(b, a, mem, job, err))
        return false;
    checkpoint_begin(b, a, mem, job);
    tell_units(b, t, mem, job);
    return true;
}

/* It is at work, since `when`. */
static void begin(struct build *b, struct attempt *a, double when)
{
    a->began = when;
    b->result[a->task->index].cause = FAILURE_NONE;
    if (a->task->timeout > 0)
        a->deadline = when + a->task->timeout;
    b->running[b->n_running++] = a;
    nodes_begin(b, a);
    left_start(b, a);
}

bool attempt_start(struct build *b, const struct plan_choice *c, struct error *err)
{
    AUTO(arena) struct arena mem;
    struct attempt *a = xcalloc(1, sizeof *a);
    struct job job;
    arena_init(&mem);
    b->result[c->task].cause = FAILURE_NONE;
    if (prepare(b, c, &mem, a, &job, err)) {
        double when = clock_seconds();
        if (start_worker(b, a, &job, &mem, err)) {
            begin(b, a, when);
            return true;
        }
        failure_is(b, a, FAILURE_START, err);
    }
    if (!b->result[c->task].cause)
        failure_is(b, a, FAILURE_NONE, err);
    attempt_free(b, a);
    return false;
}

bool attempt_ahead(struct build *b, const struct plan_choice *c, struct attempt *before)
{
    AUTO(arena) struct arena mem;
    struct attempt *a = xcalloc(1, sizeof *a);
    struct job job;
    arena_init(&mem);
    if (prepare(b, c, &mem, a, &job, NULL) && give_ahead(b, a, before, &job)) {
        before->next = a;
        return true;
    }
    attempt_free(b, a);
    return false;
}

void attempt_follow(struct build *b, struct attempt *before)
{
    struct attempt *a = before->next;
    before->next = NULL;
    process_take_over(&a->process, &before->process);
    begin(b, a, clock_seconds());
}

void attempt_free(struct build *b, struct attempt *a)
{
    if (!a)
        return;
    attempt_free(b, a->next);
    if (a->process.started) {
        process_kill(&a->process);
        process_end(&a->process);
    }
    nodes_free(b, a);
    for (size_t i = 0; i < a->n_input; i++)
        artifacts_release(b->artifacts, &a->input[i]);
    free(a->input);
    free(a->cpuset);
    json_decref(a->said);
    workdirs_give(b->workdirs, a->dir, a->tidied);
    free(a);
}

/* What it was given to do, and where: for the predictions of others (engine/exec/history.h). */
static void describe_work(const struct build *b, const struct attempt *a, struct record *r)
{
    const struct task *t = a->task;
    struct sizes s;
    sizes_of_inputs(&b->resolver, t, NULL, &s);
    r->read = s.in.bytes;
    r->samples = json_int_or(a->said, "samples", 0);
    s.in.samples = r->samples;
    r->cost = cost_of(t, &s.in);
    r->node = xstrdup(json_string_or(a->said, "node", b->facts.host));
    r->cpuset = xstrdup(a->cpuset);
    for (size_t i = 0; i < r->n; i++)
        r->output[i].samples = json_int_or(json_object_get(a->said, "made"), r->output[i].port, 0);
}

static void describe(const struct build *b, const struct attempt *a, struct record *r)
{
    const struct task *t = a->task;
    r->key = b->resolver.task[t->index].key;
    r->stage = xstrdup(t->stage->name);
    r->task = xstrdup(t->name);
    r->resumed = a->checkpoints.resumed;
    r->seconds = a->seconds + (r->resumed ? a->checkpoints.before : 0);
    r->threads = a->cores;
    r->peak_rss = b->result[t->index].peak_rss;
    r->when = xstrdup(runlog_now(b->log));
    r->host = xstrdup(b->launcher ? b->launcher->node[a->node].name : b->facts.host);
}

static bool publish(struct build *b, const struct attempt *a, struct record *r, struct error *err)
{
    const struct stage *s = a->task->stage;
    int ports = stage_port_count(s->outputs);
    describe(b, a, r);
    r->output = xcalloc((size_t)ports + 1, sizeof *r->output);
    for (int p = 0; p < ports; p++) {
        AUTO(mem) char *dir = xprintf("%s/out.%s", a->dir, s->outputs[p].name);
        r->n = (size_t)p + 1; /* what was begun is freed too */
        if (!artifacts_collect(b->artifacts, dir, s->outputs[p].name, b->read[a->task->index], &r->output[p],
                               err))
            return error_context(err, "cannot store the result");
    }
    if (!resolve_unchanged(&b->resolver, a->task, &r->text, err))
        return false;
    describe_work(b, a, r);
    return store_put_record_soon(b->store, r, err) || error_context(err, "cannot store the result");
}

static bool input_unchanged(const struct build *b, const struct attempt *a, const struct task_ref *ref,
                            int output)
{
    const struct record_output *o =
        record_find_output(b->resolver.task[ref->task->index].record, ref->task->stage->outputs[output].name);
    return artifacts_unchanged(b->artifacts, o, a->since);
}

/* All inputs are looked at: each that was changed has to be made anew. */
static bool inputs_unchanged(const struct build *b, const struct attempt *a)
{
    const struct task *t = a->task;
    bool same = true;
    for (int p = 0; p < stage_port_count(t->stage->inputs); p++)
        for (int i = 0; i < t->inputs[p].n; i++) {
            const struct task_ref *ref = &t->inputs[p].ref[i];
            same = input_unchanged(b, a, ref, ref->output) && same;
            same = (ref->output_also < 0 || input_unchanged(b, a, ref, ref->output_also)) && same;
        }
    return same;
}

/* A program that changed its inputs has failed; of our stages none does, so that another task's program did.
 */
static bool check_inputs(const struct build *b, struct attempt *a, struct error *err)
{
    if (inputs_unchanged(b, a))
        return true;
    a->spoilt = a->task->stage->command == NULL;
    if (a->spoilt)
        return error_set(err, NULL, ERROR_DAMAGE, "a program changed an input of task '%s' while it ran",
                         a->task->name);
    return error_set(
        err, NULL, ERROR_TASK,
        "its inputs were changed while it ran: a program may only read them; let it work on a copy "
        "in {scratch}");
}

bool attempt_over(struct build *b, struct attempt *a, struct error *err)
{
    int status = process_end(&a->process);
    failure_begin(b, a, status);
    if (a->process.unread && !a->timed_out) {
        a->lost = true;
        return error_set(err, NULL, ERROR_TASK, "its worker ended before it began");
    }
    bool whole = check_inputs(b, a, err);
    if (a->spoilt || !nodes_ended(b, a, &status, err) || !failure_check(b, a, status, err) || !whole)
        return a->spoilt || a->lost || whole ? false : failure_is(b, a, FAILURE_CHANGED, err);
    return true;
}

bool attempt_keep(struct build *b, struct attempt *a, struct error *err)
{
    struct record *r = xcalloc(1, sizeof *r);
    if (!publish(b, a, r, err)) {
        record_free(r);
        return failure_is(b, a, FAILURE_NONE, err);
    }
    checkpoint_done(b, a);
    record_free(b->resolver.task[a->task->index].record);
    b->resolver.task[a->task->index].record = r;
    return true;
}
