/* Layouts whose lists come with the data: Oxford-IIIT Pet and Flowers-102, as their authors pack them and
 * torchvision unpacks them. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/io/classnames.h"
#include "stages/io/layout_parts.h"
#include "stages/io/matfile.h"
#include <stdlib.h>
#include <string.h>

/* ---- pets: annotations/SPLIT.txt, lines "Abyssinian_100 1 1 1" ---- */

/* Path, label from 1, species, number of the breed in its species. The class is the path without its number.
 */
static bool pets_line(const struct source *src, char *line, int number, struct layout_set *set,
                      struct error *err)
{
    char *word[5], *save = NULL, *end;
    size_t n = 0;
    for (char *w = strtok_r(line, " \t\r", &save); w && n < 5; w = strtok_r(NULL, " \t\r", &save))
        word[n++] = w;
    if (n == 0 || *word[0] == '#')
        return true;
    char *last = strrchr(word[0], '_');
    long long label = n == 4 ? strtoll(word[1], &end, 10) : 0;
    if (n != 4 || *end || !last || last == word[0])
        return error_set(
            err, NULL, ERROR_INPUT,
            "a line is the name of an image, its label, and two more numbers: 'Abyssinian_100 1 1 1'");
    AUTO(mem) char *file = xprintf("%s.jpg", word[0]), *class = xstrndup(word[0], (size_t)(last - word[0]));
    return layout_name(set, label - 1, class, 1, err) &&
           layout_add(src, set, file, (int)label - 1, number, err);
}

static bool pets_lines(const struct source *src, char *text, struct layout_set *set, struct error *err)
{
    struct pos pos = {set->list, 0, 1};
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        pos.line++;
        if (!pets_line(src, line, pos.line, set, err))
            return error_at(err, &pos);
    }
    return layout_named(set, 1, err) || error_context(err, "'%s'", set->list);
}

static bool no_pets_list(const struct source *src, const char *split, struct error *err)
{
    AUTO(buf) struct buf names = {0};
    for (size_t i = 0; i < src->n && names.len < 400; i++) {
        int at = source_match(src->name[i], "annotations/*.txt");
        if (at < 0)
            continue;
        const char *name = src->name[i] + at + strlen("annotations/");
        buf_printf(&names, "%s%.*s", names.len ? ", " : "", (int)(strlen(name) - strlen(".txt")), name);
    }
    return error_set(err, NULL, ERROR_INPUT,
                     "'%s' has no annotations/%s.txt; the lists there are: %s. Set 'split' to one", src->path,
                     split, names.len ? buf_str(&names) : "none");
}

bool layout_pets(const struct source *src, const struct layout_options *o, struct layout_set *set,
                 struct error *err)
{
    AUTO(mem) char *tail = xprintf("annotations/%s.txt", o->split), *text = NULL;
    size_t n;
    int64_t i = -1;
    if (*o->split && !strpbrk(o->split, "*?[\\/") && !source_seek(src, tail, &i, err))
        return false;
    if (i < 0)
        return no_pets_list(src, o->split, err);
    AUTO(mem) char *label = source_label(src, (size_t)i);
    set->list = arena_strdup(set->arena, label);
    set->list_lines = true;
    set->root = xprintf("%.*simages/", source_match(src->name[i], tail), src->name[i]);
    if (!source_text(src, (size_t)i, &text, &n, err))
        return false;
    if (strlen(text) != n)
        return error_set(err, NULL, ERROR_INPUT, "'%s' is no text: it has a byte 0", set->list);
    return pets_lines(src, text, set, err);
}

/* ---- flowers: setid.mat has the numbers of each split's images, imagelabels.mat all labels ---- */

static const char *const split_array[][2] = {{"train", "trnid"}, {"val", "valid"}, {"test", "tstid"}};

struct vector {
    int64_t *x;
    size_t n;
};

static void vector_auto(struct vector *v)
{
    free(v->x);
}

/* matio reads files only: what lies in an archive is put into one. */
static bool read_mat(const struct source *src, size_t i, const char *array, const char *scratch,
                     struct vector *ret, struct error *err)
{
    AUTO(mem) char *file = source_label(src, i);
    if (src->folder)
        return matfile_vector(file, array, &ret->x, &ret->n, err);
    AUTO(mem) char *text = NULL, *copy = fs_temp_name(scratch, "mat");
    size_t n;
    bool ok = source_text(src, i, &text, &n, err) && fs_write_file(copy, text, n, err) &&
              (matfile_vector(copy, array, &ret->x, &ret->n, err) || error_context(err, "'%s'", file));
    fs->unlink(copy);
    return ok;
}

