#include "engine/exec/job.h"
#include "base/json_out.h"
#include "base/varname.h"
#include "stages/command.h"
#include <limits.h>
#include <string.h>

static void put_inputs(struct json_out *o, const struct job *j)
{
    json_out_object(o, "inputs");
    for (int p = 0; p < stage_port_count(j->stage->inputs); p++) {
        json_out_list(o, j->stage->inputs[p].name);
        for (int i = 0; i < j->inputs[p].n; i++) {
            const struct stage_input *in = &j->inputs[p].item[i];
            json_out_object(o, NULL);
            json_out_text(o, "dir", in->dir);
            if (in->also_dir)
                json_out_text(o, "also", in->also_dir);
            json_out_end(o);
        }
        json_out_end(o);
    }
    json_out_end(o);
}

static void put_outputs(struct json_out *o, const struct job *j)
{
    json_out_object(o, "outputs");
    for (int p = 0; p < stage_port_count(j->stage->outputs); p++)
        json_out_text(o, j->stage->outputs[p].name, j->outputs[p]);
    json_out_end(o);
}

static void put_params(struct json_out *o, const struct job *j)
{
    if (j->stage->command) {
        command_write(o, "params", j->stage->command);
        return;
    }
    AUTO_JSON params = param_json(j->stage->params, j->params);
    json_out_value(o, "params", params, false);
}

/* What most jobs do without. */
static void put_rest(struct json_out *o, const struct job *j)
{
    if (j->n_units) {
        json_out_object(o, "units");
        for (int i = 0; i < j->n_units; i++)
            json_out_text(o, j->unit[i].name, j->unit[i].ids);
        json_out_end(o);
    }
    if (j->serve)
        json_out_text(o, "serve", j->serve);
    if (j->memory)
        json_out_integer(o, "memory", j->memory);
    if (j->stop) {
        json_out_object(o, "checkpoint");
        json_out_text(o, "stop", j->stop);
        json_out_real(o, "every", j->every);
        json_out_end(o);
    }
    if (j->resume) {
        json_out_object(o, "resume");
        json_out_text(o, "file", j->resume);
        json_out_integer(o, "step", j->resume_step);
        json_out_end(o);
    }
}

char *job_write(const struct job *j)
{
    struct buf text = {0};
    struct json_out o = {.to = &text};
    json_out_object(&o, NULL);
    json_out_text(&o, "task", j->task);
    json_out_text(&o, "stage", j->stage->name);
    json_out_integer(&o, "version", j->stage->version);
    put_params(&o, j);
    put_inputs(&o, j);
    put_outputs(&o, j);
    json_out_text(&o, "scratch", j->scratch);
    json_out_integer(&o, "threads", j->threads);
    json_out_text(&o, "cpuset", j->cpuset);
    json_out_text(&o, "nodes", j->nodes);
    json_out_integer(&o, "parent", j->parent);
    put_rest(&o, j);
    json_out_end(&o);
    return buf_take(&text);
}

/* Member `name` of o, which must be of a type; `what` says it in the error. */
static const json_t *member(const json_t *o, const char *name, json_type type, const char *what,
                            struct error *err)
{
    const json_t *v = json_object_get(o, name);
    if (v && json_typeof(v) == type)
        return v;
    error_set(err, NULL, ERROR_INPUT, "'%s' must be %s", name, what);
    return NULL;
}

/* The row of a program is what its task declares. */
static bool read_command(const json_t *o, struct arena *a, struct job *ret, struct error *err)
{
    struct command *c;
    if (!command_read(o, a, &c, err))
        return false;
    ret->stage = command_stage(ret->stage, c, a, &ret->params, NULL);
    return true;
}

/* All of them are there: the engine fills defaults in. */
static bool read_params(const json_t *o, struct arena *a, struct job *ret, struct error *err)
{
    const struct stage *s = ret->stage;
    if (s->command)
        return read_command(o, a, ret, err);
    void *params = arena_alloc(a, s->params_size ? s->params_size : 1);
    param_defaults(s->params, params, a);
    for (const struct param *row = s->params; row && row->name; row++) {
        const json_t *value = json_object_get(o, row->name);
        if (!value)
            return error_set(err, NULL, ERROR_INPUT, "parameter '%s' is missing", row->name);
        if (!param_set(row, params, value, a, err))
            return false;
    }
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)o, name, value)
    {
        if (!param_find(s->params, name))
            return error_set(err, NULL, ERROR_INPUT, "stage '%s' has no parameter '%s'", s->name, name);
    }
    ret->params = params;
    return true;
}

static bool read_input(const json_t *o, struct arena *a, struct stage_input *ret, struct error *err)
{
    const char *dir, *also = NULL;
    if (!json_get_string(o, "dir", &dir, err) ||
        (json_object_get(o, "also") && !json_get_string(o, "also", &also, err)))
        return false;
    *ret = (struct stage_input){arena_strdup(a, dir), also ? arena_strdup(a, also) : NULL};
    return true;
}

static bool read_inputs(const json_t *o, struct arena *a, struct job *ret, struct error *err)
{
    const struct port *port = ret->stage->inputs;
    int n = stage_port_count(port);
    ret->inputs = arena_alloc(a, (size_t)(n + 1) * sizeof *ret->inputs);
    for (int p = 0; p < n; p++) {
        const json_t *list = member(o, port[p].name, JSON_ARRAY, "a list", err);
        struct stage_inputs *in = &ret->inputs[p];
        if (!list)
            return false;
        in->n = (int)json_array_size(list);
        in->item = arena_alloc(a, (size_t)(in->n + 1) * sizeof *in->item);
        for (int i = 0; i < in->n; i++)
            if (!read_input(json_array_get(list, (size_t)i), a, &in->item[i], err))
                return error_context(err, "input '%s'", port[p].name);
        if (!in->n && !port[p].optional)
            return error_set(err, NULL, ERROR_INPUT, "input '%s' is empty", port[p].name);
    }
    return true;
}

