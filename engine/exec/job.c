#include "engine/exec/job.h"
#include "base/json.h"

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

char *job_write(const struct job *j)
{
    json_t *outputs = json_object();
    for (int p = 0; p < stage_port_count(j->stage->outputs); p++)
        json_object_set_new(outputs, j->stage->outputs[p].name, json_string(j->outputs[p]));
    AUTO_JSON o = json_pack("{s:s, s:s, s:i, s:o, s:o, s:o, s:s, s:i, s:s, s:I}", "task", j->task, "stage",
                            j->stage->name, "version", j->stage->version, "params",
                            param_json(j->stage->params, j->params), "inputs", inputs_json(j), "outputs",
                            outputs, "scratch", j->scratch, "threads", j->threads, "cpuset", j->cpuset,
                            "parent", (json_int_t)j->parent);
    return json_text(o, false);
}

static bool read_params(const json_t *o, struct arena *a, struct job *ret, struct error *err)
{
    const struct stage *s = ret->stage;
    void *params = arena_alloc(a, s->params_size ? s->params_size : 1);
    param_defaults(s->params, params, a);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)o, name, value)
    {
        const struct param *row = param_find(s->params, name);
        if (!row)
            return error_set(err, NULL, ERROR_INPUT, "stage '%s' has no parameter '%s'", s->name, name);
        if (!param_set(row, params, value, a, err))
            return false;
    }
    ret->params = params;
    return true;
}

static void read_inputs(const json_t *o, struct arena *a, struct job *ret)
{
    int n = stage_port_count(ret->stage->inputs);
    ret->inputs = arena_alloc(a, (size_t)(n + 1) * sizeof *ret->inputs);
    for (int p = 0; p < n; p++) {
        const json_t *list = json_object_get(o, ret->stage->inputs[p].name);
        struct stage_inputs *in = &ret->inputs[p];
        in->n = (int)json_array_size(list);
        in->item = arena_alloc(a, (size_t)(in->n + 1) * sizeof *in->item);
        for (int i = 0; i < in->n; i++) {
            const json_t *ref = json_array_get(list, (size_t)i);
            const char *also = json_string_or(ref, "also", NULL);
            in->item[i] = (struct stage_input){arena_strdup(a, json_string_or(ref, "dir", "")),
                                               also ? arena_strdup(a, also) : NULL};
        }
    }
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

bool job_read(const char *text, size_t n, struct arena *a, struct job *ret, struct error *err)
{
    AUTO_JSON o = json_parse(text, n, "job", err);
    const char *task, *stage, *scratch, *cpuset;
    int64_t version, threads;
    *ret = (struct job){0};
    if (!o || !json_get_string(o, "task", &task, err) || !json_get_string(o, "stage", &stage, err) ||
        !json_get_int(o, "version", &version, err) || !json_get_string(o, "scratch", &scratch, err) ||
        !json_get_int(o, "threads", &threads, err) || !json_get_string(o, "cpuset", &cpuset, err) ||
        !json_get_int(o, "parent", &ret->parent, err))
        return error_context(err, "job");
    ret->stage = stage_find(stage);
    if (!ret->stage || ret->stage->version != version)
        return error_set(err, NULL, ERROR_INPUT, "this weft has no stage '%s' version %lld", stage,
                         (long long)version);
    ret->task = arena_strdup(a, task);
    ret->scratch = arena_strdup(a, scratch);
    ret->cpuset = arena_strdup(a, cpuset);
    ret->threads = threads < 1 ? 1 : (int)threads;
    read_inputs(json_object_get(o, "inputs"), a, ret);
    return read_params(json_object_get(o, "params"), a, ret, err) &&
           read_outputs(json_object_get(o, "outputs"), a, ret, err);
}
