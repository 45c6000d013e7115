/* Records are sealed by their text: what we write must be, byte for byte, what jansson writes. */
#include "base/cleanup.h"
#include "base/json.h"
#include "base/rng.h"
#include "tests/test.h"
#include <math.h>
#include <string.h>

static double some_real(struct rng *r)
{
    static const double row[] = {0, -0.0, 1, -1, 0.1, 1e20, 1e-5, 1e100, 1.5e-300, 123456789, 1e17, 0.0001};
    uint64_t bits = rng_u64(r);
    double value;
    memcpy(&value, &bits, sizeof value);
    return rng_below(r, 2) && isfinite(value) ? value : row[rng_below(r, sizeof row / sizeof *row)];
}

/* Letters, what has an escape, control characters, and more than ASCII. */
static void some_text(struct rng *r, char ret[64])
{
    static const char *const part[] = {"a",  "key", "Z",    "\"", "\\",   "/",        "\b",
                                       "\f", "\n",  "\r",   "\t", " ",    "\xc3\xa9", "\xe2\x82\xac",
                                       "0",  "_",   "\x01", "\v", "\x1f", "\x7f"};
    size_t n = 0;
    ret[0] = '\0';
    for (uint64_t i = rng_below(r, 8); i > 0; i--)
        n += (size_t)snprintf(ret + n, 64 - n, "%s", part[rng_below(r, sizeof part / sizeof *part)]);
}

static json_t *some_value(struct rng *r, int depth);

static json_t *some_list(struct rng *r, int depth, bool named)
{
    json_t *all = named ? json_object() : json_array();
    char name[64];
    for (uint64_t i = rng_below(r, rng_below(r, 8) ? 6 : 60); i > 0; i--) {
        some_text(r, name);
        if (named)
            json_object_set_new(all, name, some_value(r, depth - 1));
        else
            json_array_append_new(all, some_value(r, depth - 1));
    }
    return all;
}

static json_t *some_value(struct rng *r, int depth)
{
    char text[64];
    switch (rng_below(r, depth > 0 ? 9 : 6)) {
    case 0:
        return json_integer((json_int_t)rng_u64(r));
    case 1:
        return json_integer((json_int_t)rng_below(r, 100));
    case 2:
        return json_real(some_real(r));
    case 3:
        return json_boolean(rng_below(r, 2));
    case 4:
        return json_null();
    case 5:
        some_text(r, text);
        return json_string(text);
    case 6:
        return some_list(r, depth, false);
    default:
        return some_list(r, depth, true);
    }
}

static void same(const json_t *j, bool indent)
{
    size_t flags = JSON_SORT_KEYS | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17);
    char *theirs = json_dumps(j, flags | (indent ? JSON_INDENT(2) : JSON_COMPACT));
    AUTO(mem) char *ours = json_text(j, indent);
    assert_non_null(theirs);
    assert_string_equal(ours, theirs);
    free(theirs);
}

static void as_jansson(void **state)
{
    struct rng r = rng_at(rng_stream(1, "json"), 0, 0);
    for (int i = 0; i < 4000; i++) {
        AUTO_JSON j = some_value(&r, 4);
        same(j, false);
        same(j, true);
    }
}

static void bytes_of_a_string(void **state)
{
    AUTO_JSON j = json_stringn("a\0b", 3);
    same(j, false);
    AUTO(mem) char *none = json_text(NULL, false);
    assert_string_equal(none, "null");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_jansson), cmocka_unit_test(bytes_of_a_string)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
