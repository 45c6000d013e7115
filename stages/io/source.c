#include "stages/io/source.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void source_done(struct source *s)
{
    if (s->tree)
        fs_list_free(s->tree, s->n_tree);
    archive_index_done(&s->index);
    free(s->name);
    free(s->item);
    *s = (struct source){0};
}

bool source_is_image(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (!dot || (strcasecmp(dot, ".jpg") && strcasecmp(dot, ".jpeg") && strcasecmp(dot, ".png") &&
                 strcasecmp(dot, ".webp")))
        return false;
    return name[0] != '.' && !strstr(name, "/.") && strncmp(name, "__MACOSX/", 9) != 0;
}

int source_match(const char *name, const char *pattern)
{
    int parts = 1;
    for (const char *p = pattern; *p; p++)
        parts += *p == '/';
    const char *end = name + strlen(name);
    while (end > name && (end[-1] != '/' || --parts > 0))
        end--;
    return parts <= 1 && !fnmatch(pattern, end, FNM_PATHNAME | FNM_PERIOD) ? (int)(end - name) : -1;
}

static enum archive_want want(const void *arg, const char *name)
{
    const char *const *texts = arg;
    if (source_is_image(name))
        return ARCHIVE_DATA;
    for (size_t i = 0; texts && texts[i]; i++)
        if (source_match(name, texts[i]) >= 0)
            return ARCHIVE_TEXT;
    return ARCHIVE_NAME;
}

static int by_name(const void *a, const void *b)
{
    const struct archive_item *x = *(struct archive_item *const *)a, *y = *(struct archive_item *const *)b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

/* The entries in order of name; of those with one name the last. */
static void sort_entries(struct source *s)
{
    struct archive_item *item = s->index.item;
    size_t n = s->index.n;
    s->item = xcalloc(n + 1, sizeof(struct archive_item *));
    for (size_t i = 0; i < n; i++)
        s->item[i] = &item[i];
    qsort(s->item, n, sizeof(struct archive_item *), by_name);
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || strcmp(s->item[i]->name, s->item[i + 1]->name) != 0)
            s->item[s->n++] = s->item[i];
    s->replaced = (int64_t)(n - s->n);
}

bool source_open(const char *path, const char *const *texts, struct source *ret, struct error *err)
{
    AUTO(source) struct source s = {.path = path, .folder = fs_is_dir(path)};
    if (s.folder) {
        if (!fs_list_tree(path, &s.tree, &s.n_tree, err))
            return false;
        s.n = s.n_tree;
    } else {
        if (!archive_index_open(path, want, texts, &s.index, err))
            return false;
        sort_entries(&s);
    }
    s.name = xcalloc(s.n + 1, sizeof *s.name);
    for (size_t i = 0; i < s.n; i++)
        s.name[i] = s.folder ? s.tree[i] : s.item[i]->name;
    *ret = s;
    s = (struct source){0};
    return true;
}

int64_t source_find(const struct source *s, const char *name, size_t n)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strncmp(s->name[mid], name, n);
        if (order == 0 && !s->name[mid][n])
            return (int64_t)mid;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return -1;
}

static int depth(const char *name)
{
    int n = 0;
    for (; *name; name++)
        n += *name == '/';
    return n;
}

bool source_seek(const struct source *s, const char *pattern, int64_t *ret, struct error *err)
{
    int64_t other = *ret = -1;
    for (size_t i = 0; i < s->n; i++) {
        if (source_match(s->name[i], pattern) < 0 || !strncmp(s->name[i], "__MACOSX/", 9))
            continue;
        int more = *ret < 0 ? -1 : depth(s->name[i]) - depth(s->name[*ret]);
        if (more < 0)
            *ret = (int64_t)i;
        other = more < 0 ? -1 : more == 0 ? (int64_t)i : other;
    }
    if (other < 0)
        return true;
    return error_set(err, NULL, ERROR_INPUT,
                     "'%s' has both '%s' and '%s': give a path further down, or name the file that is meant",
                     s->path, s->name[*ret], s->name[other]);
}

char *source_label(const struct source *s, size_t i)
{
    return xprintf("%s/%s", s->path, s->name[i]);
}

bool source_text(const struct source *s, size_t i, char **ret, size_t *ret_n, struct error *err)
{
    if (s->folder) {
        AUTO(mem) char *file = source_label(s, i);
        return fs_read_file(file, ret, ret_n, err);
    }
    *ret_n = (size_t)s->item[i]->size;
    *ret = xmalloc(*ret_n + 1);
    *ret = memcpy(*ret, s->item[i]->text, *ret_n + 1);
    return true;
}
