/* Stage table: order, averages, replicates, gaps, bad scores. */
#include "base/cleanup.h"
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
/* Chosen rows and columns with labels of their own, as the paper's ablations have them. */
static void test_layout(void **state)
{
    (void)state;
    struct stage_run r;
    stage_run_begin(&r, &stage_table);
    stage_run_set(&r, "title", "\"50 % & more\"");
    stage_run_set(&r, "rows", "\"all=Unrestricted|, off=ViT|\u2717, on=ViT|\u2713\"");
    stage_run_set(&r, "columns", "\"pets=Pets, cars\"");
    stage_run_set(&r, "head", "\"|Context\"");
    stage_run_set(&r, "apart", "\"all\"");
    stage_run_set(&r, "draws", "0");
    put(&r, "on", "cars", "", .5, 10);
    put(&r, "on", "pets", "", .25, 20);
    put(&r, "on", "birds", "", 0, 20);
    put(&r, "off", "pets", "", .5, 20);
    put(&r, "off", "cars", "", .2, 10);
    put(&r, "all", "pets", "", .9, 20);
    put(&r, "other", "pets", "", .95, 20);
    expect_text(&r, "## 50 % & more\n\n|  | Context | Pets | cars | Average |\n|---|---|---:|---:|---:|\n"
                    "| Unrestricted |  | 90.00 | – | – |\n| ViT | ✗ | 50.00 | 20.00 | 35.00 |\n"
                    "| ViT | ✓ | 25.00 | 50.00 | 37.50 |\n");
    AUTO(mem) char *tex = stage_run_text(&r, "table", "table.tex");
    assert_string_equal(tex,
                        "% \\usepackage{booktabs,amssymb}\n\\begin{table}\n\\centering\n"
                        "\\caption{50 \\% \\& more}\n\\begin{tabular}{llccc}\n\\toprule\n"
                        " & Context & Pets & cars & Average \\\\\n\\midrule\n"
                        "Unrestricted &  & 90.00 & -- & -- \\\\\n\\midrule\n"
                        "ViT & $\\times$ & \\textbf{50.00} & \\underline{20.00} & \\underline{35.00} \\\\\n"
                        " & \\checkmark & \\underline{25.00} & \\textbf{50.00} & \\textbf{37.50} \\\\\n"
                        "\\bottomrule\n\\end{tabular}\n\\end{table}\n");
    AUTO(mem) char *csv = stage_run_text(&r, "table", "table.csv");
    assert_string_equal(csv, ",Context,Pets,cars,Average\nUnrestricted,,90.00,,\nViT,✗,50.00,20.00,35.00\n"
                             "ViT,✓,25.00,50.00,37.50\n");
    AUTO_JSON t = stage_run_json(&r, "table", "table.json");
    const json_t *labels = json_object_get(find(t, "on", "cars"), "labels");
    assert_string_equal(json_string_value(json_array_get(labels, 1)), "✓");
    stage_run_end(&r);
}
/* The average alone, under another name; a csv with what else is known. */
static void test_average(void **state)
{
    (void)state;
    struct stage_run r;
    stage_run_begin(&r, &stage_table);
    stage_run_set(&r, "only_average", "true");
    stage_run_set(&r, "average", "\"ViT-B/32\"");
    stage_run_set(&r, "cells", "\"interval\"");
    put(&r, "a,b", "pets", "0", 1, 10);
    put(&r, "a,b", "pets", "1", 1, 10);
    put(&r, "a,b", "cars", "0", 0, 20);
    put(&r, "a,b", "cars", "1", 0, 20);
    expect_text(&r, "| system | ViT-B/32 |\n|---|---:|\n| a,b | 50.00 [50.00, 50.00] |\n");
    AUTO(mem) char *csv = stage_run_text(&r, "table", "table.csv");
    assert_string_equal(csv, "system,ViT-B/32,ViT-B/32 sd,ViT-B/32 low,ViT-B/32 high\n"
                             "\"a,b\",50.00,0.00,50.00,50.00\n");
    stage_run_end(&r);
}
/* Counts alone give the interval of a binomial share; replicates widen it. A row's does not depend on which
 * others the table has. */
static void test_interval(void **state)
{
    (void)state;
    struct stage_run r, other;
    stage_run_begin(&r, &stage_table);
    stage_run_begin(&other, &stage_table);
    put(&r, "one", "pets", "", .5, 400);
    put(&r, "two", "pets", "0", .4, 400);
    put(&r, "two", "pets", "1", .6, 400);
    put(&other, "two", "pets", "0", .4, 400);
    put(&other, "two", "pets", "1", .6, 400);
    assert_true(stage_run_go(&r) && stage_run_go(&other));
    AUTO_JSON t = stage_run_json(&r, "table", "table.json");
    AUTO_JSON u = stage_run_json(&other, "table", "table.json");
    const json_t *one = json_object_get(find(t, "one", "pets"), "interval"),
                 *two = json_object_get(find(t, "two", "pets"), "interval");
    double low = json_real_value(json_array_get(one, 0)), high = json_real_value(json_array_get(one, 1));
    assert_true(fabs(low - (.5 - 1.96 * .025)) < .006 && fabs(high - (.5 + 1.96 * .025)) < .006);
    assert_true(json_real_value(json_array_get(two, 0)) < .4 && json_real_value(json_array_get(two, 1)) > .6);
    assert_true(json_equal(two, json_object_get(find(u, "two", "pets"), "interval")));
    stage_run_end(&r);
    stage_run_end(&other);
}
static void fails_with(const char *param, const char *value, const char *want)
{
    struct stage_run r;
    stage_run_begin(&r, &stage_table);
    stage_run_set(&r, param, value);
    put(&r, "HarmoMoE", "pets", "", .5, 10);
    assert_false(stage_run_go(&r));
    if (!strstr(r.err.text, want))
        fail_msg("'%s' does not say '%s'", r.err.text, want);
    stage_run_end(&r);
}
static void test_names(void **state)
{
    (void)state;
    fails_with("rows", "\"HarmoMoe=x\"", "'HarmoMoe' in 'rows' is in no score; did you mean 'HarmoMoE'?");
    fails_with("columns", "\"pet\"", "'pet' in 'columns' is in no score; did you mean 'pets'?");
    fails_with("against", "\"zero\"", "'zero' in 'against' is in no score");
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain),    cmocka_unit_test(test_replicates),
                                       cmocka_unit_test(test_layout),   cmocka_unit_test(test_average),
                                       cmocka_unit_test(test_interval), cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
