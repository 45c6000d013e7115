/* Records with what they name, checkpoints, and pins. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/checkpoint.h"
#include "cache/pin.h"
#include "cache/verify_impl.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* ---- records ---- */

/* How many objects of r are not there, and the first of them. */
static bool count_missing(const struct verify *v, const struct record *r, size_t *ret_n, struct digest *first,
                          struct error *err)
{
    *ret_n = 0;
    for (size_t i = 0; !r->freed && i < r->n; i++)
        for (size_t k = 0; k < r->output[i].n; k++) {
            const struct record_file *f = &r->output[i].file[k];
            struct stat st;
            if (f->source || store_stat(v->s->objects, &f->digest, &st))
                continue;
            if (errno != ENOENT)
                return error_errno(err, "cannot look for an object of '%s'", r->task);
            if (!(*ret_n)++)
                *first = f->digest;
        }
    return true;
}

static bool look_at_objects(struct verify *v, const struct verify_item *it, const struct record *r,
                            const struct stat *st, bool *ret_again, struct error *err)
{
    struct digest first;
    char hex[DIGEST_HEX];
    size_t n;
    if (!count_missing(v, r, &n, &first, err) || !n)
        return !n;
    AUTO(mem)
    char *why = xprintf("%zu of its objects are missing, the first is %.12s", n, digest_hex(&first, hex));
    return verify_found(v, VERIFY_MISSING, it, why, st, ret_again, err);
}

/* *ret_again: it was replaced meanwhile, as when its objects were let go. */
static bool look_at_record(struct verify *v, const struct verify_item *it, bool *ret_again, struct error *err)
{
    AUTO(mem) char *path = verify_path(v, it);
    AUTO(mem) char *text = NULL;
    struct stat st;
    size_t n;
    *ret_again = false;
    if (lstat(path, &st) != 0)
        return errno == ENOENT || error_errno(err, "cannot stat '%s'", path);
    if (!fs_read_file_unnoticed(path, &text, &n, err)) {
        *ret_again = !fs_exists(path);
        return *ret_again;
    }
    struct record *r = record_parse(text, n);
    const char *why = !r                                    ? "its seal, key or text does not fit"
                      : !digest_equal(&r->key, &it->digest) ? "of another key"
                      : !record_as_written(text, n)         ? "not as it was written"
                                                            : NULL;
    bool ok = why ? verify_found(v, VERIFY_RECORD, it, why, &st, ret_again, err)
                  : look_at_objects(v, it, r, &st, ret_again, err);
    record_free(r);
    v->report->records += ok && !*ret_again;
    return ok;
}

/* ---- checkpoints ---- */

static bool look_at_checkpoint(struct verify *v, const struct verify_item *it, bool *ret_again,
                               struct error *err)
{
    AUTO(mem) char *path = verify_path(v, it);
    AUTO(fd) int fd = fs_open(path, O_RDONLY | O_NOFOLLOW, 0);
    struct stat st;
    const char *why;
    *ret_again = false;
    if (fd < 0)
        return errno == ENOENT || error_errno(err, "cannot open '%s'", path);
    if (fstat(fd, &st) != 0)
        return error_errno(err, "cannot stat '%s'", path);
    bool ok = checkpoint_check(&(struct frame_file){fd, path}, &it->digest, it->step, &why, err) ||
              (why && verify_found(v, VERIFY_CHECKPOINT, it, why, &st, ret_again, err));
    v->report->checkpoints += ok && !*ret_again;
    return ok;
}

/* ---- pins ---- */

static bool look_at_pin(struct verify *v, const struct verify_item *it, bool *ret_again, struct error *err)
{
    AUTO(mem) char *path = verify_path(v, it);
    AUTO(mem) char *text = NULL;
    struct pin pin = {0};
    struct stat st;
    size_t n;
    *ret_again = false;
    if (lstat(path, &st) != 0)
        return errno == ENOENT || error_errno(err, "cannot stat '%s'", path);
    if (!fs_read_file_unnoticed(path, &text, &n, err)) {
        *ret_again = !fs_exists(path);
        return *ret_again;
    }
    bool ok = pin_parse(strrchr(path, '/') + 1, text, n, &pin) ||
              verify_found(v, VERIFY_PIN, it, "its seal or name does not fit", &st, ret_again, err);
    pin_done(&pin);
    v->report->pins += ok && !*ret_again;
    return ok;
}

/* ---- all of a place ---- */

static bool each(struct verify *v, int place,
                 bool (*look)(struct verify *v, const struct verify_item *it, bool *ret_again,
                              struct error *err),
                 struct error *err)
{
    const struct verify_list *l = &v->list[place];
    for (size_t i = 0; i < l->n; i++) {
        bool again = true;
        while (again)
            if (!look(v, &l->item[i], &again, err))
                return false;
    }
    return true;
}

bool verify_records(struct verify *v, struct error *err)
{
    return each(v, PLACE_RECORD, look_at_record, err);
}

bool verify_pins(struct verify *v, struct error *err)
{
    return each(v, PLACE_PIN, look_at_pin, err);
}

bool verify_checkpoints(struct verify *v, struct error *err)
{
    return each(v, PLACE_CHECKPOINT, look_at_checkpoint, err);
}
