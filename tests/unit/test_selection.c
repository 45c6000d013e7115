/* Stage dpp: pool, methods, fills, and what it refuses. */
#include "stages/io/safetensors.h"
#include "stages/stage.h"
#include <math.h>

#include "tests/test.h"
#include "tests/unit/stage_run.h"

extern const struct stage stage_dpp;

/* Six samples on the axes of a plane, two a direction; s5 has no direction at all. */
#define N 6
static const float x[N * 2] = {1, 0, 0, 1, 1, 0, 0, 1, -2, 0, 0, 0};
static const float g[N] = {.9f, .5f, .8f, .7f, .6f, .95f};

static void begin(struct stage_run *r, int64_t relevances)
{
    stage_run_begin(r, &stage_dpp);
    const char *f = stage_run_input(r, "features"), *v = stage_run_input(r, "relevance");
    stage_run_file(r, f, "ids.json", "[\"s0\", \"s1\", \"s2\", \"s3\", \"s4\", \"s5\"]");
    struct safetensors_writer *w = safetensors_writer_new();
    safetensors_writer_add(w, "features", DTYPE_F32, 2, (int64_t[]){N, 2}, x);
    assert_true(safetensors_write(w, arena_printf(&r->arena, "%s/features.safetensors", f), NULL));
    w = safetensors_writer_new();
    safetensors_writer_add(w, "relevance", DTYPE_F32, 1, &relevances, g);
    assert_true(safetensors_write(w, arena_printf(&r->arena, "%s/relevance.safetensors", v), NULL));
}
static void set(struct stage_run *r, const char *name, int64_t value)
{
    stage_run_set(r, name, arena_printf(&r->arena, "%lld", (long long)value));
}
/* The chosen ids without their 's', in order. */
static const char *choose(struct stage_run *r, json_t **ret)
{
    if (!stage_run_go(r))
        fail_msg("%s", r->err.text);
    *ret = stage_run_json(r, "selection", "selection.json");
    assert_non_null(*ret);
    char *text = arena_alloc(&r->arena, N + 1);
    size_t n = json_array_size(json_object_get(*ret, "ids"));
    for (size_t i = 0; i < n; i++) {
        text[i] = json_string_value(json_array_get(json_object_get(*ret, "ids"), i))[1];
        assert_int_equal(text[i] - '0',
                         json_integer_value(json_array_get(json_object_get(*ret, "indices"), i)));
        float r_i = (float)json_real_value(json_array_get(json_object_get(*ret, "relevance"), i));
        assert_true(r_i == g[text[i] - '0']);
    }
    text[n] = 0;
    assert_int_equal(json_int_or(*ret, "size", -1), (int64_t)n);
    return text;
}
static void select_ids(int64_t pool, int64_t size, const char *method, const char *fill, const char *want,
                       int determined)
{
    struct stage_run r;
    begin(&r, N);
    set(&r, "pool", pool);
    set(&r, "size", size);
    stage_run_set(&r, "method", arena_printf(&r.arena, "\"%s\"", method));
    stage_run_set(&r, "fill", arena_printf(&r.arena, "\"%s\"", fill));
    AUTO_JSON s = NULL;
    assert_string_equal(choose(&r, &s), want);
    assert_int_equal(json_int_or(s, "determined", -1), determined);
    assert_int_equal(r.warnings, pool > N && strcmp(method, "random") != 0);
    stage_run_end(&r);
}
static void test_methods(void **state)
{
    (void)state;
    select_ids(6, 2, "dpp", "stop", "03", 2);
    select_ids(6, 5, "dpp", "stop", "03", 2);
    select_ids(6, 5, "dpp", "relevance", "03524", 2);
    select_ids(6, 5, "dpp", "restart", "03214", 2);
    select_ids(100, 6, "dpp", "restart", "032145", 2);
    select_ids(3, 3, "dpp", "restart", "025", 1); /* the pool is 5, 0, 2 */
    select_ids(6, 3, "similarity", "restart", "502", 1);
}
static void test_random(void **state)
{
    (void)state;
    char seen[2][N + 1];
    for (int i = 0; i < 4; i++) {
        struct stage_run r;
        begin(&r, N);
        set(&r, "size", N);
        set(&r, "pool", N);
        set(&r, "seed", i / 2 * 7);
        stage_run_set(&r, "method", "\"random\"");
        AUTO_JSON s = NULL;
        const char *ids = choose(&r, &s);
        for (int k = 0; k < N; k++)
            assert_non_null(strchr(ids, '0' + k));
        if (i % 2 == 0)
            memcpy(seen[i / 2], ids, N + 1);
        assert_string_equal(ids, seen[i / 2]);
        stage_run_end(&r);
    }
    assert_string_not_equal(seen[0], seen[1]);
}
static void test_refusals(void **state)
{
    (void)state;
    struct stage_run r;
    begin(&r, N);
    assert_true(stage_dpp.check(r.params, &r.err));
    set(&r, "pool", 300);
    assert_false(stage_dpp.check(r.params, &r.err));
    assert_string_equal(r.err.text, "size 500 is larger than the pool of 300");
    set(&r, "size", 7);
    set(&r, "pool", 7);
    assert_false(stage_run_go(&r));
    assert_non_null(strstr(r.err.text, "size 7 is larger than the pool"));
    assert_int_equal(r.err.code, ERROR_INPUT);
    stage_run_end(&r);
    begin(&r, N - 1);
    set(&r, "size", 2);
    assert_false(stage_run_go(&r));
    assert_non_null(strstr(r.err.text, "same public set"));
    stage_run_end(&r);
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_methods), cmocka_unit_test(test_random),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
