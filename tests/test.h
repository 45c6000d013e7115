/* What a cmocka test program includes: cmocka.h needs these four before it. */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#endif
