/* Names that become variables of a program's environment. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/varname.h"
#include "tests/test.h"
#include <string.h>

static void names(void **state)
{
    static const char *const good[] = {"a", "gpu", "A-b_9"}, *const bad[] = {"",    "9",   "-a", "_a",
                                                                             "a b", "a.b", "a=", "\xc3\xa9"};
    char longest[VARNAME_MAX + 2];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(varname_ok(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(varname_ok(bad[i]));
    memset(longest, 'x', sizeof longest);
    longest[VARNAME_MAX + 1] = '\0';
    assert_false(varname_ok(longest));
    longest[VARNAME_MAX] = '\0';
    assert_true(varname_ok(longest));
}

static void variables(void **state)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    assert_string_equal(varname_variable(&a, "weft_in-", "test-Set_1"), "weft_in-TEST_SET_1");
    assert_true(varname_same("a-b", "A_B"));
    assert_true(varname_same("x", "x"));
    assert_false(varname_same("x", "xy"));
    assert_false(varname_same("xy", "x"));
    assert_false(varname_same("ab", "a-b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(variables)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
