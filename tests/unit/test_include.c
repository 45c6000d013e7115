/* include: whose vars and stages count, where errors point, and what is refused. */
#include "tests/unit/spec_folder.h"
#include <sys/stat.h>

static const struct spec_options plain = {.n_set = 0};

static void names_are(const struct spec *s, const char *want)
{
    AUTO(buf) struct buf b = {0};
    for (int i = 0; i < s->n; i++)
        buf_printf(&b, "%s%s", i ? " " : "", s->task[i]->name);
    assert_string_equal(buf_str(&b), want);
}

/* Paths are relative to the file that names them; what is included comes first; a file may override what it
 * includes; a file that is met twice is read once. */
static void included(void **state)
{
    mkdir("parts", 0777);
    folder_write("main.yaml", "experiment: e\ninclude: [parts/data.yaml, parts/../parts/more.yaml]\n"
                              "vars: {size: 7, main: m}\nstages:\n  z: {uses: step, in: {data: 'd[q]'}}\n");
    folder_write(
        "parts/data.yaml",
        "description: words\ninclude: base.yaml\nvars: {clients: [p, q], size: 1}\nstages:\n"
        "  d: {foreach: '${clients}', uses: source, with: {size: '${size}', text: '${main}${deep}'}}\n");
    folder_write("parts/more.yaml", "include: [base.yaml]\nvars: {deep: 3}\n");
    folder_write("parts/base.yaml", "vars: {deep: 1, size: 2}\nstages: {b: {uses: source, with: {size: "
                                    "'${deep}'}}}\n");
    struct spec *s = folder_read(&plain, "");
    names_are(s, "b d[p] d[q] z");
    assert_int_equal(folder_params(s, "d[q]")->size, 7);
    assert_string_equal(folder_params(s, "d[q]")->text, "m3");
    assert_int_equal(folder_params(s, "b")->size, 3);
    assert_string_equal(spec_find(s, "b")->pos.file, "parts/base.yaml");
    assert_string_equal(spec_find(s, "d[p]")->param_pos[0].file, "parts/data.yaml");
    assert_string_equal(s->experiment, "e");
    spec_free(s);
    const char *const set[] = {"deep=5"};
    s = folder_read(&(struct spec_options){.set = set, .n_set = 1}, "");
    assert_int_equal(folder_params(s, "b")->size, 5);
    spec_free(s);
    folder_write("main.yaml", "experiment: e\ninclude: parts/base.yaml\n"); /* nothing of its own */
    s = folder_read(&plain, "");
    names_are(s, "b");
    spec_free(s);
}

/* Of two files beside each other none is above the other, unless who includes both says what counts. */
static void siblings(void **state)
{
    folder_write("one.yaml", "vars: {x: 1}\nstages:\n  a: {uses: source, with: {size: '${x}'}}\n");
    folder_write("two.yaml", "vars:\n  x: 2\n  y: 1\n");
    folder_write("main.yaml", "experiment: e\ninclude: [one.yaml, two.yaml]\n");
    folder_read(&plain, "two.yaml:2:3 variable 'x' is defined twice\n  one.yaml:1:8 first defined here\n");
    folder_write("main.yaml", "experiment: e\ninclude: [one.yaml, two.yaml]\nvars: {x: 3}\n");
    struct spec *s = folder_read(&plain, "");
    assert_int_equal(folder_params(s, "a")->size, 3);
    spec_free(s);
    folder_write("two.yaml", "stages:\n  a: {uses: source}\n");
    folder_read(&plain, "two.yaml:2:3 stage 'a' is defined twice\n  one.yaml:3:3 first defined here\n");
    folder_write("main.yaml", "experiment: e\ninclude: one.yaml\nstages: {a: {uses: need}}\n");
    folder_read(&plain, "main.yaml:3:10 stage 'a' is defined twice\n  one.yaml:3:3 first defined here\n");
}

static void places(void **state)
{
    folder_write("part.yaml",
                 "vars: {n: '${nix}', m: 200}\nstages:\n  a: {uses: source, with: {sise: 1, size: '${m}'}}\n"
                 "  b: {uses: step, in: {data: c}}\n  c: {uses: sauce}\n  d: 3\n");
    folder_write("main.yaml",
                 "experiment: e\ninclude: part.yaml\nstages:\n  z: {uses: step, in: {data: bb}}\n");
    folder_read(&plain,
                "main.yaml:4:30 there is no 'bb' in stages:; did you mean 'b'?\n"
                "part.yaml:1:11 unknown variable '${nix}'; did you mean 'n'?\n"
                "part.yaml:3:28 stage 'source' has no parameter 'sise'; did you mean 'size'?\n"
                "part.yaml:3:43 stage 'source': 'size' must be an integer between 1 and 100, not 200\n"
                "part.yaml:5:13 there is no stage 'sauce' ('weft stages' lists them)\n"
                "part.yaml:6:6 a stage must be a map\n");
}

