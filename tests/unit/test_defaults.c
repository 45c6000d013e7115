/* defaults: what the declarations of a stage start from, whose value counts, and where errors point. */
#include "tests/unit/spec_folder.h"

static const struct spec_options plain = {.n_set = 0};

static void below(void **state)
{
    folder_write("v.yaml", "n: 8\n");
    folder_write(
        "main.yaml",
        "experiment: e\nvars: {n: 7, res: {cores: 3}}\ndefaults:\n"
        "  source: {with: {size: '${n}', text: 'x${item}', kind: b}, resources: {cores: 2.., memory: "
        "1GiB}}\n"
        "  need: {with: {size: 3}}\n  list: {}\n"
        "stages:\n"
        "  a: {foreach: [p, q], uses: source}\n"
        "  b: {uses: source, with: {text: own, size: 9}, resources: {cores: 4}}\n"
        "  c: {uses: need}\n"
        "  d: {uses: source, with: {text: ''}, resources: '${res}'}\n"
        "  l: {uses: list, in: {all: ['a[*]', b, c, d]}}\n");
    const char *const v[] = {"v.yaml"};
    struct spec *s = folder_read(&(struct spec_options){.vars = v, .n_vars = 1}, "");
    const struct task *q = spec_find(s, "a[q]"), *b = spec_find(s, "b"), *d = spec_find(s, "d");
    assert_int_equal(folder_params(s, "a[q]")->size, 8);
    assert_string_equal(folder_params(s, "a[q]")->text, "xq");
    assert_string_equal(folder_params(s, "a[q]")->kind, "b");
    assert_int_equal(folder_params(s, "b")->size, 9);
    assert_string_equal(folder_params(s, "b")->text, "own");
    assert_string_equal(folder_params(s, "b")->kind, "b");
    assert_int_equal(folder_params(s, "c")->size, 3); /* what a stage needs may stand there */
    assert_string_equal(folder_params(s, "d")->text, "");
    assert_true(q->cores_min == 2 && q->cores_max == 0 && q->memory == 1 << 30);
    assert_true(b->cores_min == 4 && b->cores_max == 4 && b->memory == 1 << 30);
    assert_true(d->cores_min == 3 && d->cores_max == 3 && d->memory == 1 << 30);
    assert_int_equal(q->param_pos[0].line, 4);
    assert_int_equal(b->param_pos[0].line, 9);
    spec_free(s);
}

/* An error in a default is one error, in the line of the default. */
static void places(void **state)
{
    folder_write("main.yaml",
                 "experiment: e\ndefaults:\n"
                 "  source: {with: {size: 200, sise: 1, rate: '${nix}', text: '${item}'}, resources: {cores: "
                 "none}}\n"
                 "  step: {with: [1], resorces: {}}\n"
                 "  sauce: {with: {size: 1}}\n"
                 "  train: 3\n"
                 "stages:\n  a: {uses: source}\n  b: {uses: source}\n  c: {uses: source, with: {size: 1}}\n");
    folder_read(&plain,
                "main.yaml:3:25 stage 'source': 'size' must be an integer between 1 and 100, not 200\n"
                "main.yaml:3:30 stage 'source' has no parameter 'sise'; did you mean 'size'?\n"
                "main.yaml:3:45 unknown variable '${nix}'\n"
                "main.yaml:3:61 '${item}' has a meaning only in a stage with foreach or matrix\n"
                "main.yaml:3:92 cores must be a number, \"2..8\", \"4..\" or auto, not 'none'\n"
                "main.yaml:4:16 with: takes a map\n"
                "main.yaml:4:21 a stage's default has no key 'resorces'; did you mean 'resources'?\n"
                "main.yaml:5:3 there is no stage 'sauce' ('weft stages' lists them)\n"
                "main.yaml:6:10 a stage's default must be a map\n");
    folder_write("main.yaml", "experiment: e\ndefaults: [source]\nstages: {a: {uses: source}}\n");
    folder_read(&plain,
                "main.yaml:2:11 defaults: takes a map from stages to {with: {...}, resources: {...}}\n");
    folder_write("main.yaml", "experiment: e\ndefaults: {source: {with: {rate: 0.5, size: 13}}}\n"
                              "stages: {a: {uses: source}, b: {uses: source, with: {rate: 1}}}\n");
    folder_read(&plain, "main.yaml:2:28 stage 'source': 13 brings bad luck\n"
                        "main.yaml:3:53 stage 'source': 13 brings bad luck\n");
}

/* As with variables: who includes a file is above it, two files beside each other must not differ. */
static void included(void **state)
{
    folder_write("one.yaml", "defaults: {source: {with: {size: 2, text: one}}}\n");
    folder_write("two.yaml", "defaults:\n  source:\n    with: {size: 3, kind: b}\n");
    folder_write("main.yaml", "experiment: e\ninclude: [one.yaml, two.yaml]\nstages: {a: {uses: source}}\n");
    folder_read(&plain, "two.yaml:3:12 default 'source.with.size' is defined twice\n"
                        "  one.yaml:1:28 first defined here\n");
    folder_write("main.yaml", "experiment: e\ninclude: [one.yaml, two.yaml]\n"
                              "defaults: {source: {with: {size: 4}}}\nstages: {a: {uses: source}}\n");
    struct spec *s = folder_read(&plain, "");
    assert_int_equal(folder_params(s, "a")->size, 4);
    assert_string_equal(folder_params(s, "a")->text, "one");
    assert_string_equal(folder_params(s, "a")->kind, "b");
    assert_string_equal(spec_find(s, "a")->param_pos[0].file, "main.yaml");
    assert_string_equal(spec_find(s, "a")->param_pos[4].file, "one.yaml");
    spec_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(below), cmocka_unit_test(places),
                                       cmocka_unit_test(included)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
