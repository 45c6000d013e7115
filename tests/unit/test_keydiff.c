/* Key texts side by side, and the choice of the record to compare with. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/cli/keydiff.h"
#include "tests/test.h"
#include <stdlib.h>
#include <string.h>

static void diff_is(const char *before, const char *now, const char *want)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    struct key_diff d;
    keydiff(before, now, &a, &d);
    AUTO(buf) struct buf b = {0};
    for (int i = 0; i < d.n; i++)
        buf_printf(&b, "%s: %s > %s; ", d.change[i].field, d.change[i].before ? d.change[i].before : "-",
                   d.change[i].now ? d.change[i].now : "-");
    assert_string_equal(buf_str(&b), want);
}

static void changes(void **state)
{
    diff_is("weft-key 1\nstage m 1\nparam a = 1\n", "weft-key 1\nstage m 1\nparam a = 1\n", "");
    diff_is("weft-key 1\nstage m 1\nparam a = 1\nparam b = \"x = y\"\n",
            "weft-key 1\nstage m 2\nparam a = 1.5\nparam b = \"x = z\"\n",
            "stage m: 1 > 2; param a: 1 > 1.5; param b: \"x = y\" > \"x = z\"; ");
    diff_is("input p[0] = aa\ninput p[1] = bb\nparam old = 1\n", "input p[0] = bb\nparam new = 2\n",
            "input p[0]: aa > bb; param new: - > 2; input p[1]: bb > -; param old: 1 > -; ");
    diff_is("", "weft-key 1\n", "weft-key: - > 1; ");
}

static void put(struct store *s, const char *stage, const char *task, const char *when, const char *text)
{
    struct record r = {.text = (char *)text,
                       .stage = (char *)stage,
                       .task = (char *)task,
                       .when = (char *)when,
                       .host = "h",
                       .seconds = 1,
                       .threads = 1};
    hash_bytes(text, strlen(text), &r.key);
    struct error err = {0};
    if (!store_put_record(s, &r, &err))
        fail_msg("%s", err.text);
}

static void near_is(struct store *s, const char *task, const char *text, const char *until, const char *want)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    struct key_near near;
    struct error err = {0};
    assert_true(keydiff_nearest(s, "m", task, text, until, &a, &near, &err));
    if (!want) {
        assert_null(near.text);
        return;
    }
    assert_non_null(near.text);
    assert_string_equal(near.text, want);
    assert_true(near.diff.n > 0);
}

static void nearest(void **state)
{
    char dir[] = "/tmp/weft-keydiff-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct store *s;
    struct error err = {0};
    assert_true(store_open(dir, &s, &err));
    near_is(s, "t", "stage m 1\nparam a = 0\n", NULL, NULL);
    put(s, "m", "t", "2026-01-01T00:00:00Z", "stage m 1\nparam a = 1\nparam b = 1\n");
    put(s, "m", "t", "2026-01-02T00:00:00Z", "stage m 1\nparam a = 2\nparam b = 1\n");
    put(s, "m", "t", "2026-01-03T00:00:00Z", "stage m 1\nparam a = 3\nparam b = 3\n");
    put(s, "m", "u", "2026-01-04T00:00:00Z", "stage m 1\nparam a = 4\nparam b = 2\n");
    put(s, "n", "t", "2026-01-05T00:00:00Z", "stage n 1\nparam a = 5\nparam b = 2\n");
    /* the fewest changes; among equals the newest; another task's only when this one has none; itself never
     */
    near_is(s, "t", "stage m 1\nparam a = 5\nparam b = 1\n", NULL, "stage m 1\nparam a = 2\nparam b = 1\n");
    near_is(s, "t", "stage m 1\nparam a = 4\nparam b = 2\n", NULL, "stage m 1\nparam a = 3\nparam b = 3\n");
    near_is(s, "t", "stage m 1\nparam a = 2\nparam b = 1\n", NULL, "stage m 1\nparam a = 1\nparam b = 1\n");
    near_is(s, "w", "stage m 1\nparam a = 9\nparam b = 2\n", NULL, "stage m 1\nparam a = 4\nparam b = 2\n");
    near_is(s, "t", "stage m 1\nparam a = 3\nparam b = 3\n", "2026-01-01T12:00:00Z",
            "stage m 1\nparam a = 1\nparam b = 1\n");
    /* many at once: the same answers as one by one */
    struct key_query q[] = {{.stage = "m", .task = "t", .text = "stage m 1\nparam a = 5\nparam b = 1\n"},
                            {.stage = "x", .task = "t", .text = "stage x 1\n"},
                            {.stage = "m", .task = "w", .text = "stage m 1\nparam a = 9\nparam b = 2\n"},
                            {.stage = "n", .task = "z", .text = "stage n 2\nparam a = 5\nparam b = 2\n"},
                            {.stage = "m",
                             .task = "t",
                             .text = "stage m 1\nparam a = 3\nparam b = 3\n",
                             .until = "2026-01-01T12:00:00Z"}};
    enum { N = sizeof q / sizeof *q };
    AUTO(arena) struct arena a;
    arena_init(&a);
    assert_true(keydiff_nearest_all(s, q, N, &a, &err));
    for (size_t i = 0; i < N; i++) {
        struct key_near one;
        assert_true(keydiff_nearest(s, q[i].stage, q[i].task, q[i].text, q[i].until, &a, &one, &err));
        assert_int_equal(one.text == NULL, i == 1);
        if (!one.text)
            continue;
        assert_string_equal(q[i].near.text, one.text);
        assert_string_equal(q[i].near.when, one.when);
        assert_int_equal(q[i].near.diff.n, one.diff.n);
    }
    assert_string_equal(q[3].near.diff.change[0].field, "stage n");
    assert_null(q[1].near.text);
    assert_true(keydiff_nearest_all(s, NULL, 0, &a, &err));
    store_close(s);
    assert_true(fs_remove_tree(dir, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(changes), cmocka_unit_test(nearest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