static void refused(void **state)
{
    static const struct {
        const char *include, *part, *want;
    } row[] = {
        {"nothing.yaml", "",
         "main.yaml:2:10 include: cannot open 'nothing.yaml': No such file or directory\n"},
        {"[part.yaml, nothing.yaml]", "a: [\n",
         "main.yaml:2:22 include: cannot open 'nothing.yaml': No such file or directory\n"
         "part.yaml:2:1 did not find expected node content, while parsing a flow node\n"},
        {"part.yaml", "", "part.yaml:1:1 the file is empty\n"},
        {"part.yaml", "[a]", "part.yaml:1:1 an included file must be a map\n"},
        {"'${x}'", "", "main.yaml:2:10 include: takes a path or a list of paths, without variables\n"},
        {"[[part.yaml]]", "", "main.yaml:2:11 include: takes a path or a list of paths, without variables\n"},
        {"{a: b}", "", "main.yaml:2:10 include: takes a path or a list of paths, without variables\n"},
        {"part.yaml", "experiment: f\nprivacy: {allow: []}\nstagess: {}\n",
         "part.yaml:1:1 'experiment:' belongs into the main file, not into an included one\n"
         "part.yaml:2:1 'privacy:' belongs into the main file, not into an included one\n"
         "part.yaml:3:1 an included file has no key 'stagess'; did you mean 'stages'?\n"},
        {"part.yaml", "vars: [a]\nstages: 3\n",
         "part.yaml:1:7 vars: takes a map of names and values\n"
         "part.yaml:2:9 stages: takes a map NAME: {uses: ...}\n"},
        {"part.yaml", "include: main.yaml\n",
         "part.yaml:1:10 files include each other in a circle: main.yaml -> part.yaml -> main.yaml\n"},
        {"part.yaml", "include: [./part.yaml]\n",
         "part.yaml:1:11 files include each other in a circle: part.yaml -> part.yaml\n"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        AUTO(buf) struct buf text = {0};
        buf_printf(&text, "experiment: e\ninclude: %s\nstages: {a: {uses: source}}\n", row[i].include);
        folder_write("main.yaml", buf_str(&text));
        folder_write("part.yaml", row[i].part);
        folder_read(&plain, row[i].want);
    }
    folder_write("main.yaml", "experiment: e\ninclude: part.yaml\n");
    folder_write("part.yaml", "vars: {a: 1}\n");
    folder_read(&plain, "main.yaml:1:1 the file has no stages: 'stages:' takes a map NAME: {uses: ...}\n");
}

/* A chain of files has an end, and many ways to the same files take no longer than one. */
static void many(void **state)
{
    for (int i = 0; i < 60; i++) {
        AUTO(buf) struct buf name = {0}, text = {0};
        buf_printf(&name, "f%d.yaml", i);
        if (i < 40)
            buf_printf(&text, "include: [f%d.yaml, g%d.yaml]\nvars: {x: %d}\n", i + 1, i + 1, i);
        else
            buf_printf(&text, "include: f%d.yaml\n", i + 1);
        if (i == 40)
            buf_clear(&text),
                buf_puts(&text, "vars: {y: 0, x: 0}\nstages: {a: {uses: source, with: {text: '${x}'}}}\n");
        folder_write(buf_str(&name), buf_str(&text));
        buf_clear(&name), buf_clear(&text);
        buf_printf(&name, "g%d.yaml", i);
        buf_printf(&text, i < 40 ? "include: [f%d.yaml, g%d.yaml]\n" : "vars: {}\n", i + 1, i + 1);
        folder_write(buf_str(&name), buf_str(&text));
    }
    folder_write("main.yaml", "experiment: e\ninclude: f0.yaml\n");
    struct spec *s = folder_read(&plain, "");
    assert_string_equal(folder_params(s, "a")->text, "0");
    spec_free(s);
    folder_write("f40.yaml", "include: f41.yaml\n");
    folder_read(&plain, "f48.yaml:1:10 includes of includes: at most 1000 files, 50 deep\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(included), cmocka_unit_test(siblings),
                                       cmocka_unit_test(places), cmocka_unit_test(refused),
                                       cmocka_unit_test(many)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
