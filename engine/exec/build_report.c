/* Events of a build: to the observer as structs, to STORE/runs/ID/events.jsonl as JSON. */
#include "engine/exec/build_report.h"
#include "base/clock.h"
#include "engine/spec/yaml.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const kind_name[] = {[BUILD_HIT] = "hit",        [BUILD_START] = "start",
                                        [BUILD_PROGRESS] = NULL, /* too many to keep */
                                        [BUILD_METRIC] = "metric",  [BUILD_WARN] = "warn",
                                        [BUILD_DONE] = "ran",       [BUILD_RETRY] = "retry",
                                        [BUILD_FAILED] = "failed",  [BUILD_SKIPPED] = "skipped",
                                        [BUILD_HEAL] = "heal",      [BUILD_INTERRUPT] = "interrupt",
                                        [BUILD_RESUME] = "resumed", [BUILD_CHECKPOINT] = "checkpoint",
                                        [BUILD_STOP] = "stopped",   [BUILD_FREED] = "freed",
                                        [BUILD_NODE] = "node",      [BUILD_UPLOAD] = NULL,
                                        [BUILD_TICK] = NULL,        [BUILD_ELSEWHERE] = "elsewhere"};

static void put_result(struct json_out *o, const struct build_result *r)
{
    char hex[DIGEST_HEX];
    if (r->has_key)
        json_out_text(o, "key", digest_hex(&r->key, hex));
    json_out_real(o, "seconds", r->seconds);
    if (r->remote)
        json_out_bool(o, "remote", true);
    if (r->resumed)
        json_out_integer(o, "resumed", r->resumed);
    if (r->memory)
        json_out_integer(o, "memory_asked", r->memory);
    if (r->peak_rss)
        json_out_integer(o, "peak_rss", r->peak_rss);
    if (!r->error)
        return;
    json_out_text(o, "error", r->error);
    if (r->cause)
        json_out_text(o, "cause", failure_name(r->cause));
}

/* {"PORT": [labels]} of the outputs that carry private data; nothing when none does. */
static void put_private(struct json_out *o, const struct task *t)
{
    bool any = false;
    for (int p = 0; t->n_labels && p < stage_port_count(t->stage->outputs); p++) {
        const char *const *label;
        int n = task_output_labels(t, p, &label);
        if (n == 0)
            continue;
        if (!any)
            json_out_object(o, "private");
        any = true;
        json_out_list(o, t->stage->outputs[p].name);
        for (int i = 0; i < n; i++)
            json_out_text(o, NULL, label[i]);
        json_out_end(o);
    }
    if (any)
        json_out_end(o);
}

/* A time of the monotonic clock as the log has it: since the run's begin, to the microsecond, none before the
 * last. */
static double log_time(struct build *b, double clock)
{
    double at = round((clock - b->began) * 1e6) / 1e6;
    b->last = at > b->last ? at : b->last;
    return b->last;
}

/* Where the attempt that starts runs: whose cores, and which; "" when whoever starts it there chooses. */
static void put_place(struct json_out *o, const struct build *b, const struct attempt *a,
                      struct trace_event *to_trace)
{
    const char *node = b->machine.node[a->node].name;
    to_trace->node = *node ? node : b->facts.host;
    to_trace->cpuset = a->cpuset;
    to_trace->cores = a->cores;
    json_out_text(o, "node", to_trace->node);
    json_out_text(o, "cpuset", a->cpuset);
    json_out_integer(o, "cores", a->cores);
}

static void put_metric(struct json_out *o, const struct build_event *e, struct trace_event *to_trace)
{
    to_trace->name = e->text;
    to_trace->has_value = isfinite(e->value);
    to_trace->value = e->value;
    to_trace->step = (int64_t)e->done;
    json_out_text(o, "name", e->text);
    if (to_trace->has_value) /* JSON has no word for what is not finite */
        json_out_real(o, "value", e->value);
    json_out_integer(o, "step", to_trace->step);
}

static bool is_over(enum build_event_kind k)
{
    return k == BUILD_HIT || k == BUILD_DONE || k == BUILD_FAILED || k == BUILD_SKIPPED;
}

