/* The parameter table: one row says everything about a parameter; defaults, checking, help, schema and key
 * walk it. A stage's parameters are a plain struct whose fields are bool, int64_t, double or const char *;
 * PARAM derives offset and type from the field. A table ends with {0}. */
#ifndef BASE_PARAM_H
#define BASE_PARAM_H
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum param_type { PARAM_BOOL = 1, PARAM_INT, PARAM_REAL, PARAM_STRING };
enum param_flag {
    PARAM_RUNTIME = 1,  /* cannot change a result (threads, logging): not in the key */
    PARAM_REQUIRED = 2, /* no default */
    PARAM_IMPORT = 4,   /* a path of outside data: the key holds its content digest, not the path */
    PARAM_EPOCHS = 8    /* an integer: the passes of a stage that may keep its state after each */
};

struct param {
    const char *name;
    enum param_type type;
    size_t offset;
    const char *def;                 /* text of the default; NULL with PARAM_REQUIRED */
    double min, max;                 /* inclusive range for INT and REAL when min < max */
    const char *choices;             /* "a|b|c" for STRING */
    const char *unit, *doc, *source; /* source: where in the paper or reference, may be NULL */
    unsigned flags;
};

#define PARAM_TYPE_(field)                                                                                   \
    _Generic((field), bool: PARAM_BOOL, int64_t: PARAM_INT, double: PARAM_REAL, const char *: PARAM_STRING)
/* PARAM(struct dpp_params, size, .def = "500", .min = 1, .max = 1e6, .doc = "proxies to select") */
#define PARAM(st, field, ...)                                                                                \
    {                                                                                                        \
        .name = #field, .type = PARAM_TYPE_(((st *)0)->field), .offset = offsetof(st, field), __VA_ARGS__    \
    }

const struct param *param_find(const struct param *table, const char *name);
/* Nearest name by edit distance, NULL when nothing is near: for "did you mean". Works on any NULL-ended name
 * list through param_nearest_name. */
const char *param_nearest(const struct param *table, const char *name);
const char *nearest_name(const char *const *names, size_t n, const char *name);
/* Set every field from its default (strings point into the table or the arena). REQUIRED ones become 0/NULL.
 */
void param_defaults(const struct param *table, void *params, struct arena *a);
/* Check a JSON value against a row and store it; strict: 1 is a real and an int, 1.0 is no int, "1" is no
 * number. */
bool param_set(const struct param *row, void *params, const json_t *value, struct arena *a,
               struct error *err) MUST_CHECK;
/* The value as canonical text: ints in decimal, reals in shortest round-trip form (%.17g fallback), strings
 * as JSON. */
void param_text(const struct param *row, const void *params, struct buf *out);
/* All non-runtime rows but IMPORT ones, sorted by name, "param NAME = TEXT\n" each. */
void param_canonical(const struct param *table, const void *params, struct buf *out);
json_t *param_json(const struct param *table, const void *params); /* object of all values */
/* "an integer between 1 and 9 [epochs]; default 2": all that a row says but name and doc. */
void param_describe(const struct param *row, struct buf *out);
/* Human help: one aligned paragraph a row. */
void param_help(const struct param *table, struct buf *out);
/* The row's type, range, choices, default and description as a JSON Schema fragment (new reference). */
json_t *param_schema(const struct param *row);
#endif
