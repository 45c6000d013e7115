#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/cli/sweep_view.h"
#include "tests/test.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NONE NAN
static const char *const axes[] = {"lambda", "train.seed"};
static const char *const columns[] = {"score.accuracy pets"};
/* clang-format off */
static const struct sweep_trial grid[] = {
    {(const char *[]){"0.1", "1"}, (double[]){0.1, 1}, TRIAL_DONE, 70.9, -1, (double[]){1.0 / 3}},
    {(const char *[]){"0.1", "2"}, (double[]){0.1, 2}, TRIAL_DONE, 70.1, -1, (double[]){0.25}},
    {(const char *[]){"0.5", "1"}, (double[]){0.5, 1}, TRIAL_DONE, 80, -1, (double[]){NONE}},
    {(const char *[]){"0.5", "2"}, (double[]){0.5, 2}, TRIAL_DONE, 80, -1, (double[]){1e-5}},
    {(const char *[]){"2", "1"}, (double[]){2, 1}, TRIAL_DONE, 75.25, -1, (double[]){12345.678912}},
};
/* clang-format on */
static const struct sweep_view view = {.experiment = "demo",
                                       .objective = "score.accuracy",
                                       .maximise = true,
                                       .axis = axes,
                                       .n_axes = 2,
                                       .column = columns,
                                       .n_columns = 1,
                                       .trial = grid,
                                       .n = 5};

static void expect(void (*write)(const struct sweep_view *, struct buf *), const struct sweep_view *v,
                   const char *want)
{
    AUTO(buf) struct buf out = {0};
    write(v, &out);
    assert_string_equal(buf_str(&out), want);
}

static void markdown(void **state)
{
    expect(sweep_markdown, &view,
           "| rank | lambda | train.seed | score.accuracy | score.accuracy pets |\n"
           "| ---: | -----: | ---------: | -------------: | ------------------: |\n"
           "|    4 |    0.1 |          1 |           70.9 |              0.3333 |\n"
           "|    5 |    0.1 |          2 |           70.1 |                0.25 |\n"
           "|    1 |    0.5 |          1 |             80 |                     |\n"
           "|    1 |    0.5 |          2 |             80 |               1e-05 |\n"
           "|    3 |      2 |          1 |          75.25 |          12345.6789 |\n"
           "\n"
           "| lambda | score.accuracy (mean ± sd) | seeds |\n"
           "| -----: | -------------------------: | ----: |\n"
           "|    0.5 |                     80 ± 0 |     2 |\n"
           "|      2 |                      75.25 |     1 |\n"
           "|    0.1 |              70.5 ± 0.5657 |     2 |\n");
}

static void csv(void **state)
{
    expect(sweep_csv, &view,
           "rank,lambda,train.seed,score.accuracy,score.accuracy pets,state\r\n"
           "4,0.1,1,70.9,0.33333333333333331,done\r\n"
           "5,0.1,2,70.1,0.25,done\r\n"
           "1,0.5,1,80,,done\r\n"
           "1,0.5,2,80,1e-05,done\r\n"
           "3,2,1,75.25,12345.678912,done\r\n");
}

/* clang-format off */
static const struct sweep_trial halved[] = {
    {(const char *[]){"a|b, \"c\""}, (double[]){NONE}, TRIAL_PAUSED, 0.1, 0, NULL},
    {(const char *[]){"ünî<"}, (double[]){NONE}, TRIAL_DONE, 0.4, 1, NULL},
    {(const char *[]){"x\ny"}, (double[]){NONE}, TRIAL_FAILED, NONE, -1, NULL},
    {(const char *[]){"z"}, (double[]){NONE}, TRIAL_OPEN, 0.3, 1, NULL},
};
/* clang-format on */
static const struct sweep_view halving = {.experiment = "h",
                                          .objective = "loss",
                                          .axis = (const char *[]){"kind"},
                                          .n_axes = 1,
                                          .trial = halved,
                                          .n = 4,
                                          .over = "epochs",
                                          .rung_value = (double[]){1, 4},
                                          .n_rungs = 2};

