/* Are two fingerprints of one output, made on different processors perhaps? */
#ifndef TESTS_GOLDEN_FINGERPRINT_SAME_H
#define TESTS_GOLDEN_FINGERPRINT_SAME_H
#include "tests/golden/fingerprint.h"

#define FINGERPRINT_TOL 1e-3

static char fingerprint_where[400]; /* the innermost member that differed last, both values */

static inline bool fingerprint_near(double a, double b, double scale)
{
    return fabs(a - b) <= FINGERPRINT_TOL * scale + 1e-6;
}

/* "F32 8x4 | norm products": the products differ by little against the norm, whatever their own size. */
static inline bool fingerprint_same_tensor(const char *a, const char *b)
{
    size_t n = strcspn(a, "|");
    if (n != strcspn(b, "|") || strncmp(a, b, n) != 0 || !a[n] || !b[n])
        return false;
    char *x = (char *)a + n + 1, *y = (char *)b + n + 1;
    double scale = 0;
    for (int k = 0; k <= FINGERPRINT_PRODUCTS; k++) {
        double p = strtod(x, &x), q = strtod(y, &y);
        scale = k == 0 ? fmax(p, q) : scale;
        if (!fingerprint_near(p, q, scale * (k ? 3 : 1))) /* a product has the norm as its deviation */
            return false;
    }
    return true;
}

static inline bool fingerprint_same(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *item;
    if (json_is_real(a) || json_is_real(b))
        return json_is_number(a) && json_is_number(b) &&
               fingerprint_near(json_number_value(a), json_number_value(b),
                                fmax(fabs(json_number_value(a)), fabs(json_number_value(b))));
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_array(a)) {
        bool same = json_array_size(a) == json_array_size(b);
        for (size_t i = 0; same && i < json_array_size(a); i++)
            same = fingerprint_same(json_array_get(a, i), json_array_get(b, i));
        return same;
    }
    if (!json_is_object(a))
        return json_equal(a, b);
    if (json_object_size(a) != json_object_size(b))
        return false;
    json_object_foreach((json_t *)a, key, item)
    {
        const json_t *other = json_object_get(b, key);
        bool tensor =
            other && json_is_string(item) && json_is_string(other) && strstr(json_string_value(item), " | ");
        fingerprint_where[0] = '\0';
        if (other && (tensor ? fingerprint_same_tensor(json_string_value(item), json_string_value(other))
                             : fingerprint_same(item, other)))
            continue;
        if (!fingerprint_where[0]) {
            AUTO(mem) char *was = json_dumps(item, JSON_ENCODE_ANY);
            AUTO(mem) char *is = other ? json_dumps(other, JSON_ENCODE_ANY) : NULL;
            snprintf(fingerprint_where, sizeof fingerprint_where, "%.80s: %.150s, now %.150s", key, was,
                     is ? is : "absent");
        }
        return false;
    }
    return true;
}
#endif
