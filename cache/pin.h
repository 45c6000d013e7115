/* Pins: names under which keys are kept from removal, STORE/pins/NAME, a sealed JSON file with the keys. */
#ifndef CACHE_PIN_H
#define CACHE_PIN_H
#include "cache/store.h"

struct pin {
    char *name, *what, *when; /* what: "run 20261129-…" or "task table", for people */
    struct digest *key;
    size_t n;
};
/* Replaces one of that name. A name is letters, digits, '.', '_', '-', and begins with none of the last
 * three. The keys are in use by this process from then on, so that what it found just before is not removed.
 */
bool pin_put(struct store *s, const struct pin *p, struct error *err) MUST_CHECK;
bool pin_remove(struct store *s, const char *name, struct error *err) MUST_CHECK; /* none: ERROR_INPUT */
/* All, by name; a damaged one is ERROR_DAMAGE (nothing may be removed then). Free with pins_free. */
bool pins_read(struct store *s, struct pin **ret, size_t *ret_n, struct error *err) MUST_CHECK;
void pins_free(struct pin *p, size_t n);

/* -- private to cache/ -- */
bool pin_name_valid(const char *name);
/* The pin that the text of a file of that name is; false: it is none, or not as it was written. */
bool pin_parse(const char *name, const char *text, size_t n, struct pin *ret) MUST_CHECK;
void pin_done(struct pin *p);
#endif
