/* Stage compare: counts of pairs and patterns, and what it refuses; then a table of them. */
#include "base/cleanup.h"
#include "stages/stage.h"
#include <math.h>

#include "tests/test.h"
#include "tests/unit/stage_run.h"

extern const struct stage stage_compare, stage_table;

/* Predictions of samples "0", "1", ... of class a; `right` has a digit a sample. */
static const char *predictions(struct stage_run *r, const char *system, const char *replicate,
                               const char *right)
{
    const char *dir = stage_run_input(r, "predictions");
    AUTO(buf) struct buf b = {0};
    for (int i = 0; right[i]; i++)
        buf_printf(&b, "{\"id\": \"%d\", \"label\": \"a\", \"predicted\": \"%s\"}\n", i,
                   right[i] == '1' ? "a" : "b");
    stage_run_file(r, dir, "predictions.jsonl", buf_str(&b));
    stage_run_file(
        r, dir, "predictions.json",
        arena_printf(&r->arena,
                     "{\"system\": \"%s\", \"domain\": \"pets\", \"replicate\": \"%s\", \"n\": %d}", system,
                     replicate, (int)strlen(right)));
    return dir;
}
static void begin(struct stage_run *r)
{
    stage_run_begin(r, &stage_compare);
    stage_run_set(r, "against", "\"ref\"");
}
static void go(struct stage_run *r)
{
    if (!stage_run_go(r))
        fail_msg("%s", r->err.text);
}
static const json_t *row(const json_t *counts, size_t i, const char *system, const char *replicate)
{
    const json_t *o = json_array_get(json_object_get(counts, "rows"), i);
    assert_string_equal(json_string_or(o, "system", ""), system);
    assert_string_equal(json_string_or(o, "replicate", ""), replicate);
    assert_string_equal(json_string_or(o, "metric", ""), "difference");
    assert_string_equal(json_string_or(o, "against", ""), "ref");
    return o;
}
static void expect_counts(const json_t *o, int n11, int n10, int n01, int n00)
{
    assert_int_equal(json_int_or(o, "n11", -1), n11);
    assert_int_equal(json_int_or(o, "n10", -1), n10);
    assert_int_equal(json_int_or(o, "n01", -1), n01);
    assert_int_equal(json_int_or(o, "n00", -1), n00);
    assert_true(json_real_or(o, "value", 9) == (double)(n10 - n01) / (n11 + n10 + n01 + n00));
}
static void expect_pattern(const json_t *counts, size_t i, const char *system, const char *want)
{
    const json_t *o = json_array_get(json_object_get(counts, "pairs"), i);
    assert_string_equal(json_string_or(o, "system", ""), system);
    AUTO(mem) char *got = json_dumps(json_object_get(o, "patterns"), JSON_SORT_KEYS | JSON_COMPACT);
    assert_string_equal(got, want);
}
static void test_counts(void **state)
{
    (void)state;
    struct stage_run r;
    begin(&r);
    predictions(&r, "zero", "", "10000");
    predictions(&r, "moe", "0", "11100");
    predictions(&r, "moe", "1", "11010");
    predictions(&r, "ref", "0", "10110");
    predictions(&r, "ref", "1", "10010");
    go(&r);
    AUTO_JSON c = stage_run_json(&r, "counts", "metrics.json");
    assert_int_equal(json_array_size(json_object_get(c, "rows")), 4);
    expect_counts(row(c, 0, "zero", "0"), 1, 0, 2, 2);
    expect_counts(row(c, 1, "zero", "1"), 1, 0, 1, 3);
    expect_counts(row(c, 2, "moe", "0"), 2, 1, 1, 1);
    expect_counts(row(c, 3, "moe", "1"), 2, 1, 0, 2);
    expect_pattern(c, 0, "zero", "{\"0 00\":2,\"0 10\":1,\"0 11\":1,\"1 11\":1}");
    expect_pattern(c, 1, "moe", "{\"00 00\":1,\"01 11\":1,\"10 10\":1,\"11 00\":1,\"11 11\":1}");
    expect_pattern(c, 2, "ref", "{\"00\":2,\"10\":1,\"11\":2}");
    AUTO(mem) char *text = stage_run_text(&r, "counts", "metrics.json");
    assert_null(strstr(text, "\"id\"")); /* counts, no samples */
    stage_run_end(&r);
}

static void refuse(struct stage_run *r, const char *want)
{
    assert_false(stage_run_go(r));
    if (!strstr(r->err.text, want))
        fail_msg("'%s' does not say '%s'", r->err.text, want);
    stage_run_end(r);
}
static void test_refusals(void **state)
{
    (void)state;
    struct stage_run r;
    begin(&r);
    predictions(&r, "moe", "", "11");
    refuse(&r, "'ref', which 'against' names");
    begin(&r);
    predictions(&r, "ref", "", "11");
    predictions(&r, "moe", "", "110");
    refuse(&r, "predictions[1]: 3 samples of 'pets', the first predictions are of 2 of 'pets'");
    begin(&r);
    predictions(&r, "ref", "", "11");
    predictions(&r, "ref", "", "11");
    refuse(&r, "predictions[0] and [1] are both of system 'ref', replicate ''");
    begin(&r);
    predictions(&r, "ref", "", "11");
    stage_run_file(&r, predictions(&r, "moe", "", "11"), "predictions.jsonl",
                   "{\"id\": \"0\", \"label\": \"a\", \"predicted\": \"a\"}\n"
                   "{\"id\": \"2\", \"label\": \"a\", \"predicted\": \"a\"}\n");
    refuse(&r, "predictions[1]: line 2: sample '2' of class 'a' stands where");
    begin(&r);
    stage_run_file(&r, predictions(&r, "ref", "", "11"), "predictions.jsonl",
                   "{\"id\": \"0\", \"label\": \"a\", \"predicted\": \"a\"}\n");
    refuse(&r, "1 lines, but 'n' is 2");
}

