/* What the cache was worth: the hits of all runs whose logs the store has, each worth what its record says it
 * took to make. */
#ifndef ENGINE_CLI_SAVINGS_H
#define ENGINE_CLI_SAVINGS_H
#include "cache/entries.h"

struct savings {
    size_t runs, hits, ran, failed; /* tasks of these runs */
    size_t unknown;                 /* hits whose record is gone: counted as hits, saved nothing */
    double core_seconds;            /* that the other hits saved */
};
/* False: the runs cannot be listed. Logs that cannot be read tell nothing. */
bool savings_read(const struct store *s, const struct entries *e, struct savings *ret,
                  struct error *err) MUST_CHECK;
/* Parts of 1; 0 where no task came to an end. */
double savings_rate(const struct savings *s);
#endif
