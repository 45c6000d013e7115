/* Layouts: how a data set lies in its folder or archive, that is which file is a sample of which split and of
 * which class. Each is a row of layout_table. docs/data.md says what the folders look like. */
#ifndef STAGES_IO_LAYOUT_H
#define STAGES_IO_LAYOUT_H
#include "base/arena.h"
#include "base/error.h"
#include "stages/io/source.h"

/* The rows of the table, as the choices of a parameter. */
#define LAYOUT_CHOICES "folders|coop|pets|flowers|eurosat|imagenet"

struct layout_options {
    const char *split;      /* "" where a layout allows it: all */
    const char *split_file; /* coop: path of the list, "": the one in the source */
    const char *classnames; /* path of a file of names (classnames.h), "": none but the layout's own */
    int64_t train_share, val_share; /* eurosat: percent of each class; the rest is test */
    const char *scratch;            /* folder for short-lived files */
};

struct layout_class {
    const char *key;  /* folder, wnid, number, or the name again: what a file of names goes by; sorted order
                         or that of the labels */
    const char *name; /* what prompts and results call it */
};
struct layout_sample {
    uint32_t file; /* index in the source */
    int label;     /* index in class */
    int line;      /* line or number of the entry of the list that names it, from 1; 0: none does */
};
/* What a layout finds. */
struct layout_set {
    struct layout_sample *sample; /* of the wanted split, sorted by file, each file once */
    size_t n, cap;
    struct layout_class *class; /* of the whole data set where a list says so; some may have no sample */
    int n_classes;
    size_t cap_classes;
    char *root;          /* "" or "a/b/", what all files of the samples begin with; ids come after it */
    const char *list;    /* the file that names the samples, for errors; NULL: none does */
    bool list_lines;     /* its entries are lines */
    const char *warning; /* NULL: none */
    struct arena *arena; /* of the strings; the caller's */
};
void layout_set_done(struct layout_set *s);
static inline void layout_set_auto(struct layout_set *s)
{
    layout_set_done(s);
}

struct layout {
    const char *name, *doc;
    const char *texts[4]; /* patterns of the files that it reads beside images; NULL-ended */
    const char *mark;     /* pattern of the file that tells this layout from class folders, or NULL */
    int64_t image_bytes;  /* what an image takes on disk, for costs */
    bool (*read)(const struct source *src, const struct layout_options *o, struct layout_set *set,
                 struct error *err);
};
extern const struct layout layout_table[]; /* {0}-ended */
const struct layout *layout_find(const char *name);
/* What is wrong with a combination of options, before anything is read. */
bool layout_check(const struct layout *l, const struct layout_options *o, struct error *err) MUST_CHECK;
/* Errors in lists carry the file and the line. ret->arena is set by the caller. */
bool layout_read(const struct layout *l, const struct source *src, const struct layout_options *o,
                 struct layout_set *ret, struct error *err) MUST_CHECK;
#endif
