/* Scalars that are not what they look like: what is refused, with which hint, and what is kept to the last
 * digit. */
#include "tests/unit/spec_folder.h"

static struct spec *read_with(const char *name, const char *value, const char *want)
{
    AUTO(buf) struct buf text = {0};
    buf_printf(&text,
               "experiment: e\nvars: {n: 5, half: 0.5, quoted: '7', long: 1234567890123456789, under: 1_0}\n"
               "stages:\n  a:\n    uses: source\n    with:\n      %s: %s\n",
               name, value);
    folder_write("main.yaml", buf_str(&text));
    return folder_read(&(struct spec_options){.n_set = 0}, want);
}

#define BOOLEAN " (YAML 1.2 has true and false alone: write "
#define SIZE    "an integer between 1 and 100, not "
#define RATE    "a number between 0 and 1, not "

static void hints(void **state)
{
    static const struct {
        const char *name, *value, *want;
    } row[] = {
        {"flag", "yes", "true or false, not \"yes\"" BOOLEAN "true)"},
        {"flag", "Off", "true or false, not \"Off\"" BOOLEAN "false)"},
        {"flag", "n", "true or false, not \"n\"" BOOLEAN "false)"},
        {"flag", "TRUE", "true or false, not \"TRUE\"" BOOLEAN "true)"},
        {"flag", "1", "true or false, not 1" BOOLEAN "true)"},
        {"flag", "'true'", "true or false, not \"true\" (in quotes it is text: write true)"},
        {"flag", "maybe", "true or false, not \"maybe\""},
        {"flag", "", "true or false, not null (leave it out to have its default)"},
        {"size", "1_0", SIZE "\"1_0\" (write 10)"},
        {"size", "0777", SIZE "\"0777\" (YAML 1.1 took this for octal: write 511, or 777)"},
        {"size", "0o17", SIZE "\"0o17\" (numbers are decimal: write 15)"},
        {"size", "0x1F", SIZE "\"0x1F\" (numbers are decimal: write 31)"},
        {"size", "0b11", SIZE "\"0b11\" (numbers are decimal: write 3)"},
        {"size", "089", SIZE "\"089\""},
        {"size", "1e2", SIZE "100.0 (write 100)"},
        {"size", "5.", SIZE "5.0 (write 5)"},
        {"size", "1.5", SIZE "1.5"},
        {"size", "1:30", SIZE "\"1:30\" (YAML 1.1 took this for base 60: write 90, or a time in seconds)"},
        {"size", "1,000", SIZE "\"1,000\" (write 1000)"},
        {"size", "1,5", SIZE "\"1,5\""},
        {"size", "'5'", SIZE "\"5\" (in quotes it is text: write 5)"},
        {"size", "${quoted}", SIZE "\"7\" (in quotes it is text: write 7)"},
        {"size", "${under}", SIZE "\"1_0\" (write 10)"},
        {"size", "'1${n}'",
         SIZE "\"15\" (what is put together in quotes is text: put the whole number into one variable)"},
        {"size", "200", SIZE "200"},
        {"size", ".inf", SIZE "\".inf\" (it has to be finite)"},
        {"size", "many", SIZE "\"many\""},
        {"size", "~", SIZE "null (leave it out to have its default)"},
        {"size", "[5]", SIZE "[5]"},
        {"rate", "NaN", RATE "\"NaN\" (it has to be finite)"},
        {"rate", "-.INF", RATE "\"-.INF\" (it has to be finite)"},
        {"rate", "0,5", RATE "\"0,5\" (write 0.5)"},
        {"rate", "0.000_1", RATE "\"0.000_1\" (write 0.0001)"},
        {"rate", "00.5", RATE "\"00.5\""},
        {"rate", "'0.5'", RATE "\"0.5\" (in quotes it is text: write 0.5)"},
        {"rate", "2", RATE "2"},
        {"text", "3", "a string, not 3 (write \"3\", in quotes it is text)"},
        {"text", "true", "a string, not true (write \"true\", in quotes it is text)"},
        {"kind", "3", "one of a, b, not 3"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        AUTO(buf) struct buf want = {0};
        buf_printf(&want, "main.yaml:7:%zu stage 'source': '%s' must be %s\n",
                   strlen(row[i].name) + (*row[i].value ? 9 : 8), row[i].name, row[i].want);
        assert_null(read_with(row[i].name, row[i].value, buf_str(&want)));
    }
}

/* What a number cannot hold is never rounded in silence. */
static void lossy(void **state)
{
    static const struct {
        const char *name, *value, *want;
    } row[] = {
        {"threads", "9223372036854775808",
         "cannot be 9223372036854775808: integers go from -9223372036854775808 to 9223372036854775807"},
        {"size", "-99999999999999999999",
         "cannot be -99999999999999999999: integers go from -9223372036854775808 to 9223372036854775807"},
        {"rate", "9007199254740993",
         "would lose digits: 9007199254740993 is kept as 9007199254740992; write that, or fewer digits"},
        {"rate", "${long}",
         "would lose digits: 1234567890123456789 is kept as 1.2345678901234568e+18; write that, or fewer "
         "digits"},
        {"rate", "0.314159265358979323846",
         "would lose digits: 0.314159265358979323846 is kept as 0.31415926535897931; write that, or fewer "
         "digits"},
        {"rate", "0.12345678901234567891e0",
         "would lose digits: 0.12345678901234567891e0 is kept as 0.12345678901234568; write that, or fewer "
         "digits"},
        {"rate", "1e400", "cannot be 1e400: numbers go from 4.9e-324 to 1.8e308"},
        {"rate", "1e-400", "cannot be 1e-400: numbers go from 4.9e-324 to 1.8e308"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        AUTO(buf) struct buf want = {0};
        buf_printf(&want, "main.yaml:7:%zu stage 'source': '%s' %s\n", strlen(row[i].name) + 9, row[i].name,
                   row[i].want);
        assert_null(read_with(row[i].name, row[i].value, buf_str(&want)));
    }
}

static void kept(void **state)
{
    static const struct {
        const char *value;
        double x;
    } row[] = {
        {".5", .5},
        {"+.5", .5},
        {"1.", 1},
        {"+1", 1},
        {"0", 0},
        {"0.000", 0},
        {"-0.0", 0},
        {"0e10", 0},
        {"5e-1", .5},
        {"50E-2", .5},
        {"0.5000000000000000000000000000", .5},
        {"0.1", .1},
        {"0.3333333333333333", 0.3333333333333333},
        {"0.33333333333333331", 0.33333333333333331},
        {"0.1000000000000000055511151231257827", .1}, /* its digits, as far as they are given */
        {"4.9e-324", 4.9e-324},
        {"${half}", .5},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct spec *s = read_with("rate", row[i].value, "");
        assert_non_null(s);
        assert_true(folder_params(s, "a")->rate == row[i].x);
        spec_free(s);
    }
    struct spec *s = read_with("threads", "9223372036854775807", "");
    assert_int_equal(folder_params(s, "a")->threads, INT64_MAX);
    spec_free(s);
    s = read_with("threads", "${long}", "");
    assert_int_equal(folder_params(s, "a")->threads, 1234567890123456789);
    spec_free(s);
    s = read_with("size", "+5", "");
    assert_int_equal(folder_params(s, "a")->size, 5);
    spec_free(s);
    s = read_with("text", "0.314159265358979323846 no 0777", ""); /* text is text */
    assert_string_equal(folder_params(s, "a")->text, "0.314159265358979323846 no 0777");
    spec_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hints), cmocka_unit_test(lossy),
                                       cmocka_unit_test(kept)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