/* ---- a table of them ---- */

static void score(struct stage_run *r, const char *system, const char *replicate, double value)
{
    stage_run_file(r, stage_run_input(r, "scores"), "metrics.json",
                   arena_printf(&r->arena,
                                "{\"rows\": [{\"system\": \"%s\", \"domain\": \"pets\", \"metric\": "
                                "\"accuracy\", \"value\": %.17g, \"n\": 200, \"replicate\": \"%s\"}]}",
                                system, value, replicate));
}
static const json_t *cell(const json_t *table, const char *system)
{
    size_t at;
    json_t *o;
    json_array_foreach(json_object_get(table, "rows"), at, o)
    {
        if (!strcmp(json_string_or(o, "system", ""), system))
            return o;
    }
    fail_msg("no row of %s", system);
    return NULL;
}
static double bound(const json_t *o, const char *member, size_t i)
{
    const json_t *x = json_array_get(json_object_get(o, member), i);
    assert_true(json_is_real(x));
    return json_real_value(x);
}
/* near differs from ref in 4 of 200 samples, all for the better; same is right as often but on other samples;
 * far is worse. The paired interval of near is far narrower than that of two independent accuracies. */
static void test_table(void **state)
{
    (void)state;
    struct stage_run r, t[2];
    char near[201] = "", same[201] = "", far[201] = "", ref[201] = "";
    for (int i = 0; i < 200; i++) {
        ref[i] = (char)('0' + (i < 100));
        near[i] = (char)('0' + (i < 104));
        same[i] = (char)('0' + (i >= 40 && i < 140));
        far[i] = (char)('0' + (i >= 180));
    }
    begin(&r);
    predictions(&r, "ref", "", ref);
    predictions(&r, "near", "", near);
    predictions(&r, "same", "", same);
    predictions(&r, "far", "", far);
    go(&r);
    for (int k = 0; k < 2; k++) {
        stage_run_begin(&t[k], &stage_table);
        t[k].ctx.threads = k + 1;
        stage_run_set(&t[k], "against", "\"ref\"");
        score(&t[k], "ref", "", .5);
        score(&t[k], "near", "", .52);
        score(&t[k], "same", "", .5);
        score(&t[k], "far", "", .1);
        stage_run_connect(&t[k], "scores", r.outputs[0]);
        go(&t[k]);
    }
    AUTO_JSON a = stage_run_json(&t[0], "table", "table.json");
    AUTO_JSON b = stage_run_json(&t[1], "table", "table.json");
    assert_true(json_equal(a, b));
    assert_null(json_object_get(cell(a, "ref"), "difference"));
    double sd = sqrt(.5 * .5 / 200); /* of one accuracy */
    assert_true(fabs(bound(cell(a, "ref"), "interval", 0) - (.5 - 1.96 * sd)) < .011);
    assert_true(fabs(bound(cell(a, "ref"), "interval", 1) - (.5 + 1.96 * sd)) < .011);
    assert_true(fabs(json_real_or(cell(a, "near"), "difference", 0) - .02) < 1e-12);
    assert_true(bound(cell(a, "near"), "difference_interval", 0) >= 0);
    assert_true(bound(cell(a, "near"), "difference_interval", 1) < .05);
    assert_true(json_is_true(json_object_get(cell(a, "same"), "tie")));
    double width = sqrt(80. / 200 / 200); /* of the difference of same */
    assert_true(fabs(bound(cell(a, "same"), "difference_interval", 1) - 1.96 * width) < .015);
    assert_true(json_is_false(json_object_get(cell(a, "far"), "tie")));
    AUTO(mem) char *md = stage_run_text(&t[0], "table", "table.md");
    assert_non_null(strstr(md, "Minus ref, with intervals of 95 %"));
    assert_non_null(strstr(md, "] tie |"));
    for (int k = 0; k < 2; k++)
        stage_run_end(&t[k]);
    stage_run_end(&r);
}
/* Equal differences of three seeds that vary much: the samples alone would call it sure, the seeds do not. */
static void test_seeds(void **state)
{
    (void)state;
    struct stage_run r, t;
    char right[3][201] = {"", "", ""}, ref[201] = "";
    for (int i = 0; i < 200; i++) {
        ref[i] = (char)('0' + (i < 100));
        right[0][i] = (char)('0' + (i < 150));
        right[1][i] = (char)('0' + (i < 100));
        right[2][i] = (char)('0' + (i < 80));
    }
    begin(&r);
    stage_run_begin(&t, &stage_table);
    stage_run_set(&t, "against", "\"ref\"");
    for (int k = 0; k < 3; k++) {
        const char *seed = arena_printf(&r.arena, "%d", k);
        predictions(&r, "moe", seed, right[k]);
        predictions(&r, "ref", seed, ref);
        score(&t, "moe", seed, k == 0 ? .75 : k == 1 ? .5 : .4);
        score(&t, "ref", seed, .5);
    }
    go(&r);
    stage_run_connect(&t, "scores", r.outputs[0]);
    go(&t);
    AUTO_JSON a = stage_run_json(&t, "table", "table.json");
    assert_true(fabs(json_real_or(cell(a, "moe"), "difference", 0) - .05) < 1e-12);
    assert_true(json_is_true(json_object_get(cell(a, "moe"), "tie")));
    assert_true(bound(cell(a, "moe"), "difference_interval", 1) > .15); /* seed 0 twice: .25 */
    stage_run_end(&t);
    stage_run_end(&r);
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts), cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_table), cmocka_unit_test(test_seeds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
