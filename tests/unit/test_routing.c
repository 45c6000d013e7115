/* Routing statistics against numbers worked out by hand: two layers, two images of three tokens, two experts.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "stages/job/routing.h"
#include <math.h>

#include "tests/test.h"
#include "tests/unit/stage_run.h"
#include "tests/unit/xml_check.h"

enum { LAYERS = 2, BATCH = 2, TOKENS = 3, EXPERTS = 2 };
static void see(struct routing *r, const char *what, int layer, const float *first /* of expert 0, a token */)
{
    float x[BATCH * TOKENS * EXPERTS];
    for (int i = 0; i < BATCH * TOKENS; i++)
        x[2 * i] = first[i], x[2 * i + 1] = 1 - first[i];
    routing_see(r, what, layer, x, BATCH, TOKENS, EXPERTS);
}
static double number(const json_t *routing, int layer, const char *kind, const char *what)
{
    const json_t *c = json_object_get(json_array_get(routing, (size_t)layer), kind);
    const json_t *x = json_object_get(c, what);
    assert_true(json_is_number(x));
    return json_number_value(x);
}
static double share(const json_t *routing, int layer, const char *kind, size_t expert)
{
    const json_t *c = json_object_get(json_array_get(routing, (size_t)layer), kind);
    return json_real_value(json_array_get(json_object_get(c, "share"), expert));
}
static void expect(double got, double want)
{
    if (fabs(got - want) > 1e-6)
        fail_msg("%g, wanted %g", got, want);
}
static void test_counts(void **state)
{
    (void)state;
    struct moe moe[LAYERS] = {{.experts = EXPERTS}, {.experts = EXPERTS}};
    struct clip m = {.moe = moe};
    struct arena a;
    struct routing r;
    m.config.vision.layers = LAYERS;
    m.config.image_size = 2, m.config.patch = 2; /* two tokens an image, for three images */
    arena_init(&a);
    assert_true(routing_begin(&r, &m, 3, &a, NULL));
    /*                     class, patches; class, patches */
    see(&r, "moe_probs", 0, (const float[]){.75f, 1, .5f, .25f, 0, .25f});
    see(&r, "moe_selected", 0, (const float[]){1, 1, 1, 0, 0, 0});
    see(&r, "moe_probs", 1, (const float[]){.25f, 1, 0, .25f, .75f, 0});
    see(&r, "moe_selected", 1, (const float[]){0, 1, 0, 0, 1, 0});
    see(&r, "hidden", 1, (const float[]){9, 9, 9, 9, 9, 9});
    AUTO_JSON j = routing_json(&r);
    assert_int_equal(json_array_size(j), LAYERS);
    expect(number(j, 0, "class_token", "tokens"), 2);
    expect(number(j, 0, "patches", "tokens"), 4);
    expect(share(j, 0, "class_token", 0), .5);
    expect(share(j, 0, "patches", 0), .5);
    expect(share(j, 1, "class_token", 1), 1);
    expect(share(j, 1, "patches", 1), .5);
    expect(number(j, 0, "class_token", "mean_max_pi"), .75);
    expect(number(j, 0, "class_token", "margin"), .5);
    expect(number(j, 0, "patches", "margin"), (1 + 0 + 1 + .5) / 4);
    double quarter = -.25 * log(.25) - .75 * log(.75);
    expect(number(j, 0, "class_token", "entropy"), quarter);
    expect(number(j, 0, "patches", "entropy"), (0 + log(2) + 0 + quarter) / 4);
    /* layer 0 -> 1: class tokens 0 -> 1, 1 -> 1; patches 0 -> 0, 0 (a tie) -> 1, 1 -> 0, 1 -> 1 */
    expect(number(j, 1, "class_token", "same_as_before"), .5);
    expect(number(j, 1, "patches", "same_as_before"), .5);
    assert_null(json_object_get(json_object_get(json_array_get(j, 0), "patches"), "same_as_before"));
    arena_done(&a);
}

/* ---- stage routing ---- */

extern const struct stage stage_routing;

