/* A data set of generated files, as a folder and as archives of several kinds. Images are PNG whatever they
 * are called (decoding goes by content); image k is 5 + k pixels wide. */
#ifndef TESTS_UNIT_DATA_MAKE_H
#define TESTS_UNIT_DATA_MAKE_H
#include "tests/unit/image_make.h"
#include <archive.h>
#include <archive_entry.h>
#include <string.h>

struct data_file {
    char *name;
    uint8_t *bytes;
    size_t n;
};
struct data {
    struct data_file file[256];
    int n, images;
};

static inline void data_clear(struct data *d)
{
    for (int i = 0; i < d->n; i++) {
        free(d->file[i].name);
        free(d->file[i].bytes);
    }
    *d = (struct data){0};
}

/* A file, in place of one that is called so. */
static inline void data_put(struct data *d, const char *name, const void *bytes, size_t n)
{
    int i = 0;
    while (i < d->n && strcmp(d->file[i].name, name) != 0)
        i++;
    if (i == d->n)
        d->n++;
    free(d->file[i].name);
    free(d->file[i].bytes);
    d->file[i] = (struct data_file){xstrdup(name), memcpy(xmalloc(n + 1), bytes, n), n};
}

static inline void data_text(struct data *d, const char *name, const char *text)
{
    data_put(d, name, text, strlen(text));
}

static inline void data_image(struct data *d, const char *name)
{
    size_t n;
    uint8_t *png = make_png(5 + d->images, 6, d->images, &n);
    data_put(d, name, png, n);
    free(png);
    d->images++;
}

/* Files below root/NAME/. */
static inline void data_folder(const struct data *d, const char *root, const char *name)
{
    char *top = xprintf("%s/%s", root, name);
    fs_remove_tree(top, NULL);
    free(top);
    for (int i = 0; i < d->n; i++) {
        char *file = xprintf("%s/%s", name, d->file[i].name);
        make_file(root, file, d->file[i].bytes, d->file[i].n);
        free(file);
    }
}

/* root/NAME; format "ustar", "zip"; filter "" or "gzip". Entries are in the order of data_put. */
static inline void data_archive(const struct data *d, const char *root, const char *name, const char *format,
                                const char *filter)
{
    char *path = xprintf("%s/%s", root, name);
    struct archive *a = archive_write_new();
    if (archive_write_set_format_by_name(a, format) != ARCHIVE_OK ||
        (*filter && archive_write_add_filter_by_name(a, filter) != ARCHIVE_OK) ||
        archive_write_open_filename(a, path) != ARCHIVE_OK)
        abort();
    for (int i = 0; i < d->n; i++) {
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_pathname(e, d->file[i].name);
        archive_entry_set_size(e, (la_int64_t)d->file[i].n);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0644);
        if (archive_write_header(a, e) != ARCHIVE_OK ||
            archive_write_data(a, d->file[i].bytes, d->file[i].n) != (la_ssize_t)d->file[i].n)
            abort();
        archive_entry_free(e);
    }
    archive_write_close(a);
    archive_write_free(a);
    free(path);
}
#endif
