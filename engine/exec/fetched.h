/* URLs among the imports of an experiment, and where what they name was fetched to: cache/fetch.h. Nothing
 * here asks a server. */
#ifndef ENGINE_EXEC_FETCHED_H
#define ENGINE_EXEC_FETCHED_H
#include "cache/store.h"
#include "engine/spec/spec.h"

/* The local path of an import: the path itself, or that of a URL; malloc'd. NULL: not fetched yet (err is
 * left alone), or err. */
char *fetched_path(struct store *s, const char *import, struct error *err);
/* The first URL of the task that is not fetched; NULL: none. Lives as long as the task. */
const char *fetched_missing(struct store *s, const struct task *t);
/* A run found that so: false, and err says it. */
bool fetched_gone(struct store *s, const struct task *t, struct error *err);
/* The task's parameters with local paths in place of URLs; in the arena where they differ. */
bool fetched_params(struct store *s, const struct task *t, struct arena *a, const void **ret,
                    struct error *err) MUST_CHECK;
struct fetched_url {
    const char *url;
    const struct task *task; /* the first that has it */
    struct pos pos;          /* where it is set */
};
/* The URLs of the wanted tasks (by index; NULL: all), each once, in their order; malloc'd. How many. */
size_t fetched_urls(const struct spec *spec, const bool *wanted, struct fetched_url **ret);
#endif