/* when: seconds of the monotonic clock. starts: BUILD_START is of that attempt. */
static void keep(struct build *b, const struct build_event *e, double when, const struct attempt *starts)
{
    char hex[DIGEST_HEX];
    struct trace_event t = {.event = kind_name[e->kind], .step = -1};
    if (!t.event)
        return;
    t.at = log_time(b, when);
    struct json_out *o = runlog_begin(b->log, t.at);
    json_out_text(o, "event", t.event);
    if (e->task) {
        json_out_text(o, "task", t.task = e->task->name);
        json_out_text(o, "stage", t.stage = e->task->stage->name);
    }
    if (e->kind == BUILD_METRIC)
        put_metric(o, e, &t);
    else if (e->kind == BUILD_RESUME || e->kind == BUILD_CHECKPOINT || e->kind == BUILD_STOP)
        json_out_integer(o, "step", t.step = (int64_t)e->done);
    else if (starts)
        put_place(o, b, starts, &t);
    else if (e->text)
        json_out_text(o, "text", t.text = e->text);
    if (is_over(e->kind)) {
        put_result(o, e->result);
        t.key = e->result->has_key ? digest_hex(&e->result->key, hex) : NULL;
    }
    if (e->kind == BUILD_HIT || e->kind == BUILD_DONE)
        put_private(o, e->task);
    runlog_end(b->log, true); /* written before anything is waited for: several at once cost one write */
    trace_event(&b->facts.trace, &t);
}

static struct build_event event(const struct build *b, enum build_event_kind kind, const struct task *t,
                                const char *text)
{
    return (struct build_event){.kind = kind,
                                .task = t,
                                .result = t ? &b->result[t->index] : NULL,
                                .finished = b->finished,
                                .count = b->count,
                                .running = b->n_running,
                                .left = left_seconds(b),
                                .text = text};
}

static void tell(struct build *b, const struct build_event *e, double when, const struct attempt *starts)
{
    keep(b, e, when, starts);
    if (e->kind != BUILD_TICK)
        status_note(b);
    if (b->opt.see)
        b->opt.see(b->opt.arg, e);
}

void report(struct build *b, enum build_event_kind kind, const struct task *t, const char *text)
{
    struct build_event e = event(b, kind, t, text);
    tell(b, &e, clock_seconds(), NULL);
}

void report_done(struct build *b, const struct task *t, double when)
{
    struct build_event e = event(b, BUILD_DONE, t, NULL);
    tell(b, &e, when, NULL);
}

void report_start(struct build *b, const struct attempt *a, const char *where)
{
    struct build_event e = event(b, BUILD_START, a->task, where);
    tell(b, &e, a->began, a);
}

void report_passes(struct build *b, enum build_event_kind kind, const struct attempt *a, int64_t done)
{
    struct build_event e = event(b, kind, a->task, NULL);
    e.done = (double)done;
    e.total = (double)a->checkpoints.passes;
    tell(b, &e, clock_seconds(), NULL);
}

static void put_texts(struct json_out *o, const char *name, const char *const *text, int n)
{
    json_out_list(o, name);
    for (int i = 0; i < n; i++)
        json_out_text(o, NULL, text[i]);
    json_out_end(o);
}

/* Rows in a list: the members of an object lose their order. */
static void put_references(struct json_out *o, const struct spec *s)
{
    json_out_list(o, "reference");
    for (int i = 0; i < s->n_references; i++) {
        const struct reference *r = &s->reference[i];
        json_out_object(o, NULL);
        json_out_text(o, "name", r->name);
        if (*r->source)
            json_out_text(o, "source", r->source);
        json_out_list(o, "rows");
        for (int k = 0; k < r->n; k++) {
            json_out_object(o, NULL);
            json_out_text(o, "system", r->row[k].system);
            json_out_text(o, "domain", r->row[k].domain);
            json_out_real(o, "value", r->row[k].value);
            json_out_end(o);
        }
        json_out_end(o);
        json_out_end(o);
    }
    json_out_end(o);
}

/* The experiment's files and their digests: what a later comparison of two runs can tell of its text. */
static void put_files(struct json_out *o, const struct spec *s)
{
    json_out_list(o, "files");
    for (int i = 0; i < s->n_files; i++) {
        struct digest d;
        char hex[DIGEST_HEX];
        if (!hash_file(s->files[i], &d, NULL, NULL)) /* a pipe, or gone since it was read: no digest */
            continue;
        json_out_object(o, NULL);
        json_out_text(o, "file", s->files[i]);
        json_out_text(o, "sha256", digest_hex(&d, hex));
        json_out_end(o);
    }
    json_out_end(o);
}

static void put_begin(struct json_out *o, const struct build *b)
{
    char cwd[4096];
    AUTO_JSON variables = yaml_json(b->spec->vars);
    json_out_text(o, "event", "begin");
    json_out_text(o, "experiment", b->spec->experiment);
    json_out_text(o, "file", b->spec->file);
    put_texts(o, "set", b->opt.set, b->opt.n_set);
    put_texts(o, "vars", b->opt.vars, b->opt.n_vars);
    json_out_text(o, "cwd", getcwd(cwd, sizeof cwd) ? cwd : "");
    put_references(o, b->spec);
    put_files(o, b->spec);
    json_out_value(o, "variables", variables, true);
    json_out_integer(o, "cores", b->cores);
    json_out_integer(o, "tasks", b->count);
    json_out_integer(o, "pid", getpid());
    json_out_text(o, "host", b->facts.host);
    if (b->spec->sweep)
        json_out_bool(o, "sweep", true);
}

