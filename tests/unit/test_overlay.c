/* What --vars and --set lay over an experiment's variables. */
#include "tests/unit/spec_folder.h"

static const char main_yaml[] =
    "experiment: e\n"
    "vars: {size: 1, deep: {rate: 0.5, more: {text: a}, on: false}, list: [x], empty: {}}\n"
    "stages:\n"
    "  a:\n"
    "    foreach: ${list}\n"
    "    uses: source\n"
    "    with: {size: '${size}', rate: '${deep.rate}', text: '${deep.more.text}', flag: "
    "'${deep.on}'}\n";

static void merged(void **state)
{
    folder_write("main.yaml", main_yaml);
    folder_write("one.yaml",
                 "size: 7\ndeep: {rate: 0.25, more: {text: 'b${size}'}}\nlist: [p, q]\nempty: {any: 1}\n");
    folder_write("two.yaml", "deep:\n  more: {text: c}\n");
    const char *const one[] = {"one.yaml"}, *const both[] = {"one.yaml", "two.yaml"};
    const char *const set[] = {"size=9", "deep.on=true"};
    struct spec *s = folder_read(&(struct spec_options){.vars = one, .n_vars = 1}, "");
    assert_int_equal(s->n, 2);
    assert_int_equal(folder_params(s, "a[q]")->size, 7);
    assert_true(folder_params(s, "a[q]")->rate == 0.25);
    assert_string_equal(folder_params(s, "a[q]")->text, "b7");
    assert_false(folder_params(s, "a[q]")->flag);
    spec_free(s);
    s = folder_read(&(struct spec_options){.vars = both, .n_vars = 2, .set = set, .n_set = 2}, "");
    assert_int_equal(folder_params(s, "a[p]")->size, 9); /* --set is above the files */
    assert_true(folder_params(s, "a[p]")->rate == 0.25);
    assert_string_equal(folder_params(s, "a[p]")->text, "c"); /* the later file is above the earlier */
    assert_true(folder_params(s, "a[p]")->flag);
    spec_free(s);
}

static void refused(void **state)
{
    static const struct {
        const char *text, *want;
    } row[] = {
        {"sise: 1\ndeep: {rat: 1, more: {texts: x, y: z}}\n",
         "v.yaml:1:1 the experiment has no variable 'sise'; did you mean 'size'?\n"
         "v.yaml:2:8 the experiment has no variable 'deep.rat'; did you mean 'rate'?\n"
         "v.yaml:2:23 the experiment has no variable 'deep.more.texts'; did you mean 'text'?\n"
         "v.yaml:2:33 the experiment has no variable 'deep.more.y'\n"},
        {"list:\n- '${nix}'\n", "v.yaml:2:3 unknown variable '${nix}'\n"},
        {"size: '${deep.rate}'\ndeep: {rate: '${size}'}\n",
         "v.yaml:2:14 variables use each other in a circle: size -> deep.rate -> size\n"},
        {"[size]\n", "v.yaml:1:1 a file of variables is a map of names and values\n"},
        {"", "v.yaml:1:1 the file is empty\n"},
        {"a: [\n", "v.yaml:2:1 did not find expected node content, while parsing a flow node\n"},
        /* what a variable does to its users is said there */
        {"size: 200\n",
         "main.yaml:7:18 stage 'source': 'size' must be an integer between 1 and 100, not 200\n"},
    };
    const char *const v[] = {"v.yaml"}, *const none[] = {"nothing.yaml"};
    folder_write("main.yaml", main_yaml);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        folder_write("v.yaml", row[i].text);
        folder_read(&(struct spec_options){.vars = v, .n_vars = 1}, row[i].want);
    }
    folder_read(&(struct spec_options){.vars = none, .n_vars = 1},
                "--vars: cannot open 'nothing.yaml': No such file or directory\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(merged), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
