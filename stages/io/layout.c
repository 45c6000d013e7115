#include "stages/io/layout.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/io/classnames.h"
#include "stages/io/layout_parts.h"
#include <stdlib.h>
#include <string.h>

#define LABEL_MAX (1 << 16) /* what is more is no label, but a mistake */

/* clang-format off */
const struct layout layout_table[] = {
    {"folders", "[prefix/]split/class/file", {NULL}, NULL, 8000, layout_folders},
    {"coop", "CoOp's split_zhou_*.json lists the images of each split, with labels and names",
     {"split_zhou_*.json"}, "split_zhou_*.json", 20000, layout_coop},
    {"pets", "Oxford-IIIT Pet: annotations/{trainval,test}.txt, images/",
     {"annotations/*.txt"}, "annotations/trainval.txt", 105000, layout_pets},
    {"flowers", "Flowers-102: setid.mat, imagelabels.mat, jpg/image_00001.jpg",
     {"setid.mat", "imagelabels.mat", "cat_to_name.json"}, "setid.mat", 42000, layout_flowers},
    {"eurosat", "class folders without splits, [prefix/]class/file, parted by 'train_share'",
     {NULL}, NULL, 3300, layout_eurosat},
    {"imagenet", "[prefix/]split/wnid/file, and classnames.txt with the names of the wnids",
     {"classnames.txt"}, "classnames.txt", 110000, layout_imagenet},
    {0},
};
/* clang-format on */

const struct layout *layout_find(const char *name)
{
    for (const struct layout *l = layout_table; l->name; l++)
        if (!strcmp(l->name, name))
            return l;
    return NULL;
}

void layout_set_done(struct layout_set *s)
{
    free(s->sample);
    free(s->class);
    free(s->root);
    *s = (struct layout_set){0};
}

bool layout_check(const struct layout *l, const struct layout_options *o, struct error *err)
{
    if (*o->split_file && l->read != layout_coop)
        return error_set(err, NULL, ERROR_INPUT, "'split_file' is for layout 'coop'; this one is '%s'",
                         l->name);
    return o->train_share + o->val_share <= 100 ||
           error_set(
               err, NULL, ERROR_INPUT,
               "'train_share' and 'val_share' are %lld %% together: the rest is for test, so at most 100",
               (long long)(o->train_share + o->val_share));
}

bool layout_add(const struct source *src, struct layout_set *set, const char *file, int label, int line,
                struct error *err)
{
    AUTO(mem) char *name = xprintf("%s%s", set->root, file);
    int64_t i = source_find(src, name, strlen(name));
    if (i < 0)
        return error_set(err, NULL, ERROR_INPUT, "'%s' is listed, but there is no '%s' in '%s'", file, name,
                         src->path);
    if (!source_is_image(name))
        return error_set(err, NULL, ERROR_INPUT, "'%s' is listed, and is no image by its name", file);
    set->sample = xgrow(set->sample, &set->cap, set->n + 1, sizeof *set->sample);
    set->sample[set->n++] = (struct layout_sample){(uint32_t)i, label, line};
    return true;
}

bool layout_name(struct layout_set *set, int64_t label, const char *name, int first, struct error *err)
{
    if (label < 0 || label > LABEL_MAX)
        return error_set(err, NULL, ERROR_INPUT, "label %lld is out of range: labels count from %d",
                         (long long)label + first, first);
    while (set->n_classes <= label) {
        set->class = xgrow(set->class, &set->cap_classes, (size_t)set->n_classes + 1, sizeof *set->class);
        set->class[set->n_classes++] = (struct layout_class){0};
    }
    struct layout_class *c = &set->class[label];
    if (c->key && !strcmp(c->key, name))
        return true;
    if (c->key)
        return error_set(err, NULL, ERROR_INPUT, "label %lld is '%s' here and '%s' before",
                         (long long)label + first, name, c->key);
    for (int k = 0; k < set->n_classes; k++)
        if (set->class[k].key && !strcmp(set->class[k].key, name))
            return error_set(err, NULL, ERROR_INPUT, "class '%s' has label %lld here and %d before", name,
                             (long long)label + first, k + first);
    c->key = c->name = arena_strdup(set->arena, name);
    return true;
}

bool layout_named(const struct layout_set *set, int first, struct error *err)
{
    for (int c = 0; c < set->n_classes; c++)
        if (!set->class[c].key)
            return error_set(err, NULL, ERROR_INPUT, "no image has label %d, though labels go up to %d",
                             c + first, set->n_classes - 1 + first);
    return true;
}

static int by_file(const void *a, const void *b)
{
    const struct layout_sample *x = a, *y = b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return (x->line > y->line) - (x->line < y->line);
}

static bool sort_samples(const struct source *src, struct layout_set *set, struct error *err)
{
    if (set->n)
        qsort(set->sample, set->n, sizeof *set->sample, by_file);
    for (size_t i = 1; i < set->n; i++) {
        const struct layout_sample *a = &set->sample[i - 1], *b = &set->sample[i];
        struct pos pos = {set->list, set->list_lines ? b->line : 0, 1};
        if (a->file == b->file)
            return error_set(err, &pos, ERROR_INPUT, "'%s': '%s' is listed twice%s: entries %d and %d",
                             set->list, src->name[a->file], a->label == b->label ? "" : ", with two labels",
                             a->line, b->line);
    }
    return true;
}

bool layout_read(const struct layout *l, const struct source *src, const struct layout_options *o,
                 struct layout_set *ret, struct error *err)
{
    if (src->n > UINT32_MAX)
        return error_set(err, NULL, ERROR_INPUT, "'%s' has %zu files: at most 2^32 are possible", src->path,
                         src->n);
    if (!l->read(src, o, ret, err) || !sort_samples(src, ret, err))
        return false;
    if (!ret->n)
        return error_set(err, NULL, ERROR_INPUT, "'%s' has no images in split '%s'", src->path, o->split);
    if (!*o->classnames)
        return true;
    AUTO(mem) char *text = NULL;
    size_t n;
    return fs_read_file(o->classnames, &text, &n, err) && classnames_apply(text, n, o->classnames, ret, err);
}
