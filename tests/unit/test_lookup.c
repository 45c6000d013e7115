/* Names to numbers: all that was entered is found, nothing else, and the first of equal names stays. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/spec/lookup.h"
#include "tests/test.h"

#define NAMES 3000

static void names(void **state)
{
    static char *name[NAMES];
    AUTO(lookup) struct lookup l;
    lookup_init(&l, NAMES);
    for (int i = 0; i < NAMES; i++) {
        name[i] = xprintf("task[%d]", i);
        assert_int_equal(lookup_get(&l, name[i]), -1);
        assert_int_equal(lookup_add(&l, name[i], i), -1);
    }
    for (int i = 0; i < NAMES; i++) {
        AUTO(mem) char *same = xstrdup(name[i]);
        assert_int_equal(lookup_get(&l, same), i);
        assert_int_equal(lookup_add(&l, same, 7), i);
        assert_int_equal(lookup_get(&l, same), i);
        same[0] = 'T';
        assert_int_equal(lookup_get(&l, same), -1);
    }
    for (int i = 0; i < NAMES; i++)
        free(name[i]);
}

static void empty(void **state)
{
    struct lookup none = {0};
    assert_int_equal(lookup_get(&none, "a"), -1);
    AUTO(lookup) struct lookup l;
    lookup_init(&l, 0);
    assert_int_equal(lookup_get(&l, ""), -1);
    assert_int_equal(lookup_add(&l, "", 3), -1);
    assert_int_equal(lookup_get(&l, ""), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(empty)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
