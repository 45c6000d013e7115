#include "engine/cli/importdiff.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <string.h>
#include <time.h>

#define NAMED 5 /* files that a text tells by name */

static const char *import_path(const struct task *t, const char *field)
{
    const struct param *p =
        strncmp(field, "import ", 7) == 0 ? param_find(t->stage->params, field + 7) : NULL;
    return p ? *(const char *const *)((const char *)t->params + p->offset) : NULL;
}

static void add(json_t *list, const char *file, const char *what)
{
    json_array_append_new(list, json_pack("{s:s, s:s}", "file", file, "what", what));
}

/* Files whose digests the record keeps; how many lie below `root`. */
static int by_digest(struct store *store, const struct record *r, const char *root, json_t *list)
{
    size_t len = strlen(root);
    int known = 0;
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < r->output[i].n; k++) {
            const struct record_file *f = &r->output[i].file[k];
            struct digest now;
            if (!f->source || strncmp(f->source, root, len) != 0 ||
                (f->source[len] != '/' && f->source[len]) || fs_is_dir(f->source))
                continue;
            known++;
            const char *name = f->source[len] ? f->source + len + 1 : f->source;
            if (!fs_exists(f->source))
                add(list, name, "gone");
            else if (store_import(store, f->source, &now, NULL, NULL) && !digest_equal(&now, &f->digest))
                add(list, name, "changed");
        }
    return known;
}

/* Files of a folder, or the file itself, that were written after the record was made. */
static void by_time(const char *root, const char *when, json_t *list)
{
    struct tm tm = {0};
    struct stat st;
    char **file = NULL;
    size_t n = 0;
    if (!strptime(when, "%Y-%m-%dT%H:%M:%SZ", &tm))
        return;
    time_t made = timegm(&tm);
    if (!fs_is_dir(root)) {
        if (stat(root, &st) == 0 && st.st_mtime > made)
            add(list, root, "newer");
        return;
    }
    if (!fs_list_tree(root, &file, &n, NULL))
        return;
    for (size_t i = 0; i < n; i++) {
        AUTO(mem) char *path = xprintf("%s/%s", root, file[i]);
        if (stat(path, &st) == 0 && st.st_mtime > made)
            add(list, file[i], "newer");
    }
    fs_list_free(file, n);
}

json_t *importdiff_files(struct store *store, const struct task *t, const struct key_change *c,
                         const char *before)
{
    json_t *list = json_array();
    const char *path = import_path(t, c->field);
    AUTO(mem) char *root = path && *path ? realpath(path, NULL) : NULL;
    struct digest key;
    struct record *r = NULL;
    hash_bytes(before, strlen(before), &key);
    if (!root || !store_get_record(store, &key, &r, NULL) || !r)
        return list;
    if (by_digest(store, r, root, list) == 0 || json_array_size(list) == 0)
        by_time(root, r->when, list);
    record_free(r);
    return list;
}

void importdiff_text(const json_t *files, struct buf *out)
{
    size_t n = json_array_size(files);
    for (size_t i = 0; i < n && i < NAMED; i++) {
        const json_t *f = json_array_get(files, i);
        buf_printf(out, "%s%s %s", i ? ", " : " (", json_string_value(json_object_get(f, "file")),
                   json_string_value(json_object_get(f, "what")));
    }
    if (n > NAMED)
        buf_printf(out, " and %zu more", n - NAMED);
    if (n)
        buf_putc(out, ')');
}
