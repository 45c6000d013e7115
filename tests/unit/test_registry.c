/* Every stage's row is whole: sorted names, versions, docs, defaults that its own checks accept, ports that
 * say what they are. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "stages/stage.h"
#include "tests/test.h"
#include <string.h>

static json_t *default_value(const struct param *p)
{
    if (p->type == PARAM_BOOL)
        return json_boolean(strcmp(p->def, "true") == 0);
    if (p->type == PARAM_STRING)
        return json_string(p->def);
    char *end;
    double x = strtod(p->def, &end);
    if (end == p->def || *end)
        return json_null();
    return p->type == PARAM_INT ? json_integer(strtoll(p->def, NULL, 10)) : json_real(x);
}

static void check_params(const struct stage *s)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    void *params = arena_alloc(&a, s->params_size + 1);
    param_defaults(s->params, params, &a);
    bool required = false;
    int epochs = 0;
    for (const struct param *p = s->params; p && p->name; p++) {
        if (!p->doc || !*p->doc)
            fail_msg("stage %s: parameter %s has no doc", s->name, p->name);
        if (param_find(s->params, p->name) != p)
            fail_msg("stage %s: parameter %s is there twice", s->name, p->name);
        if (!!p->def == !!(p->flags & PARAM_REQUIRED))
            fail_msg("stage %s: parameter %s needs a default or PARAM_REQUIRED, not both", s->name, p->name);
        required = required || (p->flags & PARAM_REQUIRED);
        epochs += (p->flags & PARAM_EPOCHS) != 0;
        if ((p->flags & PARAM_EPOCHS) && (p->type != PARAM_INT || (p->flags & PARAM_RUNTIME)))
            fail_msg("stage %s: %s counts passes, as an integer that is in the key", s->name, p->name);
        if (!p->def || (p->flags & PARAM_IMPORT))
            continue;
        AUTO_JSON value = default_value(p);
        struct error err = {0};
        if (!param_set(p, params, value, &a, &err))
            fail_msg("stage %s: the default of %s: %s", s->name, p->name, err.text);
    }
    if (epochs > 1 || (s->prefix && !epochs))
        fail_msg("stage %s: at most one row counts passes, and prefix() needs one", s->name);
    struct error err = {0};
    if (s->check && !required && !s->check(params, &err))
        fail_msg("stage %s refuses its defaults: %s", s->name, err.text);
}

static void check_ports(const struct stage *s, const struct port *ports, bool output)
{
    for (const struct port *p = ports; p && p->name; p++) {
        if (!p->type || !p->doc || !*p->doc)
            fail_msg("stage %s: port %s needs a type and a doc", s->name, p->name);
        if (&ports[stage_port_index(ports, p->name)] != p)
            fail_msg("stage %s: port %s is there twice", s->name, p->name);
        if (output && (p->also || p->many || p->optional || p->private_ok))
            fail_msg("stage %s: output %s has what only inputs have", s->name, p->name);
        if (p->releases && (!output || !p->release || !*p->release))
            fail_msg("stage %s: port %s must say what it releases", s->name, p->name);
    }
}

static void rows(void **state)
{
    int n = 0;
    for (const struct stage *const *r = stage_registry; *r; r++, n++) {
        const struct stage *s = *r;
        assert_true(s->version >= 1 && s->doc && *s->doc && s->run && s->cost);
        if (n && strcmp(r[-1]->name, s->name) >= 0)
            fail_msg("stage %s is out of order", s->name);
        assert_ptr_equal(stage_find(s->name), s);
        assert_true(stage_port_count(s->outputs) > 0 || s->command);
        check_params(s);
        check_ports(s, s->inputs, false);
        check_ports(s, s->outputs, true);
    }
    assert_true(n > 0);
    assert_null(stage_find("no such stage"));
}

static void artifacts(void **state)
{
    for (int a = ARTIFACT_NONE; a <= ARTIFACT_ANY; a++) {
        const char *name = artifact_name((enum artifact)a);
        assert_true(name && *name);
        bool output = a != ARTIFACT_NONE && a != ARTIFACT_ANY;
        assert_int_equal(artifact_find(name), output ? a : ARTIFACT_NONE);
    }
    assert_int_equal(artifact_find("no such type"), ARTIFACT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows), cmocka_unit_test(artifacts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
