/* Stage table: order, averages, replicates, gaps, bad scores. */
#include "stages/stage.h"
#include <math.h>

#include "tests/test.h"
#include "tests/unit/stage_run.h"

extern const struct stage stage_table;

static void put(struct stage_run *r, const char *system, const char *domain, const char *replicate,
                double value, int n)
{
    const char *text = arena_printf(
        &r->arena,
        "{\"rows\": [{\"system\": \"%s\", \"domain\": \"%s\", \"metric\": \"accuracy\", "
        "\"value\": %.17g, \"n\": %d, \"replicate\": \"%s\"},"
        "{\"system\": \"%s\", \"domain\": \"%s\", \"metric\": \"other\", \"value\": 9, \"n\": 1}]}",
        system, domain, value, n, replicate, system, domain);
    stage_run_file(r, stage_run_input(r, "scores"), "metrics.json", text);
}
static void expect_text(struct stage_run *r, const char *want)
{
    if (!stage_run_go(r))
        fail_msg("%s", r->err.text);
    char *got = stage_run_text(r, "table", "table.md");
    assert_non_null(got);
    assert_string_equal(got, want);
    free(got);
}
static const json_t *find(const json_t *table, const char *system, const char *domain)
{
    size_t at;
    json_t *row;
    json_array_foreach(json_object_get(table, "rows"), at, row)
    {
        if (!strcmp(json_string_or(row, "system", ""), system) &&
            !strcmp(json_string_or(row, "domain", ""), domain))
            return row;
    }
    fail_msg("no row %s, %s", system, domain);
    return NULL;
}
static void test_plain(void **state)
{
    (void)state;
    struct stage_run r;
    stage_run_begin(&r, &stage_table);
    put(&r, "zero-shot", "pets", "", 0.5, 10);
    put(&r, "zero-shot", "cars", "", 0.25, 20);
    put(&r, "a|b", "pets", "", 1, 10);
    expect_text(&r, "| system | pets | cars | Average |\n|---|---:|---:|---:|\n"
                    "| zero-shot | 50.00 | 25.00 | 37.50 |\n| a\\|b | 100.00 | – | – |\n");
    AUTO_JSON t = stage_run_json(&r, "table", "table.json");
    assert_int_equal(json_array_size(json_object_get(t, "rows")), 4);
    const json_t *row = find(t, "zero-shot", "Average");
    assert_true(json_real_or(row, "value", 0) == 0.375 && json_int_or(row, "n", 0) == 30);
    assert_string_equal(json_string_or(row, "metric", ""), "accuracy");
    assert_null(json_object_get(row, "sd"));
    stage_run_end(&r);
}
/* Two runs: pets .5 .7, cars .2 .6; averages .35 and .65, whose deviation is not that of the cells. */
static void test_replicates(void **state)
{
    (void)state;
    struct stage_run r;
    stage_run_begin(&r, &stage_table);
    stage_run_set(&r, "title", "\"Scores\"");
    stage_run_set(&r, "decimals", "1");
    put(&r, "m", "pets", "0", 0.5, 10);
    put(&r, "m", "pets", "1", 0.7, 10);
    put(&r, "m", "cars", "0", 0.2, 20);
    put(&r, "m", "cars", "1", 0.6, 20);
    expect_text(&r, "## Scores\n\n| system | pets | cars | Average |\n|---|---:|---:|---:|\n"
                    "| m | 60.0 ± 14.1 (2) | 40.0 ± 28.3 (2) | 50.0 ± 21.2 (2) |\n");
    AUTO_JSON t = stage_run_json(&r, "table", "table.json");
    const json_t *row = find(t, "m", "Average");
    assert_true(fabs(json_real_or(row, "value", 0) - 0.5) < 1e-12);
    assert_true(fabs(json_real_or(row, "sd", 0) - 0.3 / sqrt(2)) < 1e-12);
    assert_true(json_int_or(row, "runs", 0) == 2 && json_int_or(row, "n", 0) == 30);
    stage_run_end(&r);
}
static void fails(const char *text, const char *metric, const char *want)
{
    struct stage_run r;
    stage_run_begin(&r, &stage_table);
    if (metric)
        stage_run_set(&r, "metric", metric);
    stage_run_file(&r, stage_run_input(&r, "scores"), "metrics.json", text);
    assert_false(stage_run_go(&r));
    if (!strstr(r.err.text, want))
        fail_msg("'%s' does not say '%s'", r.err.text, want);
    stage_run_end(&r);
}
static void test_errors(void **state)
{
    (void)state;
    const char *good = "{\"rows\": [{\"system\": \"s\", \"domain\": \"d\", \"metric\": \"accuracy\", "
                       "\"value\": 1, \"n\": 1}]}";
    fails(good, "\"speed\"", "'speed'");
    fails("{\"rows\": []}", NULL, "'accuracy'");
    fails("{}", NULL, "'rows' must be an array");
    fails("{\"rows\": [{\"system\": \"s\", \"domain\": \"d\", \"metric\": \"accuracy\", \"value\": \"high\", "
          "\"n\": 1}]}",
          NULL, "value");
    fails("{", NULL, "not valid JSON");
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain), cmocka_unit_test(test_replicates),
                                       cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