/* Labels count from 1, and images from 1 too. */
static bool flowers_classes(const struct vector *labels, struct layout_set *set, struct error *err)
{
    for (size_t i = 0; i < labels->n; i++) {
        char name[32];
        snprintf(name, sizeof name, "%lld", (long long)labels->x[i]);
        if (!layout_name(set, labels->x[i] - 1, name, 1, err))
            return error_context(err, "image %zu", i + 1);
    }
    if (!layout_named(set, 1, err))
        return false;
    for (int c = 0; c < set->n_classes; c++)
        set->class[c].name = arena_printf(set->arena, "class %s", set->class[c].key);
    return true;
}

static bool flowers_samples(const struct source *src, const struct vector *ids, const struct vector *labels,
                            struct layout_set *set, struct error *err)
{
    for (size_t i = 0; i < ids->n; i++) {
        char file[64];
        int64_t k = ids->x[i];
        if (k < 1 || k > (int64_t)labels->n)
            return error_set(err, NULL, ERROR_INPUT,
                             "element %zu is image %lld, and imagelabels.mat has labels for 1 to %zu", i + 1,
                             (long long)k, labels->n);
        snprintf(file, sizeof file, "image_%05lld.jpg", (long long)k);
        if (!layout_add(src, set, file, (int)labels->x[k - 1] - 1, (int)i + 1, err))
            return error_context(err, "element %zu", i + 1);
    }
    return true;
}

/* The data come without names: a file that CoOp puts beside them has some. */
static bool flowers_names(const struct source *src, const struct layout_options *o, struct layout_set *set,
                          struct error *err)
{
    int64_t i;
    AUTO(mem) char *text = NULL;
    size_t n;
    if (*o->classnames)
        return true; /* which are applied later */
    if (!source_seek(src, "cat_to_name.json", &i, err))
        return false;
    if (i < 0) {
        set->warning =
            "Flowers-102 comes without class names: they are called 'class 1', 'class 2' and so on. "
            "Set 'classnames' to a file of names";
        return true;
    }
    AUTO(mem) char *file = source_label(src, (size_t)i);
    return source_text(src, (size_t)i, &text, &n, err) && classnames_apply(text, n, file, set, err);
}

static bool flowers_array(const char *split, const char **ret, struct error *err)
{
    for (size_t k = 0; k < sizeof split_array / sizeof *split_array; k++)
        if (!strcmp(split, split_array[k][0])) {
            *ret = split_array[k][1];
            return true;
        }
    return error_set(err, NULL, ERROR_INPUT,
                     "layout 'flowers' has no split '%s': its splits are train, val and test", split);
}

bool layout_flowers(const struct source *src, const struct layout_options *o, struct layout_set *set,
                    struct error *err)
{
    int64_t ids_at, labels_at = -1;
    const char *array = NULL;
    AUTO(vector) struct vector ids = {0}, labels = {0};
    if (!flowers_array(o->split, &array, err) || !source_seek(src, "setid.mat", &ids_at, err) ||
        !source_seek(src, "imagelabels.mat", &labels_at, err))
        return false;
    if (ids_at < 0 || labels_at < 0)
        return error_set(err, NULL, ERROR_INPUT, "'%s' has no %s", src->path,
                         ids_at < 0 ? "setid.mat" : "imagelabels.mat");
    AUTO(mem) char *ids_file = source_label(src, (size_t)ids_at);
    AUTO(mem) char *labels_file = source_label(src, (size_t)labels_at);
    set->list = arena_strdup(set->arena, ids_file);
    set->root = xprintf("%.*sjpg/", source_match(src->name[ids_at], "setid.mat"), src->name[ids_at]);
    if (!read_mat(src, (size_t)ids_at, array, o->scratch, &ids, err) ||
        !read_mat(src, (size_t)labels_at, "labels", o->scratch, &labels, err))
        return false;
    if (!flowers_classes(&labels, set, err))
        return error_context(err, "'%s'", labels_file);
    if (!flowers_samples(src, &ids, &labels, set, err))
        return error_context(err, "'%s': array '%s'", ids_file, array);
    return flowers_names(src, o, set, err);
}
