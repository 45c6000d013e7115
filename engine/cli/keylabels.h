/* Which results carry private data, by key, as the logs of the store's runs say. */
#ifndef ENGINE_CLI_KEYLABELS_H
#define ENGINE_CLI_KEYLABELS_H
#include "cache/store.h"

enum keylabel {
    KEYLABEL_UNKNOWN, /* no log tells of this key */
    KEYLABEL_PUBLIC,
    KEYLABEL_PRIVATE /* in one run at least an output of it carried a label */
};
struct keylabels {
    struct keylabel_item { /* begins with its key */
        struct digest key;
        bool private;
    } * item; /* by key */
    size_t n, cap;
};
/* False: a log cannot be read. */
bool keylabels_read(const struct store *s, struct keylabels *ret, struct error *err) MUST_CHECK;
void keylabels_done(struct keylabels *k);
enum keylabel keylabel_of(const struct keylabels *k, const struct digest *key);
#endif
