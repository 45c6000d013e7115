/* The devices of a task in its worker's environment. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "engine/exec/job.h"
#include "engine/exec/unitenv.h"
#include "tests/test.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void is(const char *name, const char *want)
{
    const char *got = getenv(name);
    if (!got != !want || (want && strcmp(got, want) != 0))
        fail_msg("%s is '%s', wanted '%s'", name, got ? got : "unset", want ? want : "unset");
}

static int variables(void)
{
    int n = 0;
    for (char **v = environ; *v; v++)
        n += strncmp(*v, "WEFT_UNIT", strlen("WEFT_UNIT")) == 0;
    return n;
}

static void inherited(void)
{
    clearenv();
    setenv("WEFT_UNIT_GPU", "9", 1);
    setenv("WEFT_UNIT_NET", "8", 1);
    setenv("HOME", "/h", 1);
    setenv("WEFT_UNIT_FPGA", "7", 1);
    setenv("WEFT_UNITS", "kept", 1);
    setenv("CUDA_VISIBLE_DEVICES", "3", 1);
    setenv("ROCR_VISIBLE_DEVICES", "4", 1);
}

static void set(void **state)
{
    static const struct job_unit some[] = {{"gpu", "0,2"}, {"my-card", "5"}}, other[] = {{"card", "1"}};
    AUTO(arena) struct arena a;
    arena_init(&a);
    inherited();
    unitenv_set(some, 2, &a);
    is("WEFT_UNIT_GPU", "0,2");
    is("WEFT_UNIT_MY_CARD", "5");
    is("CUDA_VISIBLE_DEVICES", "0,2");
    is("HIP_VISIBLE_DEVICES", "0,2");
    is("ROCR_VISIBLE_DEVICES", "4");
    is("HOME", "/h");
    is("WEFT_UNITS", "kept");
    assert_int_equal(variables(), 3);
    inherited();
    unitenv_set(other, 1, &a);
    is("WEFT_UNIT_CARD", "1");
    is("CUDA_VISIBLE_DEVICES", "3");
    is("HIP_VISIBLE_DEVICES", NULL);
    assert_int_equal(variables(), 2);
    inherited();
    unitenv_set(NULL, 0, &a);
    assert_int_equal(variables(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(set)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
