/* A file of class names: lines "KEY NAME", as ImageNet's classnames.txt ("n01440764 tench"), or a JSON object
 * {KEY: NAME}, as cat_to_name.json of Flowers-102 ({"1": "pink primrose"}). A key is the first word of its
 * line. */
#ifndef STAGES_IO_CLASSNAMES_H
#define STAGES_IO_CLASSNAMES_H
#include "stages/io/layout.h"

/* Give the classes of the set the names that the text of `file` has for their keys; each must have one. */
bool classnames_apply(const char *text, size_t n, const char *file, struct layout_set *set,
                      struct error *err) MUST_CHECK;
#endif
