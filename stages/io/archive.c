/* Where an entry lies in a plain tar is learnt without parsing tar: libarchive reads from the mapped file,
 * hands out an entry's data as pointers into its input when no filter is in the way, and pointer minus base
 * is the offset. */
#include "stages/io/archive.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static void reader_auto(struct archive **a)
{
    if (*a)
        archive_read_free(*a);
}

static const char *reason(struct archive *a)
{
    const char *s = archive_error_string(a);
    return s ? s : "unreadable";
}

void archive_index_done(struct archive_index *x)
{
    for (size_t i = 0; i < x->n; i++) {
        free(x->item[i].name);
        free(x->item[i].text);
    }
    free(x->item);
    *x = (struct archive_index){0};
}

static struct archive *reader_open(const char *path, const struct map *m, struct error *err)
{
    struct archive *a = archive_read_new();
    if (!a) {
        error_set(err, NULL, ERROR_SYSTEM, "out of memory for reading '%s'", path);
        return NULL;
    }
    archive_read_support_filter_all(a);
    archive_read_support_format_tar(a);
    archive_read_support_format_gnutar(a);
    archive_read_support_format_zip(a);
    if (m->size == 0 || archive_read_open_memory(a, m->data, m->size) != ARCHIVE_OK) {
        error_set(err, NULL, ERROR_INPUT, "'%s' is not a tar or zip archive: %s", path,
                  m->size ? reason(a) : "the file is empty");
        archive_read_free(a);
        return NULL;
    }
    return a;
}

/* Next entry: 1, 0 at the end, -1 on error. A warning (a name in an odd encoding) is no error while there is
 * a name. */
static int next_entry(struct archive *a, struct archive_entry **e, const char *path, int64_t ordinal,
                      const char *last, struct error *err)
{
    int r = archive_read_next_header(a, e);
    if (r == ARCHIVE_EOF)
        return 0;
    if ((r == ARCHIVE_OK || r == ARCHIVE_WARN) && archive_entry_pathname(*e))
        return 1;
    if (ordinal == 0)
        error_set(err, NULL, ERROR_INPUT, "'%s' is not a tar or zip archive, or is damaged at its start: %s",
                  path, reason(a));
    else
        error_set(err, NULL, ERROR_INPUT, "archive '%s' is truncated or corrupt after entry '%s': %s", path,
                  last, reason(a));
    return -1;
}

static bool entry_error(const char *path, const char *name, const char *why, struct error *err)
{
    return error_set(err, NULL, ERROR_INPUT, "archive '%s' is truncated or corrupt in entry '%s': %s", path,
                     name, why);
}

/* Offset and size of the current entry's data in the map, or offset -1. Reads all of the data's addresses, no
 * data. */
static bool locate(struct archive *a, const struct map *m, const char *path, struct archive_item *it,
                   struct error *err)
{
    int64_t start = -1, n = 0;
    bool in_place = true;
    const void *block;
    size_t len;
    la_int64_t at;
    int r;
    while ((r = archive_read_data_block(a, &block, &len, &at)) == ARCHIVE_OK) {
        if (!len)
            continue;
        const uint8_t *p = block;
        bool inside = p >= m->data && p + len <= m->data + m->size;
        int64_t offset = inside ? p - m->data : -1;
        if (start < 0)
            start = offset;
        if (!inside || at != n || offset != start + n)
            in_place = false;
        n += (int64_t)len;
    }
    if (r != ARCHIVE_EOF)
        return entry_error(path, it->name, reason(a), err);
    it->offset = in_place && n ? start : -1;
    it->size = it->offset < 0 ? -1 : n;
    return true;
}

static const char *plain_name(const char *name)
{
    while (name[0] == '.' && name[1] == '/')
        name += 2;
    return name;
}

