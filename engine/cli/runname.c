#include "engine/cli/runname.h"
#include "base/fs.h"
#include "engine/exec/runlog.h"
#include <string.h>

bool runname_find(const char *store, const char *text, struct arena *a, const char **ret, struct error *err)
{
    char **list;
    size_t n, found = 0, at = 0, len = strlen(text);
    bool last = strcmp(text, "last") == 0;
    if (!runlog_list(store, &list, &n, err))
        return false;
    for (size_t i = n; i-- > 0;) /* from the oldest: of several the newest is named */
        if ((len && strncmp(list[i], text, len) == 0) || (last && i == 0)) {
            bool whole = strlen(list[i]) == len;
            found = whole ? 1 : found + 1;
            at = i;
            if (whole)
                break;
        }
    if (found == 1)
        *ret = arena_strdup(a, list[at]);
    else if (found > 1)
        error_set(err, NULL, ERROR_INPUT, "%zu runs of the store begin with '%s', the newest is '%s'", found,
                  text, list[at]);
    else
        error_set(err, NULL, ERROR_INPUT,
                  last ? "the store '%s' has no runs" : "the store '%s' has no run '%s'", store, text);
    fs_list_free(list, n);
    return found == 1;
}
