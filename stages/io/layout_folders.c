/* Layouts in which a class is a folder: folders, imagenet (folders with names) and eurosat (folders without
 * splits). */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/mem.h"
#include "stages/io/classnames.h"
#include "stages/io/layout_parts.h"
#include <stdlib.h>
#include <string.h>

/* If name is PREFIX SPLIT/class/file (PREFIX class/file when split is ""), the length of PREFIX, else -1. */
static int prefix_length(const char *name, const char *split)
{
    const char *class_ = strrchr(name, '/');
    if (!class_)
        return -1;
    while (class_ > name && class_[-1] != '/')
        class_--;
    size_t before = (size_t)(class_ - name), n = strlen(split);
    if (!n)
        return (int)before;
    if (before < n + 1 || memcmp(class_ - 1 - n, split, n) != 0)
        return -1;
    size_t prefix = before - 1 - n;
    return prefix == 0 || name[prefix - 1] == '/' ? (int)prefix : -1;
}

/* The distinct folders that hold class folders with images, "train, test", at most eight; how many images at
 * all. */
static size_t add_class_parents(const struct source *src, struct buf *out)
{
    const char *shown[8];
    size_t length[8], n_shown = 0, images = 0;
    for (size_t i = 0; i < src->n; i++) {
        const char *name = src->name[i];
        if (!source_is_image(name))
            continue;
        images++;
        int n = prefix_length(name, "");
        bool known = n < 0 || n_shown == 8;
        for (size_t k = 0; k < n_shown && !known; k++)
            known = length[k] == (size_t)n && !memcmp(shown[k], name, (size_t)n);
        if (known)
            continue;
        shown[n_shown] = name;
        length[n_shown++] = (size_t)n;
        buf_printf(out, "%s%.*s", out->len ? ", " : "", n ? n - 1 : 7, n ? name : "the top");
    }
    if (!out->len)
        buf_puts(out, "none");
    return images;
}

/* Another layout whose mark is there, in words. */
static void add_hint(const struct source *src, struct buf *out)
{
    for (const struct layout *l = layout_table; l->name; l++)
        for (size_t i = 0; i < src->n && l->mark; i++)
            if (source_match(src->name[i], l->mark) >= 0) {
                buf_printf(out, ". Its '%s' belongs to layout '%s': set 'layout'", src->name[i], l->name);
                return;
            }
}

static bool none_found(const struct source *src, const char *split, struct error *err)
{
    AUTO(buf) struct buf parents = {0}, hint = {0};
    add_hint(src, &hint);
    if (!add_class_parents(src, &parents))
        return error_set(
            err, NULL, ERROR_INPUT,
            "'%s' has no class folders with JPEG, PNG or WebP images (%zu files of other kinds)%s", src->path,
            src->n + (size_t)src->replaced, buf_str(&hint));
    return error_set(
        err, NULL, ERROR_INPUT,
        "'%s' has no class folders in '%s'; folders with class folders: %s. Set 'split' to one of these, "
        "or to \"\" when the class folders are at the top%s",
        src->path, *split ? split : ".", buf_str(&parents), buf_str(&hint));
}

/* The prefix is where the shallowest SPLIT/class/file is; two such places are ambiguous. */
static bool find_prefix(const struct source *src, const char *split, char **ret, struct error *err)
{
    const char *best = NULL, *other = NULL;
    int best_n = 0, best_depth = 0, other_n = 0;
    for (size_t i = 0; i < src->n; i++) {
        const char *name = src->name[i];
        int n = source_is_image(name) ? prefix_length(name, split) : -1, depth = 0;
        if (n < 0)
            continue;
        for (int k = 0; k < n; k++)
            depth += name[k] == '/';
        if (!best || depth < best_depth) {
            best = name;
            best_n = n;
            best_depth = depth;
            other = NULL;
        } else if (depth == best_depth && !other && (n != best_n || memcmp(best, name, (size_t)n) != 0)) {
            other = name;
            other_n = n;
        }
    }
    if (!best)
        return none_found(src, split, err);
    if (other)
        return error_set(
            err, NULL, ERROR_INPUT,
            "'%s' has class folders in both '%.*s%s' and '%.*s%s': set 'split' to the one that is meant, "
            "or give a path further down",
            src->path, best_n, best, split, other_n, other, split);
    *ret = xstrndup(best, (size_t)best_n);
    return true;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct layout_class *)a)->key, ((const struct layout_class *)b)->key);
}

/* Labels in order of the folders' names. So far they are in order of first use, which is that of the paths:
 * "a-b/x" before "a/x". */