static bool read_outputs(const json_t *o, struct arena *a, struct job *ret, struct error *err)
{
    int n = stage_port_count(ret->stage->outputs);
    ret->outputs = arena_alloc(a, (size_t)(n + 1) * sizeof *ret->outputs);
    for (int p = 0; p < n; p++) {
        const char *dir;
        if (!json_get_string(o, ret->stage->outputs[p].name, &dir, err))
            return error_context(err, "outputs");
        ret->outputs[p] = arena_strdup(a, dir);
    }
    return true;
}

/* Absent: none. They become variables of the environment. */
static bool read_units(const json_t *o, struct arena *a, struct job *ret, struct error *err)
{
    const json_t *all =
        json_object_get(o, "units") ? member(o, "units", JSON_OBJECT, "an object", err) : NULL;
    const char *name;
    json_t *ids;
    if (!all)
        return !json_object_get(o, "units");
    struct job_unit *unit = arena_alloc(a, (json_object_size(all) + 1) * sizeof *unit);
    json_object_foreach((json_t *)(uintptr_t)all, name, ids)
    {
        const char *text = json_is_string(ids) ? json_string_value(ids) : "";
        if (!varname_ok(name) || !*text || strspn(text, "0123456789,") != strlen(text))
            return error_set(err, NULL, ERROR_INPUT, "units: '%.100s' must be numbers of devices, \"0,2\"",
                             name);
        unit[ret->n_units++] = (struct job_unit){arena_strdup(a, name), arena_strdup(a, text)};
    }
    ret->unit = unit;
    return true;
}

/* Absent: NULL. */
static bool read_serve(const json_t *o, struct arena *a, struct job *ret, struct error *err)
{
    const char *log;
    if (!json_object_get(o, "serve"))
        return true;
    if (!json_get_string(o, "serve", &log, err))
        return false;
    ret->serve = arena_strdup(a, log);
    return true;
}

/* Both may be absent. */
static bool read_checkpoints(const json_t *o, struct arena *a, struct job *ret, struct error *err)
{
    const json_t *keep = json_object_get(o, "checkpoint"), *resume = json_object_get(o, "resume");
    const char *stop, *file;
    if (keep) {
        if (!json_get_string(keep, "stop", &stop, err) || !json_get_real(keep, "every", &ret->every, err))
            return error_context(err, "checkpoint");
        if (ret->every < 0)
            return error_set(err, NULL, ERROR_INPUT, "'every' must be a number from 0 on");
        ret->stop = arena_strdup(a, stop);
    }
    if (resume) {
        if (!json_get_string(resume, "file", &file, err) ||
            !json_get_int(resume, "step", &ret->resume_step, err))
            return error_context(err, "resume");
        if (ret->resume_step < 1)
            return error_set(err, NULL, ERROR_INPUT, "'step' must be a number from 1 on");
        ret->resume = arena_strdup(a, file);
    }
    return true;
}

static bool read_stage(const json_t *o, struct job *ret, struct error *err)
{
    const char *stage;
    int64_t version;
    if (!json_get_string(o, "stage", &stage, err) || !json_get_int(o, "version", &version, err))
        return false;
    ret->stage = stage_find(stage);
    return (ret->stage && ret->stage->version == version) ||
           error_set(err, NULL, ERROR_INPUT, "this weft has no stage '%s' version %lld", stage,
                     (long long)version);
}

static bool read_job(const json_t *o, struct arena *a, struct job *ret, struct error *err)
{
    const char *task, *scratch, *cpuset, *nodes;
    const json_t *params, *inputs, *outputs;
    int64_t threads;
    if (!json_get_string(o, "task", &task, err) || !read_stage(o, ret, err) ||
        !json_get_string(o, "scratch", &scratch, err) || !json_get_int(o, "threads", &threads, err) ||
        !json_get_string(o, "cpuset", &cpuset, err) || !json_get_string(o, "nodes", &nodes, err) ||
        !json_get_int(o, "parent", &ret->parent, err) ||
        !(params = member(o, "params", JSON_OBJECT, "an object", err)) ||
        !(inputs = member(o, "inputs", JSON_OBJECT, "an object", err)) ||
        !(outputs = member(o, "outputs", JSON_OBJECT, "an object", err)))
        return false;
    if (threads < 1 || threads > INT_MAX)
        return error_set(err, NULL, ERROR_INPUT, "'threads' must be a number from 1 on");
    ret->task = arena_strdup(a, task);
    ret->scratch = arena_strdup(a, scratch);
    ret->cpuset = arena_strdup(a, cpuset);
    ret->nodes = arena_strdup(a, nodes);
    ret->threads = (int)threads;
    ret->memory = json_int_or(o, "memory", 0);
    return read_params(params, a, ret, err) && read_inputs(inputs, a, ret, err) &&
           read_outputs(outputs, a, ret, err) && read_units(o, a, ret, err) && read_serve(o, a, ret, err) &&
           read_checkpoints(o, a, ret, err);
}

bool job_read(const char *text, size_t n, struct arena *a, struct job *ret, struct error *err)
{
    AUTO_JSON o = json_parse(text, n, "job", err);
    *ret = (struct job){0};
    return o && (read_job(o, a, ret, err) || error_context(err, "job"));
}
