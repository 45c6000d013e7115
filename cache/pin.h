/* Pins: names under which keys are kept from removal, STORE/pins/NAME, a sealed JSON file with the keys. */
#ifndef CACHE_PIN_H
#define CACHE_PIN_H
#include "cache/store.h"

struct pin {
    char *name, *what, *when; /* what: "run 20261129-…" or "task table", for people */
    struct digest *key;
    size_t n;
};
/* Replaces one of that name. A name is letters, digits, '.', '_', '-'. */
bool pin_put(struct store *s, const struct pin *p, struct error *err) MUST_CHECK;
bool pin_remove(struct store *s, const char *name, struct error *err) MUST_CHECK; /* none: ERROR_INPUT */
/* All, by name; a damaged one is ERROR_DAMAGE (nothing may be removed then). Free with pins_free. */
bool pins_read(struct store *s, struct pin **ret, size_t *ret_n, struct error *err) MUST_CHECK;
void pins_free(struct pin *p, size_t n);
#endif
