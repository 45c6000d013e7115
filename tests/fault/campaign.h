/* The faults a test goes through, one cmocka test each, in a folder of its own; what is done under a fault
 * and what must hold then is the test's: campaign(). */
#ifndef TESTS_FAULT_CAMPAIGN_H
#define TESTS_FAULT_CAMPAIGN_H
#include "tests/fault/fault.h"
#include "tests/test.h"

static char root[] = "/dev/shm/weft-fault-XXXXXX"; /* or below /tmp */

/* Every call in turn fails in the way `how`, a fault_errno. */
static void campaign(int how);

static void io_error(void **state)
{
    campaign(EIO);
}
static void no_space(void **state)
{
    campaign(ENOSPC);
}
static void interrupted(void **state)
{
    campaign(EINTR);
}
static void short_write(void **state)
{
    campaign(-2);
}
static void death(void **state)
{
    campaign(-1);
}

static int make_root(void **state)
{
    if (mkdtemp(root))
        return 0;
    snprintf(root, sizeof root, "/tmp/weft-fault-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}
static int remove_root(void **state)
{
    return fs_remove_tree(root, NULL) ? 0 : -1;
}

/* `setup` begins with make_root(). */
static int run_campaigns(int (*setup)(void **state))
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(io_error), cmocka_unit_test(no_space),
                                       cmocka_unit_test(interrupted), cmocka_unit_test(short_write),
                                       cmocka_unit_test(death)};
    return cmocka_run_group_tests(tests, setup, remove_root);
}
#endif
