/* What is right and looks like a mistake: unused variables, stages and defaults, needless values. */
#include "tests/unit/spec_folder.h"

static void warns_with(const char *text, const struct spec_options *opt, const char *want)
{
    folder_write("main.yaml", text);
    struct spec *s = folder_read(opt, "");
    AUTO(buf) struct buf said = {0};
    assert_non_null(s);
    folder_print(s->warning, s->n_warnings, &said);
    for (int i = 0; i < s->n_warnings; i++)
        assert_int_equal(s->warning[i].code, ERROR_WARNING);
    spec_free(s);
    assert_string_equal(buf_str(&said), want);
}

static void warns(const char *text, const char *want)
{
    warns_with(text, &(struct spec_options){.n_set = 0}, want);
}

static void variables(void **state)
{
    static const char text[] =
        "experiment: e\nvars:\n  whole: {p: 1, q: {r: 2}}\n  part: {p: 1, q: {r: 2, s: 3}, t: {u: 4}}\n"
        "  none: {p: 1}\n  list: [x, y]\n  inner: 5\n  outer: '${inner}'\n  alias: '${whole}'\n"
        "  dead: '${list}'\n"
        "stages:\n"
        "  a: {foreach: '${list}', uses: source, with: {size: '${part.q.r}', text: '${alias.p} ${outer}'}}\n";
    warns(text, "main.yaml:4:10 variable 'part.p' is not used\n"
                "main.yaml:4:26 variable 'part.q.s' is not used\n"
                "main.yaml:4:33 variable 'part.t' is not used\n"
                "main.yaml:5:3 variable 'none' is not used\n"
                "main.yaml:10:3 variable 'dead' is not used\n");
    const char *const set[] = {"none={p: 2}", "outer=6"};
    warns_with(text, &(struct spec_options){.set = set, .n_set = 2},
               "main.yaml:4:10 variable 'part.p' is not used\n"
               "main.yaml:4:26 variable 'part.q.s' is not used\n"
               "main.yaml:4:33 variable 'part.t' is not used\n"
               "main.yaml:5:3 variable 'none' is not used\n"
               "main.yaml:7:3 variable 'inner' is not used\n"
               "main.yaml:10:3 variable 'dead' is not used\n");
    /* every place that takes variables counts; what an included file has may serve others */
    folder_write("part.yaml",
                 "vars: {a: 1, b: 2, c: x, d: y, e: z, lib: 3}\ndefaults: {need: {with: {size: 1}}}\n");
    warns("experiment: e\ninclude: part.yaml\nvars: {a: 2, b: 3, c: p, d: 1, e: 5}\n"
          "defaults: {source: {with: {size: '${a}'}, resources: {cores: '${b}'}}}\n"
          "stages:\n  s: {matrix: {x: ['${c}'], y: [1, 2], exclude: [{x: '${c}', y: '${d}'}]}, private: "
          "'${e}', uses: source}\n",
          "");
}

static void unread(void **state)
{
    static const char stages[] =
        "experiment: e\nstages:\n  a: {uses: source}\n  b: {foreach: [p, q], uses: source}\n"
        "  c: {foreach: [p, q], uses: source}\n  t: {uses: train, in: {data: a}}\n";
    AUTO(buf) struct buf text = {0};
    buf_puts(&text, stages);
    warns(buf_str(&text), ""); /* nothing to measure it by */
    buf_puts(&text, "  l: {uses: list, in: {all: ['b[p]']}}\n");
    warns(buf_str(&text), "main.yaml:5:3 no stage reads what 'c' makes\n"
                          "main.yaml:6:3 no stage reads what 't' makes\n");
}

static void needless(void **state)
{
    static const char text[] =
        "experiment: e\nvars: {n: 5}\ndefaults:\n  source: {with: {kind: b, text: x, rate: 0.5}}\n  train: "
        "{}\n"
        "  step: {with: {size: 1}}\nstages:\n"
        "  a: {uses: source, with: {size: 5, kind: a, text: x, threads: 1, flag: false}, tags: [u, v, u]}\n"
        "  b: {foreach: [5, 6], uses: source, with: {size: '${item}', rate: 5e-1}}\n"
        "  c: {uses: source, with: {size: '${n}', rate: 0.75}}\n";
    static const char always[] = "main.yaml:5:3 nothing uses stage 'train': its defaults have no effect\n"
                                 "main.yaml:6:3 nothing uses stage 'step': its defaults have no effect\n";
    AUTO(buf) struct buf want = {0};
    buf_printf(&want, "%smain.yaml:8:94 tag 'u' is there twice\n", always);
    warns(text, buf_str(&want));
    buf_clear(&want);
    buf_printf(&want,
               "main.yaml:4:43 'rate' is 0.5 by default: no need to say it\n%s"
               "main.yaml:8:34 'size' is 5 by default: no need to say it\n"
               "main.yaml:8:52 'text' is \"x\" by default: no need to say it\n"
               "main.yaml:8:64 'threads' is 1 by default: no need to say it\n"
               "main.yaml:8:73 'flag' is false by default: no need to say it\n"
               "main.yaml:8:94 tag 'u' is there twice\n"
               "main.yaml:9:68 'rate' is 0.5 by default: no need to say it\n",
               always);
    warns_with(text, &(struct spec_options){.pedantic = true}, buf_str(&want));
}

/* A wrong file has the warnings that do not depend on what is wrong, among its errors. */
static void wrong(void **state)
{
    folder_write("main.yaml", "experiment: e\nvars: {unused: 1}\nstages:\n"
                              "  a: {uses: source, tags: [x, x], with: {size: 0}}\n");
    struct spec *s = NULL;
    struct error *list = NULL;
    int n = 0;
    assert_false(spec_read("main.yaml", &(struct spec_options){.find = fake_find}, &s, &list, &n));
    assert_int_equal(n, 2);
    assert_int_equal(list[0].code, ERROR_WARNING);
    assert_int_equal(list[1].code, ERROR_INPUT);
    assert_null(s);
    free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(variables), cmocka_unit_test(unread),
                                       cmocka_unit_test(needless), cmocka_unit_test(wrong)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
