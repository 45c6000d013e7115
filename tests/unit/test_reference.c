/* reference: what is read, and where errors point. */
#include "tests/unit/spec_folder.h"

static const struct spec_options plain = {.n_set = 0};
#define TAIL "stages: {a: {uses: source}}\n"

static void numbers(void **state)
{
    folder_write("paper.yaml",
                 "reference:\n  - {name: paper, rows: {zero-shot: {pets: 85.5, Average: 70}}}\n");
    folder_write("main.yaml", "experiment: e\ninclude: paper.yaml\nreference:\n"
                              "  - name: other\n    source: arXiv 1234\n"
                              "    rows: {b: {y: 1e1, x: -0.5}, 3: {x: 2}}\n" TAIL);
    struct spec *s = folder_read(&plain, "");
    assert_non_null(s);
    AUTO(buf) struct buf got = {0};
    for (int i = 0; i < s->n_references; i++) {
        const struct reference *r = &s->reference[i];
        buf_printf(&got, "%s (%s) %s:%d:", r->name, r->source, r->pos.file, r->pos.line);
        for (int k = 0; k < r->n; k++)
            buf_printf(&got, " %s/%s=%g", r->row[k].system, r->row[k].domain, r->row[k].value);
        buf_putc(&got, '\n');
    }
    spec_free(s);
    assert_string_equal(buf_str(&got), "paper () paper.yaml:2: zero-shot/pets=85.5 zero-shot/Average=70\n"
                                       "other (arXiv 1234) main.yaml:4: b/y=10 b/x=-0.5 3/x=2\n");
}

static void wrong(void **state)
{
    static const struct {
        const char *text, *want;
    } row[] = {
        {"{name: x}", "main.yaml:2:12 reference: takes a list of {name: ..., source: ..., rows: {...}}\n"},
        {"[3]", "main.yaml:2:13 a reference must be a map\n"},
        {"[{rows: {a: {b: 1}}}]", "main.yaml:2:13 a reference needs a 'name'\n"},
        {"[{name: x}]", "main.yaml:2:13 a reference needs 'rows'\n"},
        {"[{name: [x], source: {}, rows: [1]}]",
         "main.yaml:2:20 name: takes text\nmain.yaml:2:33 source: takes text\n"
         "main.yaml:2:43 rows: takes a map SYSTEM: {DOMAIN: number}\n"},
        {"[{name: x, rows: {}}]", "main.yaml:2:29 rows: takes a map SYSTEM: {DOMAIN: number}\n"},
        {"[{name: x, rows: {a: 1, b: {}}}]", "main.yaml:2:33 the numbers of 'a' are a map DOMAIN: number\n"
                                             "main.yaml:2:39 the numbers of 'b' are a map DOMAIN: number\n"},
        {"[{name: x, rows: {a: {b: high, c: '1', d: [1], e: {}, f: .nan, g: 1}}}]",
         "main.yaml:2:37 a reference is a number, not 'high'\nmain.yaml:2:46 a reference is a number, not "
         "'1'\n"
         "main.yaml:2:54 a reference is a number, not a list\n"
         "main.yaml:2:62 a reference is a number, not a map\n"
         "main.yaml:2:69 a reference is a number, not '.nan'\n"},
        {"[{nam: x, name: y, rows: {a: {b: 1}}}]",
         "main.yaml:2:14 a reference has no key 'nam'; did you mean 'name'?\n"},
        {"[{name: x, rows: {a: {b: 1}}}, {name: x, rows: {a: {b: 1}}}]",
         "main.yaml:2:50 reference 'x' is defined twice\n  main.yaml:2:20 first defined here\n"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        AUTO(buf) struct buf text = {0};
        buf_printf(&text, "experiment: e\nreference: %s\n" TAIL, row[i].text);
        folder_write("main.yaml", buf_str(&text));
        assert_null(folder_read(&plain, row[i].want));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers), cmocka_unit_test(wrong)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
