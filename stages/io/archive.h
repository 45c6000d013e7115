/* Archives of images: tar (ustar, pax, GNU), plain or compressed, and zip, read by libarchive.
 * In a plain tar the bytes of an entry lie in the file as they are: its offset is known and samples are read
 * in place. From anything else the wanted entries are copied once into one packed file. */
#ifndef STAGES_IO_ARCHIVE_H
#define STAGES_IO_ARCHIVE_H
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct archive_item {
    char *name;      /* path, '/' separated, without leading "./" */
    int64_t ordinal; /* position among all entries of the archive */
    int64_t offset;  /* of the data in the archive file, -1 when it does not lie there as it is */
    int64_t size;    /* bytes of data; unknown (-1) where neither they nor the offset are known */
    char *text;      /* the data, size bytes and a NUL, of what was asked for as text; else NULL */
};
struct archive_index {
    struct archive_item *item; /* regular files in archive order */
    size_t n, cap;
    bool in_place; /* every item asked for as data has an offset */
};
enum archive_want {
    ARCHIVE_NAME, /* the data are not looked at */
    ARCHIVE_DATA, /* where they lie */
    ARCHIVE_TEXT  /* what they are: small files that say what the others mean */
};
#define ARCHIVE_TEXT_MAX (256 << 20)

/* List the regular files of the archive at path, in one pass; want() says what of each. Truncated and corrupt
 * archives, files that are no archive, and texts over ARCHIVE_TEXT_MAX are ERROR_INPUT naming the file and
 * the entry. */
bool archive_index_open(const char *path, enum archive_want (*want)(const void *arg, const char *name),
                        const void *arg, struct archive_index *ret, struct error *err) MUST_CHECK;
void archive_index_done(struct archive_index *x);
static inline void archive_index_auto(struct archive_index *x)
{
    archive_index_done(x);
}
/* Copy the n chosen items (ascending ordinals) one after the other into the new file `to`, and set their
 * offset and size to where they lie there. */
bool archive_pack(const char *path, struct archive_item **item, size_t n, const char *to,
                  struct error *err) MUST_CHECK;
#endif
