/* What the layouts (layout.h) are made of. */
#ifndef STAGES_IO_LAYOUT_PARTS_H
#define STAGES_IO_LAYOUT_PARTS_H
#include "stages/io/layout.h"

bool layout_folders(const struct source *src, const struct layout_options *o, struct layout_set *set,
                    struct error *err) MUST_CHECK;
bool layout_imagenet(const struct source *src, const struct layout_options *o, struct layout_set *set,
                     struct error *err) MUST_CHECK;
bool layout_eurosat(const struct source *src, const struct layout_options *o, struct layout_set *set,
                    struct error *err) MUST_CHECK;
bool layout_coop(const struct source *src, const struct layout_options *o, struct layout_set *set,
                 struct error *err) MUST_CHECK;
bool layout_pets(const struct source *src, const struct layout_options *o, struct layout_set *set,
                 struct error *err) MUST_CHECK;
bool layout_flowers(const struct source *src, const struct layout_options *o, struct layout_set *set,
                    struct error *err) MUST_CHECK;

/* The file below set->root is a sample of class `label`; it must be in the source and be an image by its
 * name. `line`: of the list that says so. */
bool layout_add(const struct source *src, struct layout_set *set, const char *file, int label, int line,
                struct error *err) MUST_CHECK;
/* Label `label`, from 0, is called so: a label has one name, and a name one label. `first` is how the list
 * counts: for messages. */
bool layout_name(struct layout_set *set, int64_t label, const char *name, int first,
                 struct error *err) MUST_CHECK;
/* All labels below the largest have a name. */
bool layout_named(const struct layout_set *set, int first, struct error *err) MUST_CHECK;
#endif
