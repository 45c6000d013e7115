/* Records from elsewhere: the names in one become paths of files and folders. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "cache/store_impl.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LONGEST 2048

/* A path that does not lead out of the folder it is below. */
static bool is_inside(const char *name)
{
    if (strlen(name) > NAME_LONGEST)
        return false;
    for (const char *p = name;; p++) {
        size_t n = strcspn(p, "/");
        if (n == 0 || n > NAME_MAX || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        p += n;
        if (!*p)
            return true;
    }
}

static int by_name(const void *name, const void *file)
{
    return strcmp(name, ((const struct record_file *)file)->name);
}

/* Files that can lie beside each other: no name twice, none that is another's folder. In order of names. */
static bool is_tree(const struct record_output *o)
{
    for (size_t k = 0; k < o->n; k++) {
        if (k && strcmp(o->file[k - 1].name, o->file[k].name) == 0)
            return false;
        AUTO(mem) char *folder = xstrdup(o->file[k].name);
        for (char *slash; (slash = strrchr(folder, '/'));) {
            *slash = 0;
            if (bsearch(folder, o->file, o->n, sizeof *o->file, by_name))
                return false;
        }
    }
    return true;
}

static bool is_port(const struct record *r, size_t i)
{
    const char *port = r->output[i].port;
    for (size_t k = 0; k < i; k++)
        if (strcmp(r->output[k].port, port) == 0)
            return false;
    return is_inside(port) && !strchr(port, '/');
}

const char *record_names_wrong(const struct record *r)
{
    for (size_t i = 0; i < r->n; i++) {
        bool inside = is_port(r, i);
        for (size_t k = 0; inside && k < r->output[i].n; k++)
            inside = is_inside(r->output[i].file[k].name);
        if (!inside)
            return "it names files outside of its result";
        if (!is_tree(&r->output[i]))
            return "its files cannot be an artifact";
    }
    return NULL;
}
