/* Options: every way to write one, and every way to get it wrong. */
#include "engine/cli/cmd.h"
#include "tests/test.h"
#include <string.h>

static int nothing(const struct cmd_args *a)
{
    return 0;
}

static const struct opt opts[] = {
    {"keep-going", 'k', OPT_FLAG, NULL, "flag"}, {"verbose", 'v', OPT_FLAG, NULL, "flag"},
    {"cores", 'j', OPT_INT, "N", "number"},      {"store", 0, OPT_STRING, "DIR", "text"},
    {"set", 's', OPT_LIST, "X", "list"},         {0}};
static const struct cmd cmd = {
    .name = "go", .usage = "FILE...", .doc = "", .args_min = 1, .args_max = 2, .opts = opts, .run = nothing};

#define PARSE(a, err, ...)                                                                                   \
    opt_parse(&cmd, sizeof((char *[]){__VA_ARGS__}) / sizeof(char *), (char *[]){__VA_ARGS__}, a, err)

static void written(void **state)
{
    struct cmd_args a;
    struct error err;
    assert_true(PARSE(&a, &err, "x", "--keep-going", "--cores", "4", "--store=d=e", "--set", "p=1", "-sq=2",
                      "--", "-y"));
    assert_int_equal(a.n, 2);
    assert_string_equal(a.arg[0], "x");
    assert_string_equal(a.arg[1], "-y");
    assert_true(cmd_opt(&a, "keep-going")->set && !cmd_opt(&a, "verbose")->set);
    assert_int_equal(cmd_opt(&a, "cores")->number, 4);
    assert_string_equal(cmd_opt(&a, "store")->string, "d=e");
    assert_int_equal(cmd_opt(&a, "set")->n, 2);
    assert_string_equal(cmd_opt(&a, "set")->list[0], "p=1");
    assert_string_equal(cmd_opt(&a, "set")->list[1], "q=2");
    assert_false(cmd_opt(&a, "no such option")->set);
    opt_done(&a);
    assert_true(PARSE(&a, &err, "-kvj8", "-", "--store", "--set"));
    assert_true(cmd_opt(&a, "keep-going")->set && cmd_opt(&a, "verbose")->set);
    assert_int_equal(cmd_opt(&a, "cores")->number, 8);
    assert_string_equal(a.arg[0], "-");
    assert_string_equal(cmd_opt(&a, "store")->string, "--set");
    opt_done(&a);
}

static void fails(int argc, char **argv, const char *want)
{
    struct cmd_args a;
    struct error err = {0};
    assert_false(opt_parse(&cmd, argc, argv, &a, &err));
    if (!strstr(err.text, want))
        fail_msg("wanted '%s', got '%s'", want, err.text);
    assert_int_equal(err.code, ERROR_INPUT);
    opt_done(&a);
}
#define FAILS(want, ...)                                                                                     \
    fails(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *), (char *[]){__VA_ARGS__}, want)

static void refused(void **state)
{
    fails(0, NULL, "something is missing: weft go FILE...");
    FAILS("'z' is too much", "x", "y", "z");
    FAILS("no option '--keep-goin'; did you mean '--keep-going'?", "x", "--keep-goin");
    FAILS("no option '--zzzzzzzz'", "x", "--zzzzzzzz");
    FAILS("no option '-kz'", "x", "-kz");
    FAILS("'--cores' needs a value: --cores N", "x", "--cores");
    FAILS("'--cores' takes an integer, not '4x'", "x", "--cores=4x");
    FAILS("'--cores' takes an integer, not ''", "x", "--cores=");
    FAILS("'--cores' takes an integer", "x", "-j", "99999999999999999999");
    FAILS("'--verbose' takes no value", "x", "--verbose=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(written), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
