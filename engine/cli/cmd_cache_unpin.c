/* weft cache unpin: what a pin kept may go again. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/param.h"
#include "cache/pin.h"
#include "engine/cli/cmd.h"
#include <string.h>

static const struct opt opts[] = {OPT_ROW_STORE, {0}};

/* Whether there is a pin of that name; else what may be meant. A damaged one can be removed, too. */
static bool check_name(struct store *s, const char *name, struct error *err)
{
    struct pin *p;
    size_t n;
    bool found = false;
    if (!pins_read(s, &p, &n, NULL))
        return true;
    AUTO(mem) const char **names = xcalloc(n + 1, sizeof *names);
    for (size_t i = 0; i < n; i++) {
        names[i] = p[i].name;
        found = found || strcmp(p[i].name, name) == 0;
    }
    const char *near = nearest_name(names, n, name);
    if (!found)
        error_set(err, NULL, ERROR_INPUT, "the store '%s' has no pin '%s'%s%s%s", store_path(s), name,
                  near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    pins_free(p, n);
    return found;
}

static int run(const struct cmd_args *a)
{
    AUTO(store) struct store *s = NULL;
    struct error err = {0};
    if (!cmd_open_store(a, &s, &err))
        return cmd_fail(&err);
    for (int i = 0; i < a->n; i++)
        if (!check_name(s, a->arg[i], &err) || !pin_remove(s, a->arg[i], &err))
            return cmd_fail(&err);
    return 0;
}

const struct cmd cmd_cache_unpin = {
    .name = "cache unpin",
    .group = "The store",
    .doc = "Remove pins: what they kept may go when room is needed.",
    .details = "Nothing else changes: what only a removed pin kept goes by its value, as everything else "
               "does, at the "
               "next 'weft cache gc' or when the store's limit is reached.",
    .args =
        (const struct arg[]){
            {.name = "NAME", .doc = "a pin's name; 'weft cache pins' lists them", .many = true}, {0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft cache unpin paper", "the pin of that name"}, {0}},
    .run = run};
