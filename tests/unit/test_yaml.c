/* YAML to nodes: typing, positions, anchors and merge keys, and what is refused. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/spec/yaml.h"
#include "tests/test.h"

static bool parse(struct arena *a, const char *text, struct yaml_node **ret, struct error *err)
{
    *err = (struct error){0};
    return yaml_parse(text, strlen(text), "f.yaml", a, ret, err);
}

static void is_json(const char *text, const char *want)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    struct yaml_node *n;
    struct error err;
    if (!parse(&a, text, &n, &err))
        fail_msg("%s: %s", text, err.text);
    AUTO_JSON j = yaml_json(n);
    AUTO(mem) char *got = json_text(j, false);
    assert_string_equal(got, want);
}

static void fails(const char *text, const char *want, int line, int col)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    struct yaml_node *n;
    struct error err;
    if (parse(&a, text, &n, &err))
        fail_msg("accepted: %.200s", text);
    if (!strstr(err.text, want) || err.line != line || (col && err.col != col) || err.code != ERROR_INPUT)
        fail_msg("%.100s: wanted '%s' at %d:%d, got %d:%d '%s'", text, want, line, col, err.line, err.col,
                 err.text);
    assert_string_equal(err.file, "f.yaml");
}

static void typing(void **state)
{
    is_json("[1, -2, +3, 0, 1.5, .5, 1., 1e3, -1.5E-2]",
            "[1,-2,3,0,1.5,0.5,1.0,1000.0,-0.014999999999999999]");
    is_json("[true, false, null, ~]", "[true,false,null,null]");
    is_json("[yes, no, on, off, True, NULL]", "[\"yes\",\"no\",\"on\",\"off\",\"True\",\"NULL\"]");
    is_json("[1:30, 0777, 1_000, 0x10, 0o7, .inf, 2001-01-01, 1e, 1.2.3]",
            "[\"1:30\",\"0777\",\"1_000\",\"0x10\",\"0o7\",\".inf\",\"2001-01-01\",\"1e\",\"1.2.3\"]");
    is_json("['1', \"true\", '']", "[\"1\",\"true\",\"\"]");
    is_json("[9223372036854775807, 1e999]", "[9223372036854775807,\"1e999\"]");
    is_json("{b: 1, a: {c: [x]}}", "{\"a\":{\"c\":[\"x\"]},\"b\":1}");
    is_json("a: |\n  two\n  lines\n", "{\"a\":\"two\\nlines\\n\"}");
}

static void anchors(void **state)
{
    is_json("a: &x [1, 2]\nb: *x", "{\"a\":[1,2],\"b\":[1,2]}");
    is_json("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}", "{\"a\":{\"p\":1,\"q\":2},\"b\":{\"p\":1,\"q\":3}}");
    is_json("a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x, *y]}",
            "{\"a\":{\"p\":1},\"b\":{\"p\":2,\"q\":2},\"c\":{\"p\":1,\"q\":2}}");
    is_json("a: {\"<<\": 1}", "{\"a\":{\"<<\":1}}");
    is_json("a: &x 1\nb: &x 2\nc: *x", "{\"a\":1,\"b\":2,\"c\":2}");
    fails("a: *nix", "unknown anchor 'nix'", 1, 4);
    fails("a: &x [*x]", "contains itself", 1, 8);
    fails("a: &x 1\nb: {<<: *x}", "takes a map", 1, 4);
}

static void refused(void **state)
{
    fails("a: 1\nb: 2\na: 3\n", "duplicate key 'a'", 3, 1);
    fails("a: {x: 1, x: 2}", "duplicate key 'x'", 1, 11);
    fails("a:\n\tb: 1\n", "tab", 2, 1);
    fails("a: [1, 2\nb: 3", "", 2, 0);
    fails("a: {b: ${c}, d: 1}", "write \"${x}\" with quotes", 1, 0);
    fails("a: 1\n---\nb: 2\n", "one document", 2, 1);
    fails("a: !!int 3", "tags", 1, 4);
    fails("? [a]\n: 1", "a key must be", 1, 3);
    fails("", "empty", 1, 1);
    fails("a: \"x\\0y\"", "NUL", 1, 4);
    fails("a: \"\xff\xfe\"", "", 1, 0);
}

/* The error of a second key names the place of the first. */
static void notes(void **state)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    struct yaml_node *n;
    struct error err;
    assert_false(parse(&a, "x:\n  b: 2\n  a: 3\n  b: 4\n", &n, &err));
    assert_string_equal(err.text, "duplicate key 'b'");
    assert_int_equal(err.line, 4);
    assert_string_equal(err.note.text, "first defined here");
    assert_string_equal(err.note.file, "f.yaml");
    assert_int_equal(err.note.line, 2);
    assert_int_equal(err.note.col, 3);
    assert_false(error_set(&err, NULL, ERROR_INPUT, "another"));
    assert_int_equal(err.note.line, 0);
}

