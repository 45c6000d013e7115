/* Keys: what is in the canonical text, and what cannot change it. */
#include "base/cleanup.h"
#include "tests/test.h"
#include "tests/unit/spec_folder.h"

struct source {
    bool unknown, fail;
    int asked;
};

/* The digest of "TASK:OUTPUT" stands in for an output's content. */
static bool output(void *arg, const struct task *t, int index, struct digest *ret)
{
    struct source *s = arg;
    AUTO(buf) struct buf b = {0};
    buf_printf(&b, "%s:%d", t->name, index);
    hash_bytes(b.data, b.len, ret);
    return !s->unknown;
}

static bool import(void *arg, const char *path, struct digest *ret, struct error *err)
{
    struct source *s = arg;
    s->asked++;
    hash_bytes("content", 7, ret);
    return !s->fail || error_set(err, NULL, ERROR_INPUT, "cannot read '%s'", path);
}

static char *key_in(const struct spec *s, const char *task, struct digest *key)
{
    struct source source = {0};
    const struct key_source src = {output, import, &source};
    struct error err = {0};
    char *ret;
    assert_true(task_key(spec_find(s, task), &src, key, &ret, &err));
    struct digest again;
    hash_bytes(ret, strlen(ret), &again);
    assert_true(digest_equal(&again, key));
    return ret;
}

static char *key_of(const char *text, const char *task, struct digest *key)
{
    AUTO(buf) struct buf errors = {0};
    struct spec *s = fake_read(text, NULL, 0, &errors);
    if (!s)
        fail_msg("refused: %s", buf_str(&errors));
    char *ret = key_in(s, task, key);
    spec_free(s);
    return ret;
}

static const char *hex(const char *of)
{
    static char text[4][DIGEST_HEX];
    static int i;
    struct digest d;
    hash_bytes(of, strlen(of), &d);
    return digest_hex(&d, text[i++ % 4]);
}

static void text(void **state)
{
    struct digest key;
    AUTO(mem)
    char *source = key_of(
        "experiment: e\nstages: {a: {uses: source, with: {size: 7, path: /tmp, threads: 9}}}", "a", &key);
    AUTO(buf) struct buf want = {0};
    buf_printf(&want,
               "weft-key 1\nstage source 3\nparam flag = false\nparam kind = \"a\"\nparam rate = 0.5\nparam "
               "size = 7\n"
               "param text = \"\"\nimport path = %s\n",
               hex("content"));
    assert_string_equal(source, buf_str(&want));

    AUTO(mem)
    char *join = key_of(
        "experiment: e\nstages:\n  d: {uses: source}\n"
        "  t: {foreach: [p, q], uses: train, in: {data: d}}\n  j: {uses: join, in: {experts: 't[*]'}}\n",
        "j", &key);
    buf_clear(&want);
    buf_printf(&want, "weft-key 1\nstage join 1\ninput experts[0] = %s\nalso experts[0] = %s\n",
               hex("t[p]:0"), hex("t[p]:1"));
    buf_printf(&want, "input experts[1] = %s\nalso experts[1] = %s\n", hex("t[q]:0"), hex("t[q]:1"));
    assert_string_equal(join, buf_str(&want));
}

static void same(const char *a, const char *b, const char *task_a, const char *task_b, bool equal)
{
    struct digest one, two;
    AUTO(mem) char *text_a = key_of(a, task_a, &one);
    AUTO(mem) char *text_b = key_of(b, task_b, &two);
    if (digest_equal(&one, &two) != equal)
        fail_msg("%s\n%s\nare%s the same", text_a, text_b, equal ? " not" : "");
}

static void invariance(void **state)
{
    static const char a[] = "experiment: e\nstages: {a: {uses: source, with: {size: 7, rate: 0.25}}}";
    same(a,
         "experiment: f\n# words\nvars: {n: 7}\nstages:\n  b:\n    with: {threads: 4, rate: 2.5e-1, size: "
         "'${n}'}\n"
         "    uses: source\n    resources: {cores: 2, timeout: 1h, retries: 3}\n    private: x\n",
         "a", "b", true);
    same(a, "experiment: e\nstages: {a: {uses: source, with: {size: 8, rate: 0.25}}}", "a", "a", false);
    same(a, "experiment: e\nstages: {a: {uses: source, with: {size: 7, rate: 0.25, kind: a}}}", "a", "a",
         true);
    same("experiment: e\nstages: {a: {uses: source}}",
         "experiment: e\nstages: {a: {uses: source, with: {rate: 0.5}}}", "a", "a", true);
    same("experiment: e\nstages: {a: {uses: source, with: {path: /tmp}}}",
         "experiment: e\nstages: {a: {uses: source, with: {path: /usr}}}", "a", "a",
         true); /* the content is the same */
    same("experiment: e\nstages: {a: {uses: source, with: {path: /tmp}}}",
         "experiment: e\nstages: {a: {uses: source}}", "a", "a", false);
    same("experiment: e\nstages: {a: {uses: source, with: {text: \"x\\nparam rate = 0.9\"}}}",
         "experiment: e\nstages: {a: {uses: source, with: {text: x, rate: 0.9}}}", "a", "a", false);
}