static void sort_classes(struct layout_set *set)
{
    AUTO(mem) int *number = xcalloc((size_t)set->n_classes + 1, sizeof *number);
    AUTO(mem) struct layout_class *old = xcalloc((size_t)set->n_classes + 1, sizeof *old);
    memcpy(old, set->class, (size_t)set->n_classes * sizeof *old);
    qsort(set->class, (size_t)set->n_classes, sizeof *set->class, by_key);
    for (int i = 0; i < set->n_classes; i++)
        number[i] = (int)((struct layout_class *)bsearch(&old[i], set->class, (size_t)set->n_classes,
                                                         sizeof *set->class, by_key) -
                          set->class);
    for (size_t i = 0; i < set->n; i++)
        set->sample[i].label = number[set->sample[i].label];
}

bool layout_folders(const struct source *src, const struct layout_options *o, struct layout_set *set,
                    struct error *err)
{
    if (!find_prefix(src, o->split, &set->root, err))
        return false;
    size_t prefix = strlen(set->root), before = prefix + (*o->split ? strlen(o->split) + 1 : 0), class_n = 0;
    const char *class = NULL;
    for (size_t i = 0; i < src->n; i++) { /* in order of name: the files of a class are neighbours */
        const char *name = src->name[i];
        int n = source_is_image(name) ? prefix_length(name, o->split) : -1;
        if (n != (int)prefix || memcmp(name, set->root, prefix) != 0)
            continue;
        size_t len = (size_t)(strrchr(name, '/') - name) - before;
        if (!class || len != class_n || memcmp(class, name + before, len) != 0) {
            class = name + before;
            class_n = len;
            set->class = xgrow(set->class, &set->cap_classes, (size_t)set->n_classes + 1, sizeof *set->class);
            char *key = arena_printf(set->arena, "%.*s", (int)len, class);
            set->class[set->n_classes++] = (struct layout_class){key, key};
        }
        set->sample = xgrow(set->sample, &set->cap, set->n + 1, sizeof *set->sample);
        set->sample[set->n++] = (struct layout_sample){(uint32_t)i, set->n_classes - 1, 0};
    }
    sort_classes(set);
    return true;
}

bool layout_imagenet(const struct source *src, const struct layout_options *o, struct layout_set *set,
                     struct error *err)
{
    int64_t i;
    if (!layout_folders(src, o, set, err))
        return false;
    if (*o->classnames)
        return true; /* which are applied later */
    if (!source_seek(src, "classnames.txt", &i, err))
        return false;
    if (i < 0)
        return error_set(
            err, NULL, ERROR_INPUT,
            "'%s' has no classnames.txt, lines of 'wnid name': set 'classnames' to such a file, or "
            "'layout' to folders, where wnids are names",
            src->path);
    AUTO(mem) char *file = source_label(src, (size_t)i), *text = NULL;
    size_t n;
    return source_text(src, (size_t)i, &text, &n, err) && classnames_apply(text, n, file, set, err);
}

/* ---- eurosat: shares of each class ---- */

static const char *const share_name[] = {"train", "val", "test"};

struct ranked {
    struct digest digest;
    struct layout_sample sample;
};

static int by_class_and_digest(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->sample.label != y->sample.label)
        return x->sample.label < y->sample.label ? -1 : 1;
    return memcmp(x->digest.byte, y->digest.byte, sizeof x->digest.byte);
}

/* Of the n samples of a class, in order of the digests of their ids, the first round(n train_share %) are
 * train, the next round(n val_share %) val, the rest test: CoOp's sizes, with an order that anyone can make
 * again. Keeps those of the share. */
static void take_share(const struct source *src, const struct layout_options *o, struct layout_set *set,
                       int share)
{
    AUTO(mem) struct ranked *r = xcalloc(set->n + 1, sizeof *r);
    size_t n = set->n, root = strlen(set->root);
    for (size_t i = 0; i < n; i++) {
        const char *id = src->name[set->sample[i].file] + root;
        r[i].sample = set->sample[i];
        hash_bytes(id, strlen(id), &r[i].digest);
    }
    qsort(r, n, sizeof *r, by_class_and_digest);
    set->n = 0;
    for (size_t at = 0, to; at < n; at = to) {
        for (to = at; to < n && r[to].sample.label == r[at].sample.label;)
            to++;
        size_t size = to - at, train = (size * (size_t)o->train_share + 50) / 100,
               val = (size * (size_t)o->val_share + 50) / 100;
        val = train + val > size ? size - train : val;
        size_t end[] = {0, train, train + val, size};
        for (size_t i = end[share]; i < end[share + 1]; i++)
            set->sample[set->n++] = r[at + i].sample;
    }
}

bool layout_eurosat(const struct source *src, const struct layout_options *o, struct layout_set *set,
                    struct error *err)
{
    int share = 0;
    while (share < 3 && strcmp(o->split, share_name[share]) != 0)
        share++;
    if (share == 3 && *o->split)
        return error_set(err, NULL, ERROR_INPUT,
                         "layout 'eurosat' has no split '%s': it parts each class into train, val and test; "
                         "\"\" is all",
                         o->split);
    struct layout_options top = *o;
    top.split = "";
    if (!layout_folders(src, &top, set, err))
        return false;
    if (share < 3)
        take_share(src, o, set, share);
    return true;
}