static void positions(void **state)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    struct yaml_node *n;
    struct error err;
    assert_true(parse(&a, "a: 1\nbb:\n  - x\n  - {k: v}\n", &n, &err));
    const struct yaml_node *b = yaml_get(n, "bb");
    assert_int_equal(n->key[1]->pos.line, 2);
    assert_int_equal(b->item[0]->pos.line, 3);
    assert_int_equal(b->item[0]->pos.col, 5);
    assert_int_equal(yaml_get(b->item[1], "k")->pos.col, 9);
    assert_null(yaml_get(n, "c"));
    assert_null(yaml_get(NULL, "c"));
    assert_null(yaml_get(b, "c"));
}

static void bombs(void **state)
{
    AUTO(buf) struct buf deep = {0};
    for (int i = 0; i < 200; i++)
        buf_puts(&deep, "[");
    fails(buf_str(&deep), "nested too deeply", 1, 101);
    AUTO(buf) struct buf laughs = {0};
    buf_puts(&laughs, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        buf_printf(&laughs, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            buf_printf(&laughs, "%s*a%d", k ? ", " : "", i - 1);
        buf_puts(&laughs, "]\n");
    }
    fails(buf_str(&laughs), "aliases of aliases", 6, 0);
    AUTO(buf) struct buf keys = {0};
    for (int i = 0; i < 20002; i++)
        buf_printf(&keys, "k%d: 1\n", i);
    fails(buf_str(&keys), "too many keys", 20001, 1);
    for (int i = 1; i < 1000; i += 37) { /* among few and among many */
        buf_clear(&keys);
        for (int k = 0; k <= i; k++)
            buf_printf(&keys, "k%d: 1\n", k);
        buf_printf(&keys, "k%d: 2\n", i / 2);
        AUTO(mem) char *text = xprintf("duplicate key 'k%d'", i / 2);
        fails(buf_str(&keys), text, i + 2, 1);
    }
}

/* Damaged text is an error or another document, never a crash. */
static void damaged(void **state)
{
    static const char text[] = "e: &x {a: [1, '2', \"3\"], b: |\n  t\n}\nf: {<<: *x, c: ${d}}\n# end\n";
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct rng r = rng_at(rng_stream(seed, "yaml"), 0, 0);
        char copy[sizeof text];
        memcpy(copy, text, sizeof text);
        for (int k = 0; k < 3; k++)
            copy[rng_below(&r, sizeof text - 1)] = (char)rng_below(&r, 256);
        AUTO(arena) struct arena a;
        arena_init(&a);
        struct yaml_node *n;
        struct error err = {0};
        if (yaml_parse(copy, rng_below(&r, sizeof text), "f.yaml", &a, &n, &err)) {
            AUTO_JSON j = yaml_json(n);
            assert_non_null(j);
        } else {
            assert_true(err.text[0] && err.line > 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(typing),  cmocka_unit_test(anchors),
                                       cmocka_unit_test(refused), cmocka_unit_test(positions),
                                       cmocka_unit_test(notes),   cmocka_unit_test(bombs),
                                       cmocka_unit_test(damaged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
