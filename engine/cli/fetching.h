/* Fetching as people see it: on a terminal a line with a bar, the rate and the time left, on a pipe a line a
 * file; on stderr. */
#ifndef ENGINE_CLI_FETCHING_H
#define ENGINE_CLI_FETCHING_H
#include "cache/fetch.h"
#include "engine/cli/cmd.h"
#include "engine/spec/spec.h"

struct fetching;
struct fetching *fetching_new(struct store *store, bool quiet);
void fetching_free(struct fetching *f); /* NULL is fine */
/* fetch_url with this to be seen of it. */
bool fetching_one(struct fetching *f, const char *url, struct fetch_options o, struct fetch_result *ret,
                  struct error *err) MUST_CHECK;
/* What the tasks that a command's --target wants need and the store has not. interrupts: a signalfd. */
bool fetching_all(const struct cmd_args *a, const struct spec *s, struct store *store, int interrupts,
                  struct error *err) MUST_CHECK;
#endif
