/* A verification, and what it told. */
#ifndef TESTS_STORE_FINDINGS_H
#define TESTS_STORE_FINDINGS_H
#include "cache/verify.h"
#include "tests/test.h"
#include <stdio.h>

struct seen { /* what a verification told */
    struct verify_report report;
    size_t n; /* calls of see() */
    enum verify_kind kind;
    char path[256], why[128]; /* of the last */
    int64_t bytes, of;
};
static inline void see_finding(void *arg, const struct verify_finding *f)
{
    struct seen *seen = arg;
    seen->n++;
    seen->kind = f->kind;
    snprintf(seen->path, sizeof seen->path, "%s", f->path);
    snprintf(seen->why, sizeof seen->why, "%s", f->why);
}
static inline void see_progress(void *arg, int64_t bytes, int64_t of)
{
    struct seen *seen = arg;
    assert_true(bytes >= seen->bytes && bytes <= of);
    seen->bytes = bytes;
    seen->of = of;
}
static inline struct seen verify(struct store *s, bool repair)
{
    struct seen seen = {0};
    struct verify_options o = {repair, see_finding, see_progress, &seen};
    struct error err = {0};
    if (!store_verify(s, &o, &seen.report, &err))
        fail_msg("%s", err.text);
    size_t sum = 0;
    for (int k = 0; k <= VERIFY_FOREIGN; k++)
        sum += seen.report.findings[k];
    assert_int_equal(sum, seen.n);
    return seen;
}
#endif
