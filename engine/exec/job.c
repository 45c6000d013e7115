#include "engine/exec/job.h"
#include "base/json.h"
#include "base/varname.h"
#include "stages/command.h"
#include <limits.h>
#include <string.h>

static json_t *inputs_json(const struct job *j)
{
    json_t *all = json_object();
    for (int p = 0; p < stage_port_count(j->stage->inputs); p++) {
        json_t *list = json_array();
        for (int i = 0; i < j->inputs[p].n; i++) {
            const struct stage_input *in = &j->inputs[p].item[i];
            json_t *o = json_pack("{s:s}", "dir", in->dir);
            if (in->also_dir)
                json_object_set_new(o, "also", json_string(in->also_dir));
            json_array_append_new(list, o);
        }
        json_object_set_new(all, j->stage->inputs[p].name, list);
    }
    return all;
}

static json_t *params_json(const struct job *j)
{
    return j->stage->command ? command_json(j->stage->command) : param_json(j->stage->params, j->params);
}

static json_t *units_json(const struct job *j)
{
    json_t *all = json_object();
    for (int i = 0; i < j->n_units; i++)
        json_object_set_new(all, j->unit[i].name, json_string(j->unit[i].ids));
    return all;
}

char *job_write(const struct job *j)
{
    json_t *outputs = json_object();
    for (int p = 0; p < stage_port_count(j->stage->outputs); p++)
        json_object_set_new(outputs, j->stage->outputs[p].name, json_string(j->outputs[p]));
    AUTO_JSON o =
        json_pack("{s:s, s:s, s:i, s:o, s:o, s:o, s:s, s:i, s:s, s:s, s:I}", "task", j->task, "stage",
                  j->stage->name, "version", j->stage->version, "params", params_json(j), "inputs",
                  inputs_json(j), "outputs", outputs, "scratch", j->scratch, "threads", j->threads, "cpuset",
                  j->cpuset, "nodes", j->nodes, "parent", (json_int_t)j->parent);
    if (j->n_units)
        json_object_set_new(o, "units", units_json(j));
    if (j->serve)
        json_object_set_new(o, "serve", json_string(j->serve));
    if (j->memory)
        json_object_set_new(o, "memory", json_integer((json_int_t)j->memory));
    if (j->stop)
        json_object_set_new(o, "checkpoint", json_pack("{s:s, s:f}", "stop", j->stop, "every", j->every));
    if (j->resume)
        json_object_set_new(o, "resume",
                            json_pack("{s:s, s:I}", "file", j->resume, "step", (json_int_t)j->resume_step));
    return json_text(o, false);
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