/* A tar ends with two blocks of zeros; one that was cut between two entries does not. */
static bool check_end(struct archive *a, const struct map *m, const char *path, struct error *err)
{
    bool tar = (archive_format(a) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
    if (!tar || archive_filter_code(a, 0) != ARCHIVE_FILTER_NONE)
        return true;
    for (size_t i = m->size < 512 ? 0 : m->size - 512; i < m->size; i++)
        if (m->data[i])
            return error_set(err, NULL, ERROR_INPUT, "archive '%s' has no end mark: it is truncated", path);
    return true;
}

/* The current entry's data in memory. */
static bool read_text(struct archive *a, const char *path, struct archive_item *it, struct error *err)
{
    AUTO(buf) struct buf text = {0};
    const void *block;
    size_t len;
    la_int64_t at;
    int r;
    while ((r = archive_read_data_block(a, &block, &len, &at)) == ARCHIVE_OK) {
        if (len && at != (la_int64_t)text.len)
            return entry_error(path, it->name, "it is a sparse file", err);
        if (text.len + len > ARCHIVE_TEXT_MAX)
            return entry_error(path, it->name, "it is too large for a list of images", err);
        buf_add(&text, block, len);
    }
    if (r != ARCHIVE_EOF)
        return entry_error(path, it->name, reason(a), err);
    it->size = (int64_t)text.len;
    it->text = buf_take(&text);
    return true;
}

static bool look_into(struct archive *a, struct archive_entry *e, const struct map *m, const char *path,
                      enum archive_want want, struct archive_item *it, struct error *err)
{
    if (want == ARCHIVE_NAME)
        return true;
    if (archive_entry_is_encrypted(e))
        return error_set(err, NULL, ERROR_INPUT, "archive '%s': entry '%s' is encrypted", path, it->name);
    return want == ARCHIVE_DATA ? locate(a, m, path, it, err) : read_text(a, path, it, err);
}

bool archive_index_open(const char *path, enum archive_want (*want)(const void *arg, const char *name),
                        const void *arg, struct archive_index *ret, struct error *err)
{
    AUTO(map) struct map m = {0};
    if (!map_open(&m, path, err))
        return false;
    AUTO(reader) struct archive *a = reader_open(path, &m, err);
    if (!a)
        return false;
    AUTO(archive_index) struct archive_index x = {.in_place = true};
    struct archive_entry *e;
    int more;
    for (int64_t k = 0; (more = next_entry(a, &e, path, k, x.n ? x.item[x.n - 1].name : "", err)) != 0; k++) {
        if (more < 0)
            return false;
        if (archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e))
            continue;
        x.item = xgrow(x.item, &x.cap, x.n + 1, sizeof *x.item);
        struct archive_item *it = &x.item[x.n++];
        *it = (struct archive_item){
            .name = xstrdup(plain_name(archive_entry_pathname(e))), .ordinal = k, .offset = -1, .size = -1};
        enum archive_want w = want(arg, it->name);
        if (!look_into(a, e, &m, path, w, it, err))
            return false;
        x.in_place = x.in_place && (w != ARCHIVE_DATA || it->offset >= 0);
    }
    if (!check_end(a, &m, path, err))
        return false;
    *ret = x;
    x = (struct archive_index){0};
    return true;
}

static bool copy_entry(struct archive *a, const char *path, struct archive_item *it, int fd, const char *to,
                       struct error *err)
{
    const void *block;
    size_t len;
    la_int64_t at;
    int r;
    it->size = 0;
    while ((r = archive_read_data_block(a, &block, &len, &at)) == ARCHIVE_OK) {
        if (len && at != it->size)
            return entry_error(path, it->name, "it is a sparse file", err);
        if (!fs_write_all(fd, block, len, to, err))
            return false;
        it->size += (int64_t)len;
    }
    return r == ARCHIVE_EOF || entry_error(path, it->name, reason(a), err);
}

static bool pack_into(int fd, const char *path, struct archive_item **item, size_t n, const char *to,
                      struct error *err)
{
    AUTO(map) struct map m = {0};
    if (!map_open(&m, path, err))
        return false;
    AUTO(reader) struct archive *a = reader_open(path, &m, err);
    if (!a)
        return false;
    struct archive_entry *e;
    int64_t end = 0;
    size_t i = 0;
    for (int64_t k = 0; i < n; k++) {
        int more = next_entry(a, &e, path, k, item[i]->name, err);
        if (more < 0)
            return false;
        if (more == 0)
            return error_set(err, NULL, ERROR_INPUT, "archive '%s' changed while it was read", path);
        if (k != item[i]->ordinal)
            continue;
        item[i]->offset = end;
        if (!copy_entry(a, path, item[i], fd, to, err))
            return false;
        end += item[i++]->size;
    }
    return true;
}

bool archive_pack(const char *path, struct archive_item **item, size_t n, const char *to, struct error *err)
{
    int fd = fs_open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_errno(err, "cannot create '%s'", to);
    bool ok = pack_into(fd, path, item, n, to, err);
    if (fs_close(fd) != 0 && ok)
        return error_errno(err, "cannot write '%s'", to);
    return ok;
}
