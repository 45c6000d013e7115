/* Events of a build: to the observer as structs, to STORE/runs/ID/events.jsonl as JSON. */
#include "base/clock.h"
#include "base/json.h"
#include "engine/exec/build_impl.h"
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

static void add_result(json_t *o, const struct build_result *r)
{
    char hex[DIGEST_HEX];
    if (r->has_key)
        json_object_set_new(o, "key", json_string(digest_hex(&r->key, hex)));
    json_object_set_new(o, "seconds", json_real(r->seconds));
    if (r->remote)
        json_object_set_new(o, "remote", json_true());
    if (r->resumed)
        json_object_set_new(o, "resumed", json_integer((json_int_t)r->resumed));
    if (r->memory)
        json_object_set_new(o, "memory_asked", json_integer((json_int_t)r->memory));
    if (r->peak_rss)
        json_object_set_new(o, "peak_rss", json_integer((json_int_t)r->peak_rss));
    if (!r->error)
        return;
    json_object_set_new(o, "error", json_string(r->error));
    if (r->cause)
        json_object_set_new(o, "cause", json_string(failure_name(r->cause)));
}

/* {"PORT": [labels]} of the outputs that carry private data; NULL when none does. */
static json_t *private_outputs(const struct task *t)
{
    json_t *o = NULL;
    for (int p = 0; t->n_labels && p < stage_port_count(t->stage->outputs); p++) {
        const char *const *label;
        json_t *list = json_array();
        for (int i = 0, n = task_output_labels(t, p, &label); i < n; i++)
            json_array_append_new(list, json_string(label[i]));
        if (json_array_size(list)) {
            o = o ? o : json_object();
            json_object_set(o, t->stage->outputs[p].name, list);
        }
        json_decref(list);
    }
    return o;
}

/* Into the run's log and its trace, with the time since the run's begin; drops the reference. */
static void put(struct build *b, json_t *o, void (*to_log)(struct runlog *l, json_t *event))
{
    json_object_set_new(o, "at", json_real(clock_seconds() - b->began));
    trace_event(&b->facts.trace, o);
    to_log(b->log, o);
}

/* Where the attempt that starts runs: whose cores, and which; "" when whoever starts it there chooses. */
static void add_place(json_t *o, const struct build *b)
{
    const struct attempt *a = b->running[b->n_running - 1];
    const char *node = b->machine.node[a->node].name;
    json_object_set_new(o, "node", json_string(*node ? node : b->facts.host));
    json_object_set_new(o, "cpuset", json_string(a->cpuset));
    json_object_set_new(o, "cores", json_integer(a->cores));
}

static void keep(struct build *b, const struct build_event *e)
{
    const char *name = kind_name[e->kind];
    if (!name)
        return;
    json_t *o = json_object();
    json_object_set_new(o, "event", json_string(name));
    if (e->task) {
        json_object_set_new(o, "task", json_string(e->task->name));
        json_object_set_new(o, "stage", json_string(e->task->stage->name));
    }
    if (e->kind == BUILD_METRIC)
        json_object_update_new(o, json_pack("{s:s, s:o*, s:I}", "name", e->text, "value", json_real(e->value),
                                            "step", (json_int_t)e->done));
    else if (e->kind == BUILD_RESUME || e->kind == BUILD_CHECKPOINT || e->kind == BUILD_STOP)
        json_object_set_new(o, "step", json_integer((json_int_t)e->done));
    else if (e->kind == BUILD_START)
        add_place(o, b);
    else if (e->text)
        json_object_set_new(o, "text", json_string(e->text));
    if (e->kind == BUILD_HIT || e->kind == BUILD_DONE || e->kind == BUILD_FAILED || e->kind == BUILD_SKIPPED)
        add_result(o, e->result);
    json_t *private = e->kind == BUILD_HIT || e->kind == BUILD_DONE ? private_outputs(e->task) : NULL;
    if (private)
        json_object_set_new(o, "private", private);
    put(b, o, runlog_event_soon); /* written before anything is waited for: several at once cost one write */
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

static void tell(struct build *b, const struct build_event *e)
{
    keep(b, e);
    if (e->kind != BUILD_TICK)
        status_note(b);
    if (b->opt.see)
        b->opt.see(b->opt.arg, e);
}

void report(struct build *b, enum build_event_kind kind, const struct task *t, const char *text)
{
    struct build_event e = event(b, kind, t, text);
    tell(b, &e);
}

void report_passes(struct build *b, enum build_event_kind kind, const struct attempt *a, int64_t done)
{
    struct build_event e = event(b, kind, a->task, NULL);
    e.done = (double)done;
    e.total = (double)a->checkpoints.passes;
    tell(b, &e);
}

static json_t *texts(const char *const *text, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_string(text[i]));
    return list;
}

