/* Routing statistics against numbers worked out by hand: two layers, two images of three tokens, two experts.
 */
#include "base/json.h"
#include "stages/job/routing.h"
#include <math.h>

#include "tests/test.h"

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
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