/* Two layers; of the class token share of expert 0 as given, of the patches the opposite. */
static void put(struct stage_run *r, const char *system, const char *domain, double first, double second)
{
    AUTO(buf) struct buf b = {0};
    buf_printf(
        &b,
        "{\"rows\": [{\"system\": \"%s\", \"domain\": \"%s\"}], \"experts\": [\"0\", \"1\"], \"routing\": [",
        system, domain);
    for (int l = 0; l < 2; l++) {
        double x = l ? second : first;
        buf_printf(
            &b,
            "%s{\"layer\": %d, \"class_token\": {\"share\": [%g, %g], \"entropy\": %g, \"margin\": 0.5, "
            "\"mean_max_pi\": 0.75%s}, \"patches\": {\"share\": [%g, %g], \"entropy\": 0.25, "
            "\"margin\": 0.5, \"mean_max_pi\": 0.75%s}}",
            l ? ", " : "", l, x, 1 - x, x, l ? ", \"same_as_before\": 0.5" : "", 1 - x, x,
            l ? ", \"same_as_before\": 0.5" : "");
    }
    buf_puts(&b, "]}");
    stage_run_file(r, stage_run_input(r, "scores"), "metrics.json", buf_str(&b));
}
static void test_stage(void **state)
{
    (void)state;
    struct stage_run r;
    stage_run_begin(&r, &stage_routing);
    stage_run_set(&r, "experts", "\"pets, cars\"");
    put(&r, "moe", "pets", .75, 1);
    put(&r, "moe", "pets", .25, 1); /* another replicate: the mean is .5 */
    put(&r, "moe", "cars", .25, .5);
    stage_run_file(&r, stage_run_input(&r, "scores"), "metrics.json",
                   "{\"rows\": [{\"system\": \"dense\", \"domain\": \"pets\"}]}");
    if (!stage_run_go(&r))
        fail_msg("%s", r.err.text);
    AUTO_JSON j = stage_run_json(&r, "routing", "picture.json");
    assert_int_equal(json_array_size(json_object_get(j, "systems")), 1);
    const json_t *layers = json_object_get(json_array_get(json_object_get(j, "systems"), 0), "class_token"),
                 *first = json_array_get(layers, 0), *second = json_array_get(layers, 1);
    const json_t *pets = json_object_get(json_object_get(first, "share"), "pets");
    expect(json_real_value(json_array_get(pets, 0)), .5);
    expect(json_real_or(first, "own", -1), (.5 + .75) / 2); /* pets to expert 0, cars to expert 1 */
    expect(json_real_or(second, "own", -1), (1 + .5) / 2);
    expect(json_real_or(first, "entropy", -1), (.5 + .25) / 2);
    expect(json_real_or(second, "same_as_before", -1), .5);
    assert_null(json_object_get(first, "same_as_before"));
    AUTO(mem) char *md = stage_run_text(&r, "routing", "picture.md");
    assert_non_null(strstr(md, "### moe, class token"));
    assert_non_null(strstr(md, "\n| 0 | 0.50 0.50 | 0.25 0.75 | 0.62 |"));
    AUTO(mem) char *svg = stage_run_text(&r, "routing", "picture.svg");
    check_xml(svg);
    int cells = 0;
    for (const char *c = svg; (c = strstr(c, "fill-opacity")); c++)
        cells++;
    assert_non_null(
        strstr(svg, "fill-opacity=\"0.500\" stroke=\"#ccc\"><title>layer 0, pets to pets: 0.500"));
    assert_int_equal(cells, 2 * 2 * 2 * 2); /* layers, kinds, domains, experts */
    stage_run_end(&r);
}
static void refuse(const char *experts, const char *text, const char *want)
{
    struct stage_run r;
    stage_run_begin(&r, &stage_routing);
    stage_run_set(&r, "experts", experts);
    if (text)
        stage_run_file(&r, stage_run_input(&r, "scores"), "metrics.json", text);
    else
        put(&r, "moe", "pets", .5, .5);
    assert_false(stage_run_go(&r));
    if (!strstr(r.err.text, want))
        fail_msg("'%s' does not say '%s'", r.err.text, want);
    stage_run_end(&r);
}
static void test_refusals(void **state)
{
    (void)state;
    refuse("\"\"", "{\"rows\": []}", "none of the scores is of a mixture of experts");
    refuse("\"a, b, c\"", NULL, "'experts' names 3, the mixture 'moe' has 2");
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts), cmocka_unit_test(test_stage),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