void report_begin(struct build *b)
{
    b->began = clock_seconds();
    gethostname(b->facts.host, sizeof b->facts.host - 1);
    trace_init(&b->facts.trace, runlog_id(b->log));
    put_begin(runlog_begin(b->log, 0), b);
    runlog_end(b->log, false);
    trace_event(&b->facts.trace, &(struct trace_event){.event = "begin",
                                                       .experiment = b->spec->experiment,
                                                       .node = b->facts.host,
                                                       .cores = b->cores});
    facts_environment(b);
}

void report_end(struct build *b, bool ok)
{
    status_end(b);
    double at = log_time(b, clock_seconds());
    struct json_out *o = runlog_begin(b->log, at);
    json_out_text(o, "event", "end");
    json_out_bool(o, "ok", ok);
    json_out_seconds(o, "seconds", at);
    runlog_end(b->log, false);
    trace_event(&b->facts.trace, &(struct trace_event){.event = "end", .at = at});
    facts_trace(b);
}

static void take_error(struct attempt *a, const json_t *o)
{
    int64_t code = json_int_or(o, "code", ERROR_TASK);
    a->error.code = code > ERROR_NONE && code <= ERROR_INTERRUPT ? (enum error_code)code : ERROR_TASK;
    snprintf(a->error.text, sizeof a->error.text, "%s", json_string_or(o, "text", "no reason given"));
    snprintf(a->error.file, sizeof a->error.file, "%s", json_string_or(o, "file", ""));
    a->error.line = (int)json_int_or(o, "line", 0);
    a->error.col = (int)json_int_or(o, "col", 0);
}

static void take_checkpoint_event(struct build *b, struct attempt *a, const char *name, const json_t *o)
{
    struct attempt_checkpoints *c = &a->checkpoints;
    int64_t step = json_int_or(o, "step", 0);
    if (strcmp(name, "resumed") == 0) {
        c->resumed = c->last;
        report_passes(b, BUILD_RESUME, a, c->resumed);
    } else if (strcmp(name, "stopped") == 0) {
        c->stopped = step;
        report_passes(b, BUILD_STOP, a, step);
    } else if (strcmp(name, "checkpoint") == 0) {
        checkpoint_take(b, a, step, json_string_or(o, "name", ""), json_real_or(o, "seconds", 0));
    }
}

void report_worker_event(struct build *b, struct attempt *a, const json_t *o)
{
    const char *name = json_string_or(o, "event", "");
    struct build_event e = event(b, BUILD_WARN, a->task, json_string_or(o, "text", ""));
    if (strcmp(name, "progress") == 0) {
        e.kind = BUILD_PROGRESS;
        e.text = json_string_or(o, "unit", "");
        e.done = json_real_or(o, "done", 0);
        e.total = json_real_or(o, "total", 0);
        a->progress = e.done;
        a->total = e.total;
        a->progressed = clock_seconds();
        snprintf(a->unit, sizeof a->unit, "%s", e.text);
        e.left = left_seconds(b);
        tell(b, &e, clock_seconds(), NULL);
    } else if (strcmp(name, "metric") == 0) {
        e.kind = BUILD_METRIC;
        e.text = json_string_or(o, "name", "");
        e.value = json_real_or(o, "value", NAN); /* JSON has no word for what is not finite */
        e.done = (double)json_int_or(o, "step", 0);
        tell(b, &e, clock_seconds(), NULL);
    } else if (strcmp(name, "warn") == 0) {
        tell(b, &e, clock_seconds(), NULL);
    } else if (strcmp(name, "error") == 0) {
        take_error(a, o);
    } else if (strcmp(name, "ended") == 0) { /* the far end of a carrier */
        a->ended = true;
        a->status = (int)json_int_or(o, "status", 0);
    } else if (strcmp(name, "done") == 0) {
        a->done = true;
        a->tidied = json_is_true(json_object_get(o, "tidied"));
        a->seconds = json_real_or(o, "seconds", 0);
        a->peak_rss = json_int_or(o, "peak_rss", 0);
        json_decref(a->said);
        a->said = json_incref((json_t *)(uintptr_t)o);
    } else if (strcmp(name, "memory") == 0) {
        a->process.peak = json_int_or(o, "peak", 0);
        a->process.over = json_is_true(json_object_get(o, "over"));
    } else {
        take_checkpoint_event(b, a, name, o);
    }
}