/* The highest rung first, the lower loss first; texts are escaped; states show when not all are done. */
static void halving_tables(void **state)
{
    expect(sweep_markdown, &halving,
           "| rank | kind      | loss | epochs | state  |\n"
           "| ---: | --------- | ---: | -----: | ------ |\n"
           "|    3 | a\\|b, \"c\" |  0.1 |      1 | paused |\n"
           "|    2 | ünî\\<     |  0.4 |      4 | done   |\n"
           "|      | x y       |      |        | failed |\n"
           "|    1 | z         |  0.3 |      4 | open   |\n");
    expect(sweep_csv, &halving,
           "rank,kind,loss,epochs,state\r\n"
           "3,\"a|b, \"\"c\"\"\",0.1,1,paused\r\n"
           "2,ünî<,0.4,4,done\r\n"
           ",\"x\ny\",,,failed\r\n"
           "1,z,0.3,4,open\r\n");
}

static void expect_json(const struct sweep_view *v, const char *want)
{
    AUTO_JSON j = sweep_json(v);
    AUTO_JSON expected = json_parse(want, strlen(want), "want", NULL);
    assert_non_null(expected);
    AUTO(mem) char *got = json_text(j, false);
    AUTO(mem) char *text = json_text(expected, false);
    assert_string_equal(got, text);
}

static void json(void **state)
{
    expect_json(&halving, "{\"experiment\":\"h\",\"objective\":\"loss\",\"goal\":\"min\",\"axes\":[\"kind\"],"
                          "\"over\":\"epochs\",\"rungs\":[1.0,4.0],\"best\":3,\"points\":["
                          "{\"values\":{\"kind\":\"a|b, \\\"c\\\"\"},\"state\":\"paused\",\"objective\":0.1,"
                          "\"rank\":3,\"rung\":0,\"metrics\":{}},"
                          "{\"values\":{\"kind\":\"ünî<\"},\"state\":\"done\",\"objective\":0.4,\"rank\":2,"
                          "\"rung\":1,\"metrics\":{}},"
                          "{\"values\":{\"kind\":\"x\\ny\"},\"state\":\"failed\",\"objective\":null,"
                          "\"rank\":null,\"rung\":null,\"metrics\":{}},"
                          "{\"values\":{\"kind\":\"z\"},\"state\":\"open\",\"objective\":0.3,\"rank\":1,"
                          "\"rung\":1,\"metrics\":{}}]}");
    struct sweep_view one = view;
    one.trial += 2;
    one.n = 1;
    one.objective = NULL;
    struct sweep_trial open = grid[2];
    open.objective = NONE;
    one.trial = &open;
    expect_json(&one, "{\"experiment\":\"demo\",\"objective\":null,\"goal\":null,\"best\":null,"
                      "\"axes\":[\"lambda\",\"train.seed\"],\"points\":[{\"values\":{\"lambda\":0.5,"
                      "\"train.seed\":1},\"state\":\"done\",\"objective\":null,\"rank\":null,"
                      "\"metrics\":{\"score.accuracy pets\":null}}]}");
}

/* No objective: neither its column nor ranks. No points: the heads alone. */
static void little(void **state)
{
    struct sweep_view v = {.experiment = "e", .axis = axes, .n_axes = 2, .trial = grid, .n = 1};
    expect(sweep_markdown, &v,
           "| lambda | train.seed |\n"
           "| -----: | ---------: |\n"
           "|    0.1 |          1 |\n");
    v.n = 0;
    expect(sweep_csv, &v, "lambda,train.seed,state\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(markdown), cmocka_unit_test(csv),
                                       cmocka_unit_test(halving_tables), cmocka_unit_test(json),
                                       cmocka_unit_test(little)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
