/* The job from the engine to the worker: every stage, every parameter, and every way to spoil it. */
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/job.h"
#include "tests/test.h"
#include <string.h>

/* A value unlike the default: the far end of what the row allows, text that JSON must escape. */
static json_t *other_value(const struct param *row)
{
    bool bounded = row->min < row->max;
    switch (row->type) {
    case PARAM_BOOL:
        return json_boolean(row->def && strcmp(row->def, "true") != 0);
    case PARAM_INT:
        return json_integer(!bounded ? INT64_MIN : row->max > 9e15 ? 8999999999999999 : (json_int_t)row->max);
    case PARAM_REAL:
        return json_real(bounded ? row->min + (row->max - row->min) / 3 : -1.0 / 3e-300);
    case PARAM_STRING:
        if (row->choices) {
            const char *last = strrchr(row->choices, '|');
            return json_string(last ? last + 1 : row->choices);
        }
        return json_string("a \"b\"\n\t\\ \x01 \xc3\xa9 \xf0\x9f\x90\xb1 ${x}");
    }
    return NULL;
}

static const struct job_unit units[] = {{"a-B_1", "17"}, {"gpu", "0,2"}};

/* A job of the stage, complete, with `many` references at each input port. */
static struct job make(const struct stage *s, int many, struct arena *a)
{
    int ins = stage_port_count(s->inputs), outs = stage_port_count(s->outputs);
    void *params = arena_alloc(a, s->params_size ? s->params_size : 1);
    struct job j = {.task = "t[a \"b\"/é]",
                    .stage = s,
                    .params = params,
                    .scratch = "/s c/\"x\"",
                    .cpuset = "0-3,8",
                    .nodes = "0-1",
                    .threads = 5,
                    .parent = 4194304};
    if (many > 1) /* the members that may be absent */
        j.unit = units, j.n_units = 2, j.stop = "/s t/\"op\"", j.every = 2.5, j.resume = "/re sume",
        j.resume_step = 7, j.serve = "/lo g";
    param_defaults(s->params, params, a);
    for (const struct param *row = s->params; row && row->name; row++) {
        AUTO_JSON v = other_value(row);
        struct error err = {0};
        if (!param_set(row, params, v, a, &err))
            fail_msg("%s.%s: %s", s->name, row->name, err.text);
    }
    j.inputs = arena_alloc(a, ((size_t)ins + 1) * sizeof *j.inputs);
    j.outputs = arena_alloc(a, ((size_t)outs + 1) * sizeof *j.outputs);
    for (int p = 0; p < ins; p++) {
        j.inputs[p] = (struct stage_inputs){arena_alloc(a, 3 * sizeof *j.inputs[p].item), many};
        for (int i = 0; i < many; i++)
            j.inputs[p].item[i] =
                (struct stage_input){arena_printf(a, "/in/%d/%d", p, i),
                                     s->inputs[p].also ? arena_printf(a, "/also/%d", i) : NULL};
    }
    for (int p = 0; p < outs; p++)
        j.outputs[p] = arena_printf(a, "/out/%s", s->outputs[p].name);
    return j;
}

static void same_inputs(const struct stage *s, const struct job *x, const struct job *y)
{
    for (int p = 0; p < stage_port_count(s->inputs); p++) {
        assert_int_equal(x->inputs[p].n, y->inputs[p].n);
        for (int i = 0; i < x->inputs[p].n; i++) {
            const struct stage_input *u = &x->inputs[p].item[i], *v = &y->inputs[p].item[i];
            assert_string_equal(u->dir, v->dir);
            assert_int_equal(u->also_dir != NULL, v->also_dir != NULL);
            if (u->also_dir)
                assert_string_equal(u->also_dir, v->also_dir);
        }
    }
}

static void same(const struct job *x, const struct job *y)
{
    const struct stage *s = x->stage;
    assert_ptr_equal(y->stage, s);
    assert_string_equal(x->task, y->task);
    assert_string_equal(x->scratch, y->scratch);
    assert_string_equal(x->cpuset, y->cpuset);
    assert_string_equal(x->nodes, y->nodes);
    assert_int_equal(x->threads, y->threads);
    assert_int_equal(x->parent, y->parent);
    assert_int_equal(!x->stop, !y->stop);
    assert_int_equal(!x->resume, !y->resume);
    assert_int_equal(x->n_units, y->n_units);
    for (int i = 0; i < x->n_units; i++) {
        assert_string_equal(x->unit[i].name, y->unit[i].name);
        assert_string_equal(x->unit[i].ids, y->unit[i].ids);
    }
    if (x->stop)
        assert_true(!strcmp(x->stop, y->stop) && x->every == y->every);
    if (x->resume)
        assert_true(!strcmp(x->resume, y->resume) && x->resume_step == y->resume_step);
    assert_int_equal(!x->serve, !y->serve);
    if (x->serve)
        assert_string_equal(x->serve, y->serve);
    for (const struct param *row = s->params; row && row->name; row++) {
        AUTO(buf) struct buf u = {0};
        AUTO(buf) struct buf v = {0};
        param_text(row, x->params, &u);
        param_text(row, y->params, &v);
        assert_string_equal(buf_str(&u), buf_str(&v));
    }
    same_inputs(s, x, y);
    for (int p = 0; p < stage_port_count(s->outputs); p++)
        assert_string_equal(x->outputs[p], y->outputs[p]);
}

