#include "engine/exec/fetched.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/origin.h"
#include "cache/fetch.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

char *fetched_path(struct store *s, const char *import, struct error *err)
{
    return origin_is_url(import) ? fetch_find(s, import, err) : xstrdup(import);
}

/* The URL that a row of the task's parameters holds; NULL: none. */
static const char *url_of(const struct task *t, const struct param *row)
{
    if (!(row->flags & PARAM_IMPORT))
        return NULL;
    const char *text = *(const char *const *)((const char *)t->params + row->offset);
    return text && origin_is_url(text) ? text : NULL;
}

const char *fetched_missing(struct store *s, const struct task *t)
{
    for (const struct param *row = t->stage->params; row && row->name; row++) {
        const char *url = url_of(t, row);
        AUTO(mem) char *local = url ? fetch_find(s, url, NULL) : NULL;
        if (url && !local)
            return url;
    }
    return NULL;
}

bool fetched_gone(struct store *s, const struct task *t, struct error *err)
{
    const char *url = fetched_missing(s, t);
    return error_set(err, NULL, ERROR_INPUT, "'%s' is not there, or no longer as it was fetched: weft fetch",
                     url ? url : "outside data");
}

bool fetched_params(struct store *s, const struct task *t, struct arena *a, const void **ret,
                    struct error *err)
{
    char *copy = NULL;
    *ret = t->params;
    for (const struct param *row = t->stage->params; row && row->name; row++) {
        const char *url = url_of(t, row);
        struct error why = {0};
        if (!url)
            continue;
        AUTO(mem) char *local = fetch_find(s, url, &why);
        if (!local && !why.code)
            fetched_gone(s, t, &why);
        if (!local) {
            *err = why;
            return false;
        }
        if (!copy) {
            copy = arena_alloc(a, t->stage->params_size);
            memcpy(copy, t->params, t->stage->params_size);
            *ret = copy;
        }
        *(const char **)(copy + row->offset) = arena_strdup(a, local);
    }
    return true;
}

size_t fetched_urls(const struct spec *spec, const bool *wanted, struct fetched_url **ret)
{
    size_t n = 0, cap = 0;
    json_t *seen = json_object();
    *ret = NULL;
    for (int i = 0; i < spec->n; i++) {
        const struct task *t = spec->task[i];
        for (const struct param *row = t->stage->params; row && row->name; row++) {
            const char *url = !wanted || wanted[i] ? url_of(t, row) : NULL;
            if (!url || json_object_get(seen, url))
                continue;
            json_object_set_new(seen, url, json_true());
            *ret = xgrow(*ret, &cap, n + 1, sizeof **ret);
            (*ret)[n++] = (struct fetched_url){url, t, t->param_pos[row - t->stage->params]};
        }
    }
    json_decref(seen);
    return n;
}
