/* Where images come from: the files of a folder, or the entries of an archive (archive.h), by relative path.
 */
#ifndef STAGES_IO_SOURCE_H
#define STAGES_IO_SOURCE_H
#include "base/error.h"
#include "stages/io/archive.h"

struct source {
    const char *path; /* the caller's; must live as long */
    bool folder;
    const char **name;          /* n relative paths, sorted bytewise, each once */
    struct archive_item **item; /* of each name; NULL: a folder */
    size_t n;
    int64_t
        replaced; /* entries of an archive whose name came again: the last counts, as when it is unpacked */
    /* private */
    char **tree; /* of a folder */
    size_t n_tree;
    struct archive_index index; /* of an archive */
};
/* texts: patterns (below) of the files whose content is going to be asked for, NULL-ended, or NULL. */
bool source_open(const char *path, const char *const *texts, struct source *ret,
                 struct error *err) MUST_CHECK;
void source_done(struct source *s);
static inline void source_auto(struct source *s)
{
    source_done(s);
}
/* An image by its name: it ends in .jpg, .jpeg, .png or .webp in any case, no part of it is hidden
 * ("._1.jpg"), and it is not in a Mac's resource folder. */
bool source_is_image(const char *name);
int64_t source_find(const struct source *s, const char *name, size_t n); /* index of the n bytes, or -1 */
/* Does the end of a path match, part by part, a pattern of the shell, as "annotations/[a-z]*.txt" does? Then
 * where that end begins, else -1. */
int source_match(const char *name, const char *pattern);
/* The least deep file that matches; -1: none. Two in different folders of one depth are an error. */
bool source_seek(const struct source *s, const char *pattern, int64_t *ret, struct error *err) MUST_CHECK;
/* The content of a file that matches one of `texts`: malloc'd, with a NUL behind. */
bool source_text(const struct source *s, size_t i, char **ret, size_t *ret_n, struct error *err) MUST_CHECK;
/* How errors call file i: "PATH/NAME"; malloc'd. */
char *source_label(const struct source *s, size_t i);
#endif