/* Whether a parameter of each type was seen, so that the loop over the registry proves something. */
static void round_trip(void **state)
{
    bool seen[PARAM_STRING + 1] = {false};
    for (const struct stage *const *s = stage_registry; *s; s++)
        for (int many = 1; many <= 3 && !(*s)->command; many += 2) { /* test_command.c has a program's */
            AUTO(arena) struct arena a;
            arena_init(&a);
            struct job j = make(*s, many, &a), back;
            struct error err = {0};
            char *text = job_write(&j);
            if (!job_read(text, strlen(text), &a, &back, &err))
                fail_msg("%s: %s", (*s)->name, err.text);
            memset(text, 'x', strlen(text)); /* nothing of the text is kept */
            free(text);
            same(&j, &back);
            for (const struct param *row = (*s)->params; row && row->name; row++)
                seen[row->type] = true;
        }
    assert_true(seen[PARAM_BOOL] && seen[PARAM_INT] && seen[PARAM_REAL] && seen[PARAM_STRING]);
}

static void refuse(const json_t *o, const char *want)
{
    AUTO(mem) char *text = json_text(o, false);
    AUTO(arena) struct arena a;
    arena_init(&a);
    struct job back;
    struct error err = {0};
    if (job_read(text, strlen(text), &a, &back, &err))
        fail_msg("taken although: %s", want);
    if (!strstr(err.text, want))
        fail_msg("wanted '%s', got '%s'", want, err.text);
    assert_int_equal(err.code, ERROR_INPUT);
}

static json_t *expert_job(void)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    struct job j = make(stage_find("expert"), 3, &a);
    AUTO(mem) char *text = job_write(&j);
    return json_parse(text, strlen(text), "job", NULL);
}

/* Every member, taken away and made something else, at both depths. */
static void spoiled(void **state)
{
    AUTO_JSON whole = expert_job();
    const char *name, *inner;
    json_t *value, *part;
    json_object_foreach(whole, name, value)
    {
        AUTO_JSON o = json_copy(whole);
        json_object_del(o, name);
        if (strcmp(name, "checkpoint") != 0 && strcmp(name, "resume") != 0 && strcmp(name, "units") != 0 &&
            strcmp(name, "serve") != 0)
            refuse(o, name);
        json_object_set_new(o, name, json_array());
        refuse(o, name);
        json_object_foreach(value, inner, part)
        {
            AUTO_JSON p = json_deep_copy(whole);
            json_object_del(json_object_get(p, name), inner);
            bool needed =
                strcmp(name, "inputs") != 0 || strcmp(inner, "model") == 0 || strcmp(inner, "private") == 0;
            if (needed && strcmp(name, "units") != 0)
                refuse(p, inner);
            json_object_set_new(json_object_get(p, name), inner, json_object());
            refuse(p, inner);
        }
    }
    assert_int_equal(json_object_size(whole), 15);
}

/* With member `name` of `in` (o or a part of it) replaced, o is refused. */
static void set(const json_t *o, json_t *in, const char *name, json_t *value, const char *want)
{
    json_t *old = json_incref(json_object_get(in, name));
    json_object_set_new(in, name, value);
    refuse(o, want);
    if (old)
        json_object_set_new(in, name, old);
    else
        json_object_del(in, name);
}

static void wrong(void **state)
{
    AUTO_JSON o = expert_job();
    int version = stage_find("expert")->version;
    json_t *params = json_object_get(o, "params"), *inputs = json_object_get(o, "inputs");
    set(o, o, "version", json_integer(version + 1), "no stage 'expert' version");
    set(o, o, "version", json_integer(version - 1), "no stage 'expert' version");
    set(o, o, "version", json_integer(version + (1LL << 32)), "no stage 'expert' version");
    set(o, o, "stage", json_string("no such"), "no stage 'no such' version");
    set(o, o, "threads", json_integer(0), "threads");
    set(o, o, "threads", json_integer(1LL << 32), "threads");
    set(o, params, "rank", json_real(4), "'rank' must be an integer");
    set(o, params, "rank", json_integer(0), "'rank' must be an integer between 1 and 4096");
    set(o, params, "labels", json_string("other"), "'labels' must be one of");
    set(o, params, "nothing", json_integer(1), "no parameter 'nothing'");
    set(o, json_object_get(o, "resume"), "step", json_integer(0), "step");
    set(o, json_object_get(o, "checkpoint"), "every", json_real(-1), "every");
    for (const char *const *ids = (const char *const[]){"", "0 2", "0-2", "0;x", "$(x)", "0\n", NULL}; *ids;
         ids++)
        set(o, json_object_get(o, "units"), "gpu", json_string(*ids),
            "units: 'gpu' must be numbers of devices");
    for (const char *const *name = (const char *const[]){"", "a=b", "1", "a b", NULL}; *name; name++)
        set(o, json_object_get(o, "units"), *name, json_string("0"), "must be numbers of devices");
    set(o, inputs, "model", json_pack("[{}]"), "dir");
    set(o, inputs, "model", json_pack("[{s:i}]", "dir", 1), "dir");
    set(o, inputs, "model", json_pack("[s]", "/in"), "dir");
    set(o, inputs, "model", json_array(), "model");
    set(o, inputs, "model", json_pack("[{s:s, s:i}]", "dir", "/in", "also", 1), "also");
}

static void torn(void **state)
{
    AUTO_JSON o = expert_job();
    AUTO(mem) char *text = json_text(o, false);
    AUTO(arena) struct arena a;
    arena_init(&a);
    struct job back;
    struct error err = {0};
    for (size_t n = 0; n < strlen(text); n++)
        assert_false(job_read(text, n, &a, &back, &err));
    assert_true(job_read(text, strlen(text), &a, &back, &err));
    assert_false(job_read("[]", 2, &a, &back, &err));
    assert_false(job_read("", 0, &a, &back, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(spoiled),
                                       cmocka_unit_test(wrong), cmocka_unit_test(torn)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
