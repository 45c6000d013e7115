/* Why a key is another: canonical key texts compared line by line, and the record nearest to one. */
#ifndef ENGINE_CLI_KEYDIFF_H
#define ENGINE_CLI_KEYDIFF_H
#include "base/arena.h"
#include "cache/store.h"

struct key_change {
    const char *field;        /* "param lambda", "input model[0]", "import path", "stage merge" */
    const char *before, *now; /* NULL: the line is not there */
};
struct key_diff {
    struct key_change *change; /* in the order of the new text, then what it no longer has */
    int n;
};
void keydiff(const char *before, const char *now, struct arena *a, struct key_diff *ret);

struct key_near {                          /* strings in the arena */
    const char *text, *task, *when, *host; /* text NULL: none found */
    double seconds;
    struct key_diff diff;
};
/* The record to compare a task's key text with: of the same stage and with another text, made at `until` or
 * before (NULL: at any time). One of the same task comes first, then the one with fewest changes, then the
 * newest. */
struct key_query {
    const char *stage, *task, *text, *until;
    struct key_near near; /* the answer */
};
/* The same for n questions in one reading of the records. */
bool keydiff_nearest_all(struct store *store, struct key_query *q, size_t n, struct arena *a,
                         struct error *err) MUST_CHECK;
bool keydiff_nearest(struct store *store, const char *stage, const char *task, const char *text,
                     const char *until, struct arena *a, struct key_near *ret, struct error *err) MUST_CHECK;
#endif
