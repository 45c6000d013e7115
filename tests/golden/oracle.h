/* Cases of stored inputs and expected outputs, made by another implementation in float64.
 * The folder is $WEFT_ORACLE, else ../shared/oracle, else the few small cases in tests/golden/cases. A case
 * is a folder with case.json; its kind is the first part of "case" ("clip_tiny_vision" of
 * "clip_tiny_vision/tiny32"). Everything a test needs (hyperparameters, shapes, tolerances, names of files)
 * stands in case.json, so any other set in the same layout passes too.
 *
 * A check passes when max|got - want| <= tol * max|want| + atol, or when equal where case.json says "exact".
 * An expected tensor or scalar that nobody checked, and nobody skipped with a reason, is a failure: a test
 * cannot quietly forget one. */
#ifndef TESTS_GOLDEN_ORACLE_H
#define TESTS_GOLDEN_ORACLE_H
#include "base/arena.h"
#include "base/json.h"
#include "stages/io/safetensors.h"

struct clip;
struct oracle_case {
    const char *dir;              /* the case's folder */
    const char *name;             /* "clip_tiny_vision/tiny32" */
    json_t *json;                 /* case.json */
    struct safetensors *inputs;   /* NULL when the case has none */
    struct safetensors *expected; /* NULL when the case has none */
    struct arena arena;           /* lives as long as the case */
    json_t *seen;                 /* names checked or skipped */
    char *model;                  /* folder of links made by oracle_clip, or NULL */
    int checked, failed, skipped;
};

/* main() of a test program: run() on every case of `kind` that wanted() accepts (NULL: all). Prints a line a
 * case. Returns 0, 1 (a check failed, or ../shared/oracle has no such case) or 77 (the folder has none, or is
 * absent). */
int oracle_main(const char *kind, bool (*wanted)(const struct oracle_case *c),
                void (*run)(struct oracle_case *c));
/* For wanted(): the case's config.json describes a CLIP model. */
bool oracle_is_clip(const struct oracle_case *c);

/* "DIR/rel", in the case's arena. */
const char *oracle_path(struct oracle_case *c, const char *rel);
/* The CLIP model that case.json's "config" and "model" name; an error fails the case. */
bool oracle_clip(struct oracle_case *c, struct clip **ret);
/* An input tensor's values; shape may be NULL (else at least 8 entries), *rank too. A missing tensor ends the
 * program with a message: the test cannot go on. */
const float *oracle_floats(struct oracle_case *c, const char *name, int64_t *shape, int *rank);
const int64_t *oracle_ints(struct oracle_case *c, const char *name, int64_t *shape, int *rank);
/* Expected tensor, or NULL: does not count as checked. */
const struct tensor *oracle_expected(const struct oracle_case *c, const char *name);
/* case.json lists the scalar. */
bool oracle_has_scalar(const struct oracle_case *c, const char *name);
/* A number of case.json, by a path of keys: oracle_number(c, "hyper.lr"). Missing: ends the program with a
 * message. */
double oracle_number(const struct oracle_case *c, const char *path);

void oracle_check(struct oracle_case *c, const char *name, const float *got, int64_t n);
void oracle_check_double(struct oracle_case *c, const char *name, const double *got, int64_t n);
void oracle_check_ints(struct oracle_case *c, const char *name, const int64_t *got, int64_t n);
/* A member of case.json's "scalars". */
void oracle_check_scalar(struct oracle_case *c, const char *name, double got);
/* As oracle_check_double, but |got - want| <= slack decides: for cases that state a float32 tolerance of
 * their own. */
void oracle_check_atol(struct oracle_case *c, const char *name, const double *got, int64_t n, double slack);
void oracle_check_scalar_atol(struct oracle_case *c, const char *name, double got, double slack);
/* Every expected tensor and scalar whose name starts with `prefix` need not be checked; `why` is printed. */
void oracle_skip(struct oracle_case *c, const char *prefix, const char *why);
void oracle_fail(struct oracle_case *c, const char *fmt, ...) PRINTF(2, 3);
/* Fails the case with err's text unless ok; returns ok. */
bool oracle_ok(struct oracle_case *c, bool ok, const struct error *err);
#endif
