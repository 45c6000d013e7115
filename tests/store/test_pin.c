/* Pins: what is put comes back, one of a name replaces another, and none that is damaged is believed. */
#include "cache/verify.h"
#include "tests/store/findings.h"
#include "tests/store/room.h"

static char names[][16] = {"b", "a.1_x-y", "c"};
static char what[] = "task table \"ü\"", when[] = "2026-01-02T03:04:05Z", empty[] = "";

static void put(struct store *s, char *name, char *of, size_t n)
{
    struct error err = {0};
    struct digest key[2] = {key_of("one"), key_of("two")};
    struct pin p = {.name = name, .what = of, .when = when, .key = key, .n = n};
    if (!pin_put(s, &p, &err))
        fail_msg("%s", err.text);
}

static void put_and_read(void **state)
{
    new_store(NULL);
    AUTO(store) struct store *s = open_store();
    struct pin *p;
    size_t n;
    assert_true(pins_read(s, &p, &n, NULL) && n == 0);
    pins_free(p, n);
    put(s, names[0], empty, 2);
    put(s, names[1], what, 1);
    put(s, names[0], what, 1);
    put(s, names[2], what, 0);
    assert_true(pins_read(s, &p, &n, NULL));
    assert_int_equal(n, 3);
    assert_string_equal(p[0].name, names[1]);
    assert_string_equal(p[1].name, names[0]);
    assert_string_equal(p[0].what, what);
    assert_string_equal(p[1].when, when);
    struct digest one = key_of("one");
    assert_true(p[1].n == 1 && digest_equal(&p[1].key[0], &one));
    assert_int_equal(p[2].n, 0);
    pins_free(p, n);
    struct error err = {0};
    assert_true(pin_remove(s, names[0], &err));
    assert_false(pin_remove(s, names[0], &err));
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.text, "there is no pin 'b'"));
    assert_true(pins_read(s, &p, &n, NULL) && n == 2);
    pins_free(p, n);
}

static void bad_names(void **state)
{
    static char bad[][12] = {"", ".", "..", ".a", "-a", "_a", "a/b", "../a", "a b", "\xc3\xa9", "a\n"};
    AUTO(store) struct store *s = open_store();
    AUTO(mem) char *longest = xcalloc(1, 300);
    memset(longest, 'a', 201);
    for (size_t i = 0; i <= sizeof bad / sizeof *bad; i++) {
        char *name = i < sizeof bad / sizeof *bad ? bad[i] : longest;
        struct error err = {0};
        assert_false(pin_put(s, &(struct pin){.name = name}, &err));
        assert_int_equal(err.code, ERROR_INPUT);
        assert_false(pin_remove(s, name, NULL));
    }
    longest[200] = '\0';
    struct error err = {0};
    assert_true(pin_put(s, &(struct pin){.name = longest}, &err));
    static char broken[] = "\xff";
    assert_false(pin_put(s, &(struct pin){.name = longest, .what = broken}, &err));
    assert_int_equal(err.code, ERROR_INPUT);
}

/* Every flipped bit, every cut, another name: ERROR_DAMAGE; verification finds it, and repair lets gc go on.
 */
static void damage(void **state)
{
    new_store(NULL);
    AUTO(store) struct store *s = open_store();
    put(s, names[0], what, 2);
    AUTO(mem) char *file = at("store/pins/b");
    AUTO(mem) char *other = at("store/pins/other");
    AUTO(mem) char *text = NULL;
    size_t n, count;
    struct pin *p;
    assert_true(fs_read_file(file, &text, &n, NULL));
    for (size_t i = 0; i < 8 * n; i++) {
        struct error err = {0};
        text[i / 8] ^= (char)(1 << i % 8);
        assert_true(fs_write_file(file, text, n, NULL));
        assert_false(pins_read(s, &p, &count, &err));
        assert_int_equal(err.code, ERROR_DAMAGE);
        text[i / 8] ^= (char)(1 << i % 8);
    }
    for (size_t i = 0; i < n; i++) {
        assert_true(fs_write_file(file, text, i, NULL));
        assert_false(pins_read(s, &p, &count, NULL));
    }
    assert_true(fs_write_file(file, text, n, NULL));
    assert_true(pins_read(s, &p, &count, NULL));
    pins_free(p, count);
    struct seen seen = verify(s, true);
    assert_true(seen.n == 0 && seen.report.pins == 1);
    assert_int_equal(rename(file, other), 0);
    assert_false(pins_read(s, &p, &count, NULL));
    seen = verify(s, false);
    assert_true(seen.n == 1 && seen.kind == VERIFY_PIN);
    assert_string_equal(seen.path, "pins/other");
    assert_true(fs_exists(other));
    seen = verify(s, true);
    assert_int_equal(seen.report.repaired, 1);
    assert_false(fs_exists(other));
    assert_true(pins_read(s, &p, &count, NULL) && count == 0);
    pins_free(p, count);
}

/* What lies there and is no pin: nobody knows what it was to keep. */
static void foreign(void **state)
{
    new_store(NULL);
    AUTO(store) struct store *s = open_store();
    put(s, names[0], what, 2);
    AUTO(mem) char *file = at("store/pins/b~");
    struct pin *p;
    size_t n;
    struct error err = {0};
    assert_true(fs_write_file(file, "?", 1, NULL));
    assert_false(pins_read(s, &p, &n, &err));
    assert_int_equal(err.code, ERROR_DAMAGE);
    assert_non_null(strstr(err.text, "pins/b~"));
    struct seen seen = verify(s, true);
    assert_true(seen.n == 1 && seen.kind == VERIFY_FOREIGN && seen.report.repaired == 1);
    assert_true(pins_read(s, &p, &n, NULL) && n == 1);
    pins_free(p, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(put_and_read), cmocka_unit_test(bad_names),
                                       cmocka_unit_test(damage), cmocka_unit_test(foreign)};
    return cmocka_run_group_tests(tests, entries_setup, entries_teardown);
}
