/* The tasks of two runs side by side: which are in one only, which are the same, whose key differs and why.
 */
#ifndef ENGINE_CLI_RUNDIFF_H
#define ENGINE_CLI_RUNDIFF_H
#include "cache/store.h"
#include "engine/cli/keydiff.h"
#include "engine/cli/runview.h"

enum rundiff_kind {
    RUNDIFF_SAME,
    RUNDIFF_CHANGED,     /* something of its own is different */
    RUNDIFF_CONSEQUENCE, /* only the content of its inputs is */
    RUNDIFF_UNKNOWN,     /* the key is another or was never known, and a record to compare is missing */
    RUNDIFF_BEFORE,      /* only in the first run */
    RUNDIFF_NOW          /* only in the second */
};
struct rundiff_task {
    const char *name;
    enum rundiff_kind kind;
    const struct run_task *before, *now; /* NULL where it is not */
    struct key_diff diff;                /* CHANGED and CONSEQUENCE */
};
struct rundiff {
    struct rundiff_task *task; /* by name */
    int n;
    int count[RUNDIFF_NOW + 1];
};
/* Only the content of an input that is in both: it follows from a difference further up. */
bool rundiff_follows(const struct key_change *c);
/* All in the arena. */
bool rundiff_make(struct store *store, const struct runview *before, const struct runview *now,
                  struct arena *a, struct rundiff *ret, struct error *err) MUST_CHECK;
#endif
