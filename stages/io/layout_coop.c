/* CoOp's lists: {"train": [[path, label, name], ...], "val": ..., "test": ...}. Paths count from the folder
 * of the images (oxford-iiit-pet/images, flowers-102/jpg, eurosat/2750), which is found by looking for the
 * first of them. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "stages/io/layout_parts.h"
#include <stdlib.h>
#include <string.h>

static json_t *open_list(const struct source *src, const struct layout_options *o, struct layout_set *set,
                         struct error *err)
{
    AUTO(mem) char *text = NULL;
    size_t n;
    int64_t i;
    if (*o->split_file) {
        set->list = arena_strdup(set->arena, o->split_file);
        return fs_read_file(o->split_file, &text, &n, err) ? json_parse(text, n, set->list, err) : NULL;
    }
    if (!source_seek(src, "split_zhou_*.json", &i, err))
        return NULL;
    if (i < 0) {
        error_set(err, NULL, ERROR_INPUT, "'%s' has no split_zhou_*.json: set 'split_file' to CoOp's list",
                  src->path);
        return NULL;
    }
    AUTO(mem) char *label = source_label(src, (size_t)i);
    set->list = arena_strdup(set->arena, label);
    return source_text(src, (size_t)i, &text, &n, err) ? json_parse(text, n, set->list, err) : NULL;
}

/* The least deep folder below which the file lies. */
static bool find_root(const struct source *src, const char *file, struct layout_set *set, struct error *err)
{
    size_t n = strlen(file);
    const char *best = NULL, *other = NULL;
    int best_depth = 0;
    for (size_t i = 0; i < src->n; i++) {
        const char *name = src->name[i];
        size_t len = strlen(name);
        if (len < n || memcmp(name + len - n, file, n) != 0 || (len > n && name[len - n - 1] != '/') ||
            !source_is_image(name))
            continue;
        int depth = 0;
        for (const char *s = name; *s; s++)
            depth += *s == '/';
        other = best && depth == best_depth ? name : best && depth > best_depth ? other : NULL;
        if (!best || depth < best_depth) {
            best = name;
            best_depth = depth;
        }
    }
    if (!best)
        return error_set(err, NULL, ERROR_INPUT, "'%s' is listed, but there is no such image in '%s'", file,
                         src->path);
    if (other)
        return error_set(err, NULL, ERROR_INPUT, "'%s' is listed, and '%s' has both '%s' and '%s'", file,
                         src->path, best, other);
    set->root = xstrndup(best, strlen(best) - n);
    return true;
}

struct entry {
    const char *file, *name;
    int64_t label;
};

static bool read_entry(const json_t *row, struct entry *ret, struct error *err)
{
    const json_t *label = json_array_get(row, 1);
    *ret = (struct entry){json_string_value(json_array_get(row, 0)),
                          json_string_value(json_array_get(row, 2)), json_integer_value(label)};
    return (json_array_size(row) == 3 && ret->file && *ret->file && ret->name && *ret->name &&
            json_is_integer(label)) ||
           error_set(err, NULL, ERROR_INPUT, "an entry is [path, label, name]");
}

/* All lists say what the classes are; the wanted one also what the samples are. */
static bool read_list(const struct source *src, const json_t *list, bool wanted, struct layout_set *set,
                      size_t *at, struct error *err)
{
    for (*at = 0; *at < json_array_size(list); ++*at) {
        struct entry e;
        if (!read_entry(json_array_get(list, *at), &e, err) || !layout_name(set, e.label, e.name, 0, err) ||
            (wanted && !set->root && !find_root(src, e.file, set, err)) ||
            (wanted && !layout_add(src, set, e.file, (int)e.label, (int)*at + 1, err)))
            return false;
    }
    return true;
}

static bool no_such_list(const json_t *lists, const char *split, struct error *err)
{
    AUTO(buf) struct buf names = {0};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)lists, key, value) if (json_is_array(value))
        buf_printf(&names, "%s%s", names.len ? ", " : "", key);
    return error_set(err, NULL, ERROR_INPUT, "there is no list '%s'; there are: %s. Set 'split' to one",
                     split, names.len ? buf_str(&names) : "none");
}

bool layout_coop(const struct source *src, const struct layout_options *o, struct layout_set *set,
                 struct error *err)
{
    AUTO_JSON lists = open_list(src, o, set, err);
    if (!lists)
        return false;
    const char *key;
    json_t *list;
    if (!json_is_array(json_object_get(lists, o->split)))
        return no_such_list(lists, o->split, err) || error_context(err, "'%s'", set->list);
    json_object_foreach(lists, key, list)
    {
        size_t at;
        if (json_is_array(list) && !read_list(src, list, !strcmp(key, o->split), set, &at, err))
            return error_context(err, "'%s': %s[%zu]", set->list, key, at);
    }
    return layout_named(set, 0, err) || error_context(err, "'%s'", set->list);
}