/* Rows in a list: the members of an object lose their order. */
static json_t *references(const struct spec *s)
{
    json_t *all = json_array();
    for (int i = 0; i < s->n_references; i++) {
        const struct reference *r = &s->reference[i];
        json_t *rows = json_array(), *o = json_pack("{s:s, s:o}", "name", r->name, "rows", rows);
        if (*r->source)
            json_object_set_new(o, "source", json_string(r->source));
        for (int k = 0; k < r->n; k++)
            json_array_append_new(rows, json_pack("{s:s, s:s, s:f}", "system", r->row[k].system, "domain",
                                                  r->row[k].domain, "value", r->row[k].value));
        json_array_append_new(all, o);
    }
    return all;
}

/* The experiment's files and their digests: what a later comparison of two runs can tell of its text. */
static json_t *files(const struct spec *s)
{
    json_t *list = json_array();
    for (int i = 0; i < s->n_files; i++) {
        struct digest d;
        char hex[DIGEST_HEX];
        if (hash_file(s->files[i], &d, NULL, NULL)) /* a pipe, or gone since it was read: no digest */
            json_array_append_new(
                list, json_pack("{s:s, s:s}", "file", s->files[i], "sha256", digest_hex(&d, hex)));
    }
    return list;
}

void report_begin(struct build *b)
{
    char cwd[4096];
    b->began = clock_seconds();
    gethostname(b->facts.host, sizeof b->facts.host - 1);
    trace_init(&b->facts.trace, runlog_id(b->log));
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:s}", "event", "begin", "experiment", b->spec->experiment,
                  "file", b->spec->file, "set", texts(b->opt.set, b->opt.n_set), "vars",
                  texts(b->opt.vars, b->opt.n_vars), "cwd", getcwd(cwd, sizeof cwd) ? cwd : "");
    json_object_update_new(o, json_pack("{s:o, s:o, s:o}", "reference", references(b->spec), "files",
                                        files(b->spec), "variables", yaml_json(b->spec->vars)));
    json_object_update_new(o, json_pack("{s:i, s:i, s:I, s:s}", "cores", b->cores, "tasks", b->count, "pid",
                                        (json_int_t)getpid(), "host", b->facts.host));
    if (b->spec->sweep)
        json_object_set_new(o, "sweep", json_true());
    put(b, o, runlog_event);
    facts_environment(b);
}

void report_end(struct build *b, bool ok)
{
    status_end(b);
    put(b, json_pack("{s:s, s:b, s:f}", "event", "end", "ok", ok, "seconds", clock_seconds() - b->began),
        runlog_event);
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
        tell(b, &e);
    } else if (strcmp(name, "metric") == 0) {
        e.kind = BUILD_METRIC;
        e.text = json_string_or(o, "name", "");
        e.value = json_real_or(o, "value", NAN); /* JSON has no word for what is not finite */
        e.done = (double)json_int_or(o, "step", 0);
        tell(b, &e);
    } else if (strcmp(name, "warn") == 0) {
        tell(b, &e);
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
