/* Options: every way to write one, and every way to get it wrong. */
#include "engine/cli/cmd.h"
#include "tests/test.h"
#include <string.h>

static int nothing(const struct cmd_args *a)
{
    return 0;
}

static const struct opt opts[] = {{"keep-going", 'k', OPT_FLAG, NULL, "flag"},
                                  {"verbose", 'v', OPT_FLAG, NULL, "flag"},
                                  {"cores", 'j', OPT_INT, "N", "number"},
                                  {"store", 0, OPT_STRING, "DIR", "text"},
                                  {"set", 's', OPT_LIST, "X", "list"},
                                  {"when", 'w', OPT_STRING, "now|later", "choice"},
                                  {0}};
static const struct cmd cmd = {
    .name = "go",
    .doc = "",
    .args = (const struct arg[]){{.name = "FILE"}, {.name = "OTHER", .optional = true}, {0}},
    .opts = opts,
    .run = nothing};

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

/* A beginning will do where it is one option's only; a whole name is never ambiguous; everybody's options. */
static void shortened(void **state)
{
    struct cmd_args a;
    struct error err;
    assert_true(PARSE(&a, &err, "x", "--keep", "--cor=4", "--verb", "--when=later", "--colo", "never"));
    assert_true(cmd_opt(&a, "keep-going")->set && cmd_opt(&a, "verbose")->set);
    assert_string_equal(cmd_opt(&a, "when")->string, "later");
    assert_string_equal(cmd_opt(&a, "color")->string, "never");
    assert_false(cmd_opt(&a, "help")->set);
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
    fails(0, NULL, "something is missing: weft go FILE [OTHER] [options]");
    FAILS("'z' is too much", "x", "y", "z");
    FAILS("no option '--keep-goign'; did you mean '--keep-going'?", "x", "--keep-goign");
    FAILS("option '--s' may mean any of --store, --set", "x", "--s");
    FAILS("option '--when' is one of now|later, not 'no'", "x", "--when", "no");
    FAILS("option '--when' is one of now|later, not ''", "x", "--when=");
    FAILS("option '--color' is one of auto|always|never, not 'red'", "x", "--color", "red");
    FAILS("no option '--zzzzzzzz'", "x", "--zzzzzzzz");
    FAILS("no option '-kz'", "x", "-kz");
    FAILS("'--cores' needs a value: --cores N", "x", "--cores");
    FAILS("'--cores' takes an integer, not '4x'", "x", "--cores=4x");
    FAILS("'--cores' takes an integer, not ''", "x", "--cores=");
    FAILS("'--cores' takes an integer", "x", "-j", "99999999999999999999");
    FAILS("'--verbose' takes no value", "x", "--verbose=1");
}

/* Rows of arguments say how many there must be, and what the usage is. */
static void counted(void **state)
{
    static const struct arg optional[] = {{.name = "EXPERIMENT", .optional = true}, {.name = "TASK"}, {0}},
                            many[] = {{.name = "RUN1", .many = true}, {0}}, nobody[] = {{0}};
    static const struct cmd why = {.name = "why", .args = optional, .opts = opts},
                            show = {.name = "show", .args = many}, none = {.name = "none", .args = nobody};
    static const struct {
        const struct cmd *cmd;
        int n;
        const char *want;
    } cases[] = {{&why, 0, "something is missing: weft why [EXPERIMENT] TASK [options]"},
                 {&why, 1, NULL},
                 {&why, 2, NULL},
                 {&why, 3, "'c' is too much: weft why [EXPERIMENT] TASK [options]"},
                 {&show, 0, "something is missing: weft show RUN1..."},
                 {&show, 3, NULL},
                 {&none, 0, NULL},
                 {&none, 1, "'a' is too much: weft none"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cmd_args a;
        struct error err = {0};
        bool ok = opt_parse(cases[i].cmd, cases[i].n, (char *[]){"a", "b", "c"}, &a, &err);
        assert_int_equal(ok, !cases[i].want);
        if (cases[i].want)
            assert_string_equal(err.text, cases[i].want);
        opt_done(&a);
    }
}

static void leading(void **state)
{
    struct cmd_args a;
    struct error err = {0};
    int n;
    assert_true(opt_parse_global(4, (char *[]){"--color", "never", "run", "--help"}, &a, &n, &err));
    assert_int_equal(n, 2);
    assert_true(cmd_opt(&a, "color")->set && !cmd_opt(&a, "help")->set);
    opt_done(&a);
    assert_false(opt_parse_global(1, (char *[]){"--json"}, &a, &n, &err));
    assert_string_equal(err.text, "weft has no option '--json'");
    opt_done(&a);
}

static void kinds(void **state)
{
    assert_int_equal(arg_kind_of("RUN"), ARG_RUN);
    assert_int_equal(arg_kind_of("RUN2"), ARG_RUN);
    assert_int_equal(arg_kind_of("RUNS"), ARG_TEXT);
    assert_int_equal(arg_kind_of("TASK[.OUTPUT]"), ARG_OUTPUT);
    assert_int_equal(arg_kind_of("TASK"), ARG_TASK);
    assert_int_equal(arg_kind_of("a|b"), ARG_CHOICE);
    assert_int_equal(arg_kind_of(NULL), ARG_TEXT);
}

/* Every command says all that help, manual page and completion want to know. */
static void rows(void **state)
{
    for (const struct cmd *const *p = cmd_table; *p; p++) {
        const struct cmd *c = *p;
        if (c->hidden)
            continue;
        if (!c->args || !c->group || !c->details || !c->examples)
            fail_msg("weft %s lacks args, group, details or examples", c->name);
        for (const struct example *e = c->examples; e->line; e++)
            if (strncmp(e->line, "weft ", 5) != 0 || !e->doc)
                fail_msg("weft %s: example '%s' is no command with its meaning", c->name, e->line);
        for (const struct opt *o = c->opts; o && o->name; o++)
            if ((o->type == OPT_FLAG) != !o->arg)
                fail_msg("weft %s: --%s needs a word for its value, unless it is a flag", c->name, o->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(written), cmocka_unit_test(shortened),
                                       cmocka_unit_test(counted), cmocka_unit_test(leading),
                                       cmocka_unit_test(kinds),   cmocka_unit_test(rows),
                                       cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