/* Of two files with the same tasks, all keys are the same. */
static void all_same(const char *a, const char *b)
{
    folder_write("main.yaml", a);
    struct spec *one = folder_read(&(struct spec_options){.n_set = 0}, "");
    folder_write("main.yaml", b);
    struct spec *two = folder_read(&(struct spec_options){.n_set = 0}, "");
    assert_int_equal(one->n, two->n);
    for (int i = 0; i < one->n; i++) {
        struct digest x, y;
        AUTO(mem) char *text_a = key_in(one, one->task[i]->name, &x);
        AUTO(mem) char *text_b = key_in(two, one->task[i]->name, &y);
        assert_string_equal(text_a, text_b);
        assert_true(digest_equal(&x, &y));
    }
    spec_free(one);
    spec_free(two);
}

/* Which file a stage stands in does not change its key. */
static void inclusion(void **state)
{
    static const char *const
        vars = "clients: [p, q], size: 7",
        *const stages = "  d: {foreach: '${clients}', uses: source, with: {size: '${size}', path: /tmp}}\n"
                        "  t: {foreach: '${clients}', uses: train, in: {data: 'd[${item}]'}}\n";
    static const char tail[] = "  j: {uses: join, in: {experts: 't[*]'}}\n";
    AUTO(buf) struct buf inlined = {0}, part = {0};
    buf_printf(&inlined, "experiment: e\nvars: {%s, rate: 1}\nstages:\n%s%s", vars, stages, tail);
    buf_printf(&part, "vars: {%s}\nstages:\n%s", vars, stages);
    folder_write("part.yaml", buf_str(&part));
    AUTO(buf) struct buf with = {0};
    buf_printf(&with, "experiment: e\ninclude: part.yaml\nvars: {rate: 1}\nstages:\n%s", tail);
    all_same(buf_str(&inlined), buf_str(&with));
}

/* A value may stand with the declaration or among the defaults. */
static void defaults(void **state)
{
    static const char head[] = "experiment: e\nstages:\n", sources[] =
                                                               "  a: {uses: source, with: {rate: 1%s}}\n"
                                                               "  b: {foreach: [p, q], uses: source%s}\n";
    AUTO(buf) struct buf spelled = {0}, below = {0};
    buf_puts(&spelled, head);
    buf_printf(&spelled, sources, ", size: 7, text: t, path: /tmp",
               ", with: {rate: 0.25, size: 7, text: t, path: /tmp}, resources: {cores: 2}");
    buf_puts(&below, head);
    buf_printf(&below, sources, "", "");
    buf_puts(&below, "defaults: {source: {with: {size: 7, text: t, rate: 0.25, path: /tmp}, "
                     "resources: {cores: 3}}}\n");
    all_same(buf_str(&spelled), buf_str(&below));
}

static void not_known(void **state)
{
    AUTO(buf) struct buf errors = {0};
    struct spec *s = fake_read("experiment: e\nstages:\n  a: {uses: source}\n"
                               "  b: {uses: step, in: {data: a}, with: {path: /tmp}}\n",
                               NULL, 0, &errors);
    assert_non_null(s);
    struct source source = {.unknown = true};
    const struct key_source src = {output, import, &source};
    struct error err = {.code = ERROR_SYSTEM};
    struct digest key;
    char *ret = NULL;
    assert_false(task_key(spec_find(s, "b"), &src, &key, &ret, &err));
    assert_int_equal(err.code, ERROR_NONE);
    assert_int_equal(source.asked, 0); /* nothing is read for a task that cannot start yet */
    source = (struct source){.fail = true};
    assert_false(task_key(spec_find(s, "b"), &src, &key, &ret, &err));
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.text, "task 'b', parameter 'path'"));
    assert_null(ret);
    spec_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(text), cmocka_unit_test(invariance),
                                       cmocka_unit_test(inclusion), cmocka_unit_test(defaults),
                                       cmocka_unit_test(not_known)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
